//! How latencies are spread.

use maud::{Markup, html};

use super::figure::{Section, Table, figure, nothing};
use super::log_bins::{LogBins, begin};
use super::picture::Plot;
use super::quantity::{count, duration, mark, percent, short_count};
use super::scale::{Linear, Logarithmic};
use crate::observe::report::{Report, Spread};
use crate::observe::{Durations, Latency};
use crate::trace::{Account, Trace};

/// Height of a plot in pixels.
const HEIGHT: u32 = 180;

/// The latencies of IPIs, all vCPUs together.
#[derive(Debug)]
pub struct Histograms {
    inject: LogBins,
    end: LogBins,
    nmi: LogBins,
}

impl Histograms {
    /// Those of an account.
    #[must_use]
    pub fn of(account: &Account, trace: &Trace) -> Self {
        let clock = trace.header.clock.clock();
        let of = |latency: fn(&Durations) -> &Latency| {
            let durations = account.ledgers().iter().map(|ledger| ledger.durations());
            LogBins::of(durations.map(latency), &clock)
        };
        Self {
            inject: of(|known| &known.send_to_inject),
            end: of(|known| &known.send_to_end),
            nmi: of(|known| &known.nmi_send_to_inject),
        }
    }
}

pub(super) fn section(report: &Report, histograms: &Histograms) -> Section {
    let totals = &report.totals;
    let all = [
        (
            "From sending to injection, vectors",
            &histograms.inject,
            &totals.send_to_inject,
        ),
        (
            "From sending to EOI, vectors",
            &histograms.end,
            &totals.send_to_end,
        ),
        (
            "From sending to injection, NMIs",
            &histograms.nmi,
            &totals.nmi_send_to_inject,
        ),
    ];
    let seen: Vec<_> = all
        .iter()
        .filter(|(_, _, spread)| spread.count != 0)
        .collect();
    let body = if seen.is_empty() {
        nothing("No IPI is known from its sending to its injection.")
    } else {
        html! {
            div.side-by-side {
                @for (caption, bins, spread) in seen { (histogram(caption, bins, spread)) }
            }
        }
    };
    Section {
        id: "latencies",
        heading: "Latencies",
        lead:
            "From the exit of the sender's ICR write on. The axis of time is logarithmic: each bin \
               is a tenth of an order of magnitude, about a quarter longer than the one before it."
                .to_owned(),
        body,
    }
}

fn histogram(caption: &str, bins: &LogBins, spread: &Spread) -> Markup {
    let x = Logarithmic::around(spread.min_ns, spread.max_ns);
    let y = Linear::up_to(bins.most(), 4);
    // Above the area, each at a height of its own, so that no two labels meet.
    // The median's is at its left and the other's at its right, unless that is beyond the edge.
    let percentiles = [
        ("p50", spread.p50_ns, 16, 0.33),
        ("p99", spread.p99_ns, 32, 0.67),
    ];
    let content = html! {
        g.bars {
            @for (bin, seen) in bins.iter() {
                @let (from, to) = (x.place(begin(bin)), x.place(begin(bin + 1)));
                @let top = Plot::pixel(HEIGHT, y.place(seen));
                rect x=(percent(from)) width=(percent(to - from)) y=(top)
                    height=(Plot::pixel(HEIGHT, 1.0 - y.place(seen))) {
                    title { (range(bin)) ": " (count(seen)) }
                }
            }
        }
        @for (name, value, height, edge) in percentiles {
            @let place = x.place(value);
            @let (side, anchor) = if place < edge { ("5", "start") } else { ("-5", "end") };
            g.percentile {
                line x1=(percent(place)) x2=(percent(place)) y1=(-height) y2=(HEIGHT) {}
                text x=(percent(place)) dx=(side) y=(8 - height) text-anchor=(anchor) {
                    (name) " " (duration(value))
                }
            }
        }
    };
    let plot = Plot {
        label: format!(
            "Histogram of {} durations: median {}, 99th percentile {}, longest {}.",
            count(spread.count),
            duration(spread.p50_ns),
            duration(spread.p99_ns),
            duration(spread.max_ns)
        ),
        height: HEIGHT,
        below: x
            .marks()
            .into_iter()
            .map(|value| (x.place(value), mark(value)))
            .collect(),
        below_title: "duration".to_owned(),
        left: y
            .marks()
            .map(|seen| (y.place(seen), short_count(seen)))
            .collect(),
        content,
    };
    let facts = format!(
        "{} deliveries, {} to {}, mean {}",
        count(spread.count),
        duration(spread.min_ns),
        duration(spread.max_ns),
        duration(spread.mean_ns)
    );
    let picture = html! {
        p.facts-line { (facts) }
        div.headroom { (plot.draw()) }
    };
    figure(caption, &picture, &numbers(caption, bins))
}

fn range(bin: u32) -> String {
    format!("{} to {}", duration(begin(bin)), duration(begin(bin + 1)))
}

fn numbers(caption: &str, bins: &LogBins) -> Table {
    let mut table = Table::new(caption, 1, ["duration", "deliveries"]);
    for (bin, seen) in bins.iter() {
        table.row([range(bin), count(seen)]);
    }
    table
}
