//! The guest's phases and results, a table for each scenario. All of their words are the guest's.

use maud::{Markup, html};

use super::figure::{Section, Table, nothing};
use super::quantity::{count, cut, duration};
use crate::observe::report::{PhaseReport, Report, is_row};
use crate::observe::{Fields, Value};

/// Most scenarios, phases of one, results of one, and columns; a guest may invent any number.
const MOST_SCENARIOS: usize = 16;
const MOST_PHASES: usize = 200;
const MOST_RESULTS: usize = 16;
const MOST_COLUMNS: usize = 12;
/// Longest word.
const LONGEST: usize = 32;

pub(super) fn section(report: &Report) -> Section {
    let mut scenarios: Vec<&str> = Vec::new();
    let of_phases = report.phases.iter().map(|phase| phase.scenario.as_str());
    let of_results = report.results.iter().map(|result| result.scenario.as_str());
    for scenario in of_phases.chain(of_results) {
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    let all = scenarios.len();
    scenarios.truncate(MOST_SCENARIOS);
    let body = if scenarios.is_empty() {
        nothing("The guest measured no phase.")
    } else {
        html! {
            @for scenario in &scenarios {
                h3 { (cut(scenario, LONGEST)) }
                (phases(report, scenario))
                (results(report, scenario))
            }
            @if all > MOST_SCENARIOS {
                p.note { "The first " (MOST_SCENARIOS) " of " (all) " scenarios." }
            }
        }
    };
    Section {
        id: "phases",
        heading: "Phases",
        lead: "What the guest measured, in cycles of its TSC, beside what was counted meanwhile."
            .to_owned(),
        body,
    }
}

fn phases(report: &Report, scenario: &str) -> Markup {
    let phases = report.phases.iter();
    let phases: Vec<_> = phases.filter(|phase| phase.scenario == scenario).collect();
    if phases.is_empty() {
        return html! {};
    }
    let labels = keys(phases.iter().map(|phase| &phase.labels));
    let results = keys(phases.iter().map(|phase| &phase.results));
    let observed: &[&str] = if report.ipis_observed {
        &["duration", "IPIs", "exits per IPI"]
    } else {
        &["duration"]
    };
    let head = labels.iter().chain(&results).map(|key| cut(key, LONGEST));
    let head = head.chain(observed.iter().map(|name| (*name).to_owned()));
    let caption = format!("Phases of {}", cut(scenario, LONGEST));
    let mut table = Table::new(caption, labels.len(), head);
    for phase in phases.iter().take(MOST_PHASES) {
        let labels = labels.iter().map(|key| value(phase.labels.get(key)));
        let results = results.iter().map(|key| value(phase.results.get(key)));
        table.row(labels.chain(results).chain(seen(report, phase)));
    }
    table.note_rest(MOST_PHASES, phases.len());
    html! { (table) }
}

fn seen(report: &Report, phase: &PhaseReport) -> Vec<String> {
    let mut cells = vec![duration(phase.duration_ns)];
    if report.ipis_observed {
        cells.push(count(phase.ipis_sent));
        cells.push(format!("{:.2}", phase.exits_per_ipi));
    }
    cells
}

fn results(report: &Report, scenario: &str) -> Markup {
    let results = report.results.iter();
    let results = results.filter(|result| result.scenario == scenario);
    html! {
        @for result in results.take(MOST_RESULTS) {
            dl.result {
                @for (key, value) in result.results.iter().take(MOST_COLUMNS) {
                    div { dt { (cut(key, LONGEST)) } dd { (cut(&value.to_string(), LONGEST)) } }
                }
            }
        }
    }
}

/// The keys of all, in the order of their first appearance; rows of /proc/interrupts, which are lists,
/// are left to the JSON report.
fn keys<'a>(all: impl Iterator<Item = &'a Fields>) -> Vec<&'a str> {
    let mut keys = Vec::new();
    for (key, _) in all.flat_map(Fields::iter) {
        if keys.len() < MOST_COLUMNS && !keys.contains(&key) && !is_row(key) {
            keys.push(key);
        }
    }
    keys
}

fn value(value: Option<&Value>) -> String {
    match value {
        None => "–".to_owned(),
        Some(&Value::Whole(whole @ 0..)) => count(whole.unsigned_abs()),
        Some(value) => cut(&value.to_string(), LONGEST),
    }
}
