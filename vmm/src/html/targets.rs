//! What a shootdown costs by the number of its targets.

use maud::{Markup, html};

use super::figure::{Section, Table, figure, legend, nothing};
use super::picture::Plot;
use super::quantity::{count, duration, mark, percent};
use super::scale::{Linear, Logarithmic};
use crate::trace::analysis::{Analysis, GroupCost};

/// Height of the plot in pixels.
const HEIGHT: u32 = 220;

/// What is drawn: a name, a class of the style sheet, and a time of groups of one size.
type Series = (&'static str, &'static str, fn(&GroupCost) -> u64);

const SERIES: [Series; 3] = [
    ("until the last EOI, p99", "all-ended-p99", |cost| {
        cost.all_ended_p99_ns
    }),
    ("until the last EOI, median", "all-ended", |cost| {
        cost.all_ended_p50_ns
    }),
    ("until the sender is back, median", "sender", |cost| {
        cost.sender_p50_ns
    }),
];

pub(super) fn section(analysis: &Analysis) -> Section {
    let costs = &analysis.shootdowns;
    let body = if costs.is_empty() {
        nothing("No vCPU sent a vector to others.")
    } else {
        let entries = SERIES.map(|(name, class, _)| (class.to_owned(), name));
        figure(
            "Time from the sender's first exit, by number of targets",
            &html! { (picture(costs)) (legend(&entries)) },
            &numbers(costs),
        )
    };
    Section {
        id: "targets",
        heading: "Cost by targets",
        lead:
            "IPIs of one sender on one vector that follow each other are one shootdown; whether by \
               one ICR write or one to each target. The axis of time is logarithmic."
                .to_owned(),
        body,
    }
}

fn picture(costs: &[GroupCost]) -> Markup {
    let most_targets = costs
        .iter()
        .map(|cost| cost.targets as u64)
        .max()
        .unwrap_or(1);
    // A group that did not end has no time of its end.
    let times = costs
        .iter()
        .flat_map(|cost| SERIES.map(|(_, _, time)| time(cost)));
    let times: Vec<_> = times.filter(|&time| time != 0).collect();
    let x = Linear::just(most_targets.saturating_add(1), 12);
    let [least, most] = [times.iter().min(), times.iter().max()];
    let y = Logarithmic::around(least.copied().unwrap_or(0), most.copied().unwrap_or(0));
    let point = |cost: &GroupCost, time: fn(&GroupCost) -> u64| {
        let place = x.place(cost.targets as u64);
        (percent(place), Plot::pixel(HEIGHT, y.place(time(cost))))
    };
    let content = html! {
        @for (name, class, time) in SERIES {
            g class={ "series " (class) } {
                @let costs: Vec<_> = costs.iter().filter(|cost| time(cost) != 0).collect();
                @for pair in costs.windows(2) {
                    @let ((x1, y1), (x2, y2)) = (point(pair[0], time), point(pair[1], time));
                    line x1=(x1) y1=(y1) x2=(x2) y2=(y2) {}
                }
                @for cost in costs {
                    @let (x, y) = point(cost, time);
                    circle cx=(x) cy=(y) r="4" {
                        title {
                            (cost.targets) " targets, " (name) ": " (duration(time(cost))) ", of "
                            (count(cost.groups))
                        }
                    }
                }
            }
        }
    };
    let plot = Plot {
        label: format!(
            "Plot of a shootdown's cost for 1 to {most_targets} targets: the sender's time and the \
             time until the last EOI."
        ),
        height: HEIGHT,
        below: x
            .marks()
            .filter(|&targets| targets != 0 && targets <= most_targets)
            .map(|targets| (x.place(targets), targets.to_string()))
            .collect(),
        below_title: "targets".to_owned(),
        left: y
            .marks()
            .into_iter()
            .map(|time| (y.place(time), mark(time)))
            .collect(),
        content,
    };
    plot.draw()
}

fn numbers(costs: &[GroupCost]) -> Table {
    let head = [
        "targets",
        "shootdowns",
        "IPIs",
        "sender p50",
        "last EOI p50",
        "last EOI p99",
    ];
    let mut table = Table::new("Shootdowns by number of targets", 0, head);
    for cost in costs {
        table.row([
            cost.targets.to_string(),
            count(cost.groups),
            count(cost.ipis),
            duration(cost.sender_p50_ns),
            duration(cost.all_ended_p50_ns),
            duration(cost.all_ended_p99_ns),
        ]);
    }
    table
}
