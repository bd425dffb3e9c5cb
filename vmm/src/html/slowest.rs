//! The slowest IPIs, each with its whole story.

use maud::{Markup, html};

use super::deliveries::{name, words};
use super::figure::{Section, nothing};
use super::quantity::{count, duration};
use super::stages::{key, stacked};
use crate::trace::analysis::{Analysis, STAGE_NAMES, Story, StoryTarget};

/// Most IPIs.
const MOST: usize = 100;
/// Most targets of one IPI.
const MOST_TARGETS: usize = 8;

pub(super) fn section(analysis: &Analysis) -> Section {
    let stories = &analysis.slowest;
    let shown = &stories[..stories.len().min(MOST)];
    let body = match shown.first() {
        None => nothing("No IPI is known from its sending to its end."),
        Some(slowest) => html! { (key()) (table(shown, slowest.whole_ns)) },
    };
    Section {
        id: "slowest",
        heading: "Slowest IPIs",
        lead:
            "From the sender's exit to the last end, and the way to each target. The bars have one \
               scale: the slowest IPI is as long as they can be."
                .to_owned(),
        body,
    }
}

fn table(stories: &[Story], longest: u64) -> Markup {
    let caption = "The slowest IPIs, by target and stage";
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table.stories {
                caption { (caption) }
                thead {
                    tr {
                        th.word scope="col" { "IPI" }
                        th scope="col" { "sent at" }
                        th scope="col" { "whole" }
                        th.word scope="col" { "target" }
                        th.word scope="col" { "woken by" }
                        th.word scope="col" { "became" }
                        th.word scope="col" { "where the time went" }
                        @for stage in STAGE_NAMES { th scope="col" { (stage) } }
                    }
                }
                @for story in stories { tbody { (rows(story, longest)) } }
            }
        }
    }
}

fn rows(story: &Story, longest: u64) -> Markup {
    let shown = &story.targets[..story.targets.len().min(MOST_TARGETS)];
    let more = story.targets.len() - shown.len();
    let lines = shown.len() + usize::from(more != 0);
    html! {
        @for (index, target) in shown.iter().enumerate() {
            tr {
                @if index == 0 {
                    th.word scope="rowgroup" rowspan=(lines) {
                        (name(story.sender)) ", " (words(story.delivery)) " "
                        (format!("{:#04x}", story.vector))
                    }
                    td rowspan=(lines) { (duration(story.sent_ns)) }
                    td rowspan=(lines) { strong { (duration(story.whole_ns)) } }
                }
                (way(target, longest))
            }
        }
        @if more != 0 {
            tr { td.word colspan="10" { "and " (count(more as u64)) " more targets" } }
        }
    }
}

fn way(target: &StoryTarget, longest: u64) -> Markup {
    let parts = target.stages_ns.map(Option::unwrap_or_default);
    html! {
        td.word { (name(Some(target.vcpu))) }
        td.word { (target.kick.unwrap_or("–")) }
        td.word { (words(target.fate)) }
        td.word {
            svg.bar width="220" height="14" aria-hidden="true" { (stacked(&parts, longest, 0, 14)) }
        }
        @for stage in target.stages_ns {
            td { (stage.map_or_else(|| "–".to_owned(), duration)) }
        }
    }
}
