//! Exits by cause, and what they cost.

use maud::{Markup, html};

use super::figure::{Section, Table, nothing};
use super::quantity::{count, duration, share};
use crate::observe::Cause;
use crate::observe::report::{Report, Spread};

pub(super) fn section(report: &Report) -> Section {
    let totals = &report.totals;
    let mut causes: Vec<_> = Cause::ALL
        .into_iter()
        .filter_map(|cause| Some((cause, totals.exits.get(cause.name())?)))
        .filter(|(_, spread)| spread.count != 0)
        .collect();
    causes.sort_by_key(|(_, spread)| std::cmp::Reverse(spread.total_ns));
    let body = if causes.is_empty() {
        nothing("No vCPU left the guest.")
    } else {
        html! { (table(report, &causes)) }
    };
    Section {
        id: "exits",
        heading: "Exits by cause",
        lead:
            "Returns from KVM_RUN, all vCPUs together, dearest first. The time of an exit is from \
               that return to the next entry, sleep left out."
                .to_owned(),
        body,
    }
}

fn table(report: &Report, causes: &[(Cause, &Spread)]) -> Table {
    let head = [
        "cause", "exits", "of all", "time", "of all", "", "mean", "p50", "p99", "max",
    ];
    let mut table = Table::new("Exits by cause, all vCPUs", 1, head);
    let exits = report.totals.exit_count;
    let outside = report.totals.outside_ns;
    for (cause, spread) in causes {
        let text = |text: String| html! { (text) };
        table.row([
            text(cause.label().to_owned()),
            text(count(spread.count)),
            text(share(spread.count, exits)),
            text(duration(spread.total_ns)),
            text(share(spread.total_ns, outside)),
            bar(spread.total_ns, outside),
            text(duration(spread.mean_ns)),
            text(duration(spread.p50_ns)),
            text(duration(spread.p99_ns)),
            text(duration(spread.max_ns)),
        ]);
    }
    table
}

/// A share as the length of a bar; the number is beside it.
#[expect(clippy::cast_precision_loss, reason = "a place on the screen")]
fn bar(part: u64, whole: u64) -> Markup {
    let width = super::quantity::percent(part as f64 / whole.max(1) as f64);
    html! {
        svg.bar width="100" height="12" aria-hidden="true" {
            rect.exit width=(width) height="12" {}
        }
    }
}
