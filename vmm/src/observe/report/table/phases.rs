//! The guest's phases, a table for each scenario.

use super::linux::is_workload;
use super::{MOST_LINES, MOST_PHASES};
use crate::observe::report::agreement::is_row;
use crate::observe::report::columns::{Columns, cell};
use crate::observe::report::{PhaseReport, Report};
use crate::observe::{Fields, Value};

/// Most columns of labels, and of results; a guest may invent any number.
const MOST_COLUMNS: usize = 12;

pub(super) fn by_scenario(report: &Report) -> Vec<String> {
    let mut scenarios: Vec<&str> = Vec::new();
    let phases = report.phases.iter().map(|phase| phase.scenario.as_str());
    for scenario in phases.chain(report.results.iter().map(|result| result.scenario.as_str())) {
        if !scenarios.contains(&scenario) {
            scenarios.push(scenario);
        }
    }
    scenarios.truncate(MOST_LINES);
    scenarios
        .into_iter()
        .map(|scenario| of_scenario(report, scenario))
        .collect()
}

fn of_scenario(report: &Report, scenario: &str) -> String {
    // Linux's workloads have tables of their own.
    let phases: Vec<_> = report
        .phases
        .iter()
        .filter(|phase| phase.scenario == scenario && !is_workload(phase))
        .collect();
    let labels = keys(phases.iter().map(|phase| &phase.labels));
    let mut results = keys(phases.iter().map(|phase| &phase.results));
    results.retain(|key| !is_row(key));
    let observed: &[&str] = if report.ipis_observed {
        &["IPIs", "exits/IPI"]
    } else {
        &[]
    };
    let header = labels.iter().chain(&results).chain(observed);
    let title = format!("Scenario {scenario}, as the guest measured it");
    let mut columns = Columns::new(title, labels.len(), header);
    for phase in phases.iter().take(MOST_PHASES) {
        let mut row: Vec<_> = labels
            .iter()
            .map(|key| value(phase.labels.get(key)))
            .collect();
        row.extend(results.iter().map(|key| value(phase.results.get(key))));
        if report.ipis_observed {
            row.extend(vmm_side(phase));
        }
        columns.row(row);
    }
    if phases.len() > MOST_PHASES {
        let all = phases.len();
        columns.note(format!(
            "The first {MOST_PHASES} of {all} phases; the JSON report has all."
        ));
    }
    let derived = report
        .results
        .iter()
        .filter(|result| result.scenario == scenario);
    for result in derived.clone().take(MOST_LINES) {
        columns.note(format!("result: {}", fields(&result.results)));
    }
    let all = derived.count();
    if all > MOST_LINES {
        columns.note(format!(
            "The first {MOST_LINES} of {all} results; the JSON report has all."
        ));
    }
    columns.text()
}

fn vmm_side(phase: &PhaseReport) -> [String; 2] {
    [
        phase.ipis_sent.to_string(),
        format!("{:.2}", phase.exits_per_ipi),
    ]
}

/// The keys of all, in the order of their first appearance.
fn keys<'a>(all: impl Iterator<Item = &'a Fields>) -> Vec<&'a str> {
    let mut keys = Vec::new();
    for (key, _) in all.flat_map(Fields::iter) {
        if keys.len() < MOST_COLUMNS && !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

fn value(value: Option<&Value>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| cell(&value.to_string()))
}

fn fields(fields: &Fields) -> String {
    let shown = fields.iter().take(MOST_COLUMNS);
    let shown: Vec<_> = shown
        .map(|(key, value)| format!("{key}={}", cell(&value.to_string())))
        .collect();
    shown.join(" ")
}
