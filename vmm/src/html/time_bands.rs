//! The run over time: a band for each vCPU, and the rate of IPIs above them.

use std::fmt::Write;

use maud::{Markup, html};

use super::figure::{Section, Table, figure, legend, nothing};
use super::picture::Plot;
use super::quantity::{duration, mark, share, short_count};
use super::scale::Linear;
use super::timeline::{Band, State, Timeline};
use crate::observe::report::Report;

/// Height of the rates in pixels.
const RATES: u32 = 72;
/// Between the rates and the bands, in pixels.
const GAP: usize = 14;

pub(super) fn section(report: &Report, timeline: &Timeline) -> Section {
    let body = if timeline.bins() == 0 {
        nothing("The trace has no event.")
    } else {
        let entries = State::ALL.map(|state| (class(state).to_owned(), state.name()));
        let bands = "Each vCPU's share of time by state";
        let what = match most_sent(timeline) {
            0 => bands.to_owned(),
            _ => format!("{bands}, and above IPIs and devices' interrupts a second"),
        };
        let bins = timeline.bins();
        figure(
            &format!("{what}, in {bins} bins of {}", duration(timeline.bin_ns())),
            &html! { (picture(timeline)) (legend(&entries)) },
            &numbers(timeline),
        )
    };
    let lead = if report.ipis_observed {
        "What is not coloured is not in the trace: before a vCPU's first entry, after its last one, \
         or what was lost."
    } else {
        "With KVM's own APIC, halting, waiting for start-up and IPIs are in the kernel, hence in the \
         guest's time here."
    };
    Section {
        id: "timeline",
        heading: "Timeline",
        lead: lead.to_owned(),
        body,
    }
}

const fn class(state: State) -> &'static str {
    match state {
        State::Guest => "guest",
        State::Exit => "exit",
        State::Halted => "halted",
        State::Waiting => "waiting",
    }
}

fn picture(timeline: &Timeline) -> Markup {
    let bands = &timeline.bands;
    let pitch = match bands.len() {
        0..=8 => 34,
        9..=32 => 20,
        33..=64 => 12,
        _ => 6,
    };
    let every = 16usize.div_ceil(pitch);
    let most = most_sent(timeline);
    let top = if most == 0 { 0 } else { RATES as usize + GAP };
    let height = top + pitch * bands.len();
    let rates = Linear::up_to(per_second(most, timeline.bin_ns()), 2);
    let content = html! {
        @if most != 0 { (rate_bars(timeline, rates)) }
        @for (vcpu, band) in bands.iter().enumerate() {
            @let y = top + vcpu * pitch;
            @if vcpu % every == 0 {
                g.left { text x="-8" y=(y + pitch / 2) dy="3" { "vCPU " (vcpu) } }
            }
            svg x="0" y=(y) width="100%" height=(pitch - pitch / 8) preserveAspectRatio="none"
                viewBox={ "0 0 " (timeline.bins()) " 1000" } {
                title { "vCPU " (vcpu) ": " (told(&timeline.times_ns(band))) }
                @for state in State::ALL.into_iter().rev() {
                    path class=(class(state)) d=(outline(timeline, band, state)) {}
                }
            }
        }
    };
    let x = Linear::just(timeline.whole_ns(), 6);
    let plot = Plot {
        label: format!(
            "Timeline of {} vCPUs over {}: shares of time in the guest, in exits, halted and waiting \
             for start-up, and at most {} IPIs a second.",
            bands.len(),
            duration(timeline.whole_ns()),
            short_count(per_second(most, timeline.bin_ns()))
        ),
        height: u32::try_from(height).unwrap_or(u32::MAX / 2),
        below: x.marks().map(|time| (x.place(time), mark(time))).collect(),
        below_title: "time since the first entry".to_owned(),
        left: Vec::new(),
        content,
    };
    html! { div.names { (plot.draw()) } }
}

/// Most that were sent in a bin.
fn most_sent(timeline: &Timeline) -> u64 {
    let sent = (0..timeline.bins()).map(|bin| timeline.sent(bin));
    sent.max().unwrap_or(0)
}

fn per_second(count: u64, bin_ns: u64) -> u64 {
    let rate = u128::from(count) * 1_000_000_000 / u128::from(bin_ns.max(1));
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn rate_bars(timeline: &Timeline, rates: Linear) -> Markup {
    let heights = (0..timeline.bins()).map(|bin| {
        let rate = per_second(timeline.sent(bin), timeline.bin_ns());
        thousandths(rates.place(rate))
    });
    html! {
        svg x="0" y="0" width="100%" height=(RATES) preserveAspectRatio="none"
            viewBox={ "0 0 " (timeline.bins()) " 1000" } {
            path.rate d=(steps(heights)) {}
        }
        line.axis x1="0" x2="100%" y1=(RATES) y2=(RATES) {}
        g.left {
            @for rate in rates.marks() {
                text x="-8" y=(Plot::pixel(RATES, rates.place(rate))) dy="4" {
                    (short_count(rate)) @if rate != 0 { "/s" }
                }
            }
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is from 0 to 1000"
)]
fn thousandths(place: f64) -> u64 {
    (place * 1_000.0) as u64
}

/// The area of a state and of all below it.
fn outline(timeline: &Timeline, band: &Band, state: State) -> String {
    let heights = (0..timeline.bins()).map(|bin| {
        let shares = timeline.shares(band, bin);
        shares
            .iter()
            .take(state as usize + 1)
            .sum::<u64>()
            .min(1_000)
    });
    steps(heights)
}

/// The area below steps of these heights, each one wide, in an area of 1000.
fn steps(heights: impl Iterator<Item = u64>) -> String {
    let mut path = String::from("M0 1000");
    let (mut last, mut run) = (0, 0);
    for height in heights {
        if height != last {
            flat(&mut path, run);
            let _ = write!(path, "V{}", 1_000 - height);
            (last, run) = (height, 0);
        }
        run += 1;
    }
    flat(&mut path, run);
    path.push_str("V1000z");
    path
}

fn flat(path: &mut String, run: u64) {
    if run != 0 {
        let _ = write!(path, "h{run}");
    }
}

fn told(times: &[u64]) -> String {
    let whole = times.iter().sum();
    let parts: Vec<_> = State::ALL
        .iter()
        .zip(times)
        .filter(|(_, time)| **time != 0)
        .map(|(state, &time)| format!("{} {}", share(time, whole), state.name()))
        .collect();
    parts.join(", ")
}

fn numbers(timeline: &Timeline) -> Table {
    let states = State::ALL.map(State::name);
    let head = ["vCPU"].into_iter().chain(states);
    let mut table = Table::new("Time of each vCPU by state", 1, head);
    for (vcpu, band) in timeline.bands.iter().enumerate() {
        let times = timeline.times_ns(band);
        let whole = times.iter().sum();
        let cells = times.map(|time| match time {
            0 => "–".to_owned(),
            time => format!("{} ({})", duration(time), share(time, whole)),
        });
        table.row([format!("vCPU {vcpu}")].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_heights_are_one_step() {
        assert_eq!(steps([].into_iter()), "M0 1000V1000z");
        assert_eq!(steps([0, 0].into_iter()), "M0 1000h2V1000z");
        assert_eq!(
            steps([500, 500, 0].into_iter()),
            "M0 1000V500h2V1000h1V1000z"
        );
    }

    #[test]
    fn a_rate_is_of_a_second() {
        assert_eq!(per_second(5, 1_000_000), 5_000);
        assert_eq!(per_second(u64::MAX, 0), u64::MAX);
    }
}
