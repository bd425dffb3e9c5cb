//! Where the time of a delivery goes: its stages as parts of one bar.

use maud::{Markup, html};

use super::figure::{Section, Table, figure, legend, nothing};
use super::quantity::{count, duration, percent, share};
use crate::trace::analysis::{Analysis, STAGE_NAMES, StageSpread};

/// Height of a bar, and from one to the next, in pixels.
const BAR: usize = 26;
const PITCH: usize = 36;

/// A number of a stage's spread.
type Statistic = fn(&StageSpread) -> u64;

pub(super) fn section(analysis: &Analysis) -> Section {
    let stages: Vec<_> = analysis
        .stages
        .0
        .iter()
        .filter(|stage| is_stage(stage))
        .collect();
    let body = if stages.iter().all(|stage| stage.count == 0) {
        nothing("No delivery is known from its sending to its injection.")
    } else {
        figure(
            "Shares of the stages: in the mean, and each stage's own percentiles side by side",
            &html! { (picture(&stages)) (key()) },
            &numbers(analysis),
        )
    };
    Section {
        id: "stages",
        heading: "Where the time goes",
        lead: "A delivery is decoded from the sender's exit, posted to its target's mailbox, kicks \
               the target's thread, waits until that finds it, is injected, and ended by the guest's \
               EOI. At the right of each bar is the sum of its parts; only the means add up to that \
               of the whole, as one delivery is seldom slow in every stage."
            .to_owned(),
        body,
    }
}

fn is_stage(stage: &StageSpread) -> bool {
    STAGE_NAMES.contains(&stage.stage)
}

/// The names of the stages and their colours.
pub(super) fn key() -> Markup {
    let entries = STAGE_NAMES.iter().enumerate();
    let entries: Vec<_> = entries
        .map(|(index, name)| (format!("stage{index}"), *name))
        .collect();
    legend(&entries)
}

fn picture(stages: &[&StageSpread]) -> Markup {
    let bars: [(&str, Statistic); 4] = [
        ("mean", |stage| stage.mean_ns),
        ("p50", |stage| stage.p50_ns),
        ("p90", |stage| stage.p90_ns),
        ("p99", |stage| stage.p99_ns),
    ];
    html! {
        div.plot.bars-with-sums {
            svg width="100%" height=(PITCH * bars.len()) role="img"
                aria-label="Stacked bars of the stages' shares: mean, p50, p90 and p99." {
                @for (row, (name, value)) in bars.iter().enumerate() {
                    @let y = row * PITCH;
                    @let parts: Vec<u64> = stages.iter().map(|stage| value(stage)).collect();
                    @let sum = parts.iter().sum();
                    g.left { text x="-8" y=(y + BAR / 2) dy="4" { (name) } }
                    (stacked(&parts, sum, y, BAR))
                    text.sum x="100%" dx="8" y=(y + BAR / 2) dy="4" { (duration(sum)) }
                }
            }
        }
    }
}

/// The stages side by side, in a width that stands for `whole`.
#[expect(clippy::cast_precision_loss, reason = "places on the screen")]
pub(super) fn stacked(parts: &[u64], whole: u64, y: usize, height: usize) -> Markup {
    let whole = whole.max(1) as f64;
    let mut from = 0.0;
    let placed: Vec<_> = parts
        .iter()
        .map(|&part| {
            let begin: f64 = from;
            from += part as f64 / whole;
            (begin, part)
        })
        .collect();
    html! {
        @for (index, (begin, part)) in placed.into_iter().enumerate() {
            @if part != 0 {
                rect class={ "stage" (index) } x=(percent(begin))
                    width=(percent(part as f64 / whole)) y=(y) height=(height) {
                    title {
                        (STAGE_NAMES.get(index).copied().unwrap_or_default()) ": " (duration(part))
                        ", " (share(part, parts.iter().sum()))
                    }
                }
            }
        }
    }
}

fn numbers(analysis: &Analysis) -> Table {
    let head = StageSpread::COLUMNS;
    let mut table = Table::new("Stages of the deliveries that were injected", 1, head);
    for stage in &analysis.stages.0 {
        let name = [stage.stage.to_owned(), count(stage.count)];
        table.row(name.into_iter().chain(stage.times_ns().map(duration)));
    }
    table
}
