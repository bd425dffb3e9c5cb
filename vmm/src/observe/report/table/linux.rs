//! What a Linux guest's workloads cost, and whether its counts of interrupts agree with ours.

use super::{MOST_LINES, MOST_PHASES};
use crate::observe::report::columns::{Columns, cell, microseconds};
use crate::observe::report::{PhaseReport, Report, RowAgreement, Verdict};
use crate::observe::{Cause, Value};

/// What the guest measured in a phase: its median in ns, and how often it did the operation.
const MEDIAN: &str = "ns_p50";
const ITERATIONS: &str = "iterations";
const SHARERS: &str = "sharers";
const PAGES: &str = "pages";

/// The tables, empty for guests that are no Linux with our init.
pub(super) fn sections(report: &Report) -> [String; 3] {
    let workloads = || {
        let phases = report.phases.iter();
        phases.filter(|phase| phase.results.get(MEDIAN).is_some())
    };
    [
        costs(report, workloads()),
        further_targets(workloads()),
        agreement(report),
    ]
}

/// Per operation: the guest's median, and what the VMM saw of it.
fn costs<'a>(report: &Report, phases: impl Iterator<Item = &'a PhaseReport>) -> String {
    let mut columns = Columns::new(
        "Workloads, one operation each",
        1,
        [
            "workload",
            SHARERS,
            PAGES,
            "min",
            "p50",
            "p99",
            "max",
            "shootdowns",
            "IPIs",
            "targets",
            "IPI exits",
            "exit time",
        ],
    );
    for phase in phases.take(MOST_PHASES) {
        let label = |key| cell_of(phase.labels.get(key));
        let time = |key| whole(phase.results.get(key)).map_or_else(dash, microseconds);
        let mut row = vec![
            phase.scenario.clone(),
            label(SHARERS),
            label(PAGES),
            time("ns_min"),
            time(MEDIAN),
            time("ns_p99"),
            time("ns_max"),
        ];
        let operations = whole(phase.results.get(ITERATIONS)).filter(|&count| count > 0);
        row.extend(match operations {
            Some(operations) if report.ipis_observed => observed(phase, operations),
            _ => [(); 5].map(|()| dash()),
        });
        columns.row(row);
    }
    columns.text()
}

/// What the VMM saw, for each of so many operations. A shootdown is a flush that the guest counted
/// on another processor.
fn observed(phase: &PhaseReport, operations: u64) -> [String; 5] {
    let sum = |of: &dyn Fn(&crate::observe::report::PhaseCounts) -> u64| {
        phase.vcpus.iter().map(of).sum::<u64>()
    };
    let exits = |phase: &crate::observe::report::PhaseCounts| {
        Cause::OF_IPI
            .into_iter()
            .map(|cause| phase.by_cause.get(cause.name()).copied().unwrap_or(0))
            .sum()
    };
    let outside = sum(&|vcpu| vcpu.by_cause_ns.iter().map(|(_, ns)| *ns).sum());
    let flushes = phase.results.get("tlb").map_or_else(dash, |list| {
        let list = list.to_string();
        let flushes = list
            .split(',')
            .filter_map(|count| count.parse::<u64>().ok());
        each(flushes.sum(), operations)
    });
    [
        flushes,
        each(phase.ipis_sent, operations),
        each(sum(&|vcpu| vcpu.ipis.targets), operations),
        each(sum(&exits), operations),
        microseconds(outside / operations),
    ]
}

fn each(count: u64, operations: u64) -> String {
    let hundredths =
        (u128::from(count) * 100 + u128::from(operations) / 2) / u128::from(operations);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// By how much an operation's median grows with each further sharer, from the fewest to the most.
fn further_targets<'a>(phases: impl Iterator<Item = &'a PhaseReport>) -> String {
    let mut columns = Columns::new(
        "One more target",
        1,
        ["workload", PAGES, "sharers", "p50 each"],
    );
    type Point = (u64, u64);
    let mut ranges: Vec<(String, String, Point, Point)> = Vec::new();
    for phase in phases {
        let sharers = whole(phase.labels.get(SHARERS));
        let Some(point) = sharers.zip(whole(phase.results.get(MEDIAN))) else {
            continue;
        };
        let (name, pages) = (&phase.scenario, cell_of(phase.labels.get(PAGES)));
        match ranges
            .iter_mut()
            .find(|(known, of, ..)| known == name && *of == pages)
        {
            Some((.., first, last)) => {
                *first = point.min(*first);
                *last = point.max(*last);
            }
            None => ranges.push((name.clone(), pages, point, point)),
        }
    }
    for (name, pages, (fewest, low), (most, high)) in ranges.into_iter().take(MOST_PHASES) {
        if most > fewest {
            let more = i128::from(high) - i128::from(low);
            let nanoseconds = more / i128::from(most - fewest);
            let sign = if nanoseconds < 0 { "-" } else { "" };
            let size = u64::try_from(nanoseconds.unsigned_abs()).unwrap_or(u64::MAX);
            columns.row([
                name,
                pages,
                format!("{fewest} to {most}"),
                format!("{sign}{}", microseconds(size)),
            ]);
        }
    }
    columns.text()
}

/// Our injections against the guest's own counts: sums by row, and every row that is not equal.
fn agreement(report: &Report) -> String {
    let mut columns = Columns::new(
        "Injected, and counted by the guest in /proc/interrupts",
        2,
        [
            "workload",
            "row",
            "rows",
            "injected",
            "counted",
            "equal",
            "edge",
            "different",
        ],
    );
    let mut sums: Vec<(&str, &str, Vec<&RowAgreement>)> = Vec::new();
    for phase in &report.phases {
        for row in &phase.agreement {
            let name = phase.scenario.as_str();
            match sums
                .iter_mut()
                .find(|(known, of, _)| *known == name && *of == row.row)
            {
                Some((.., rows)) => rows.push(row),
                None => sums.push((name, row.row, vec![row])),
            }
        }
    }
    for (name, row, rows) in sums.iter().take(MOST_PHASES) {
        let with = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
        let sum = |of: fn(&RowAgreement) -> &[u64]| {
            rows.iter().flat_map(|row| of(row)).sum::<u64>().to_string()
        };
        columns.row([
            (*name).to_owned(),
            (*row).to_owned(),
            rows.len().to_string(),
            sum(|row| &row.injected),
            sum(|row| &row.guest),
            with(Verdict::Equal).to_string(),
            with(Verdict::Edge).to_string(),
            with(Verdict::Different).to_string(),
        ]);
    }
    let unequal = report.phases.iter().flat_map(|phase| {
        let rows = phase.agreement.iter();
        rows.filter(|row| row.verdict != Verdict::Equal)
            .map(move |row| (phase, row))
    });
    for (phase, row) in unequal.take(MOST_LINES) {
        columns.note(explanation(phase, row));
    }
    columns.text()
}

fn explanation(phase: &PhaseReport, row: &RowAgreement) -> String {
    let RowAgreement {
        row: name,
        guest,
        injected,
        edge,
        verdict,
    } = row;
    let labels: Vec<_> = phase
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={}", cell(&value.to_string())))
        .collect();
    let why = match verdict {
        Verdict::Equal => return String::new(),
        Verdict::Edge => {
            "the excess came between a mark and the guest's reading beside it, where \
                          it counted"
        }
        Verdict::Different => "not explained by what it counted at the edges,",
    };
    let place = format!("{} {}", phase.scenario, labels.join(" "));
    format!("{place}, {name}: injected {injected:?}, counted {guest:?}: {why} {edge:?}")
}

fn whole(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::Whole(number) => u64::try_from(*number).ok(),
        Value::Large(number) => Some(*number),
        Value::Decimal(_) | Value::Text(_) => None,
    }
}

fn cell_of(value: Option<&Value>) -> String {
    value.map_or_else(dash, |value| cell(&value.to_string()))
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_rounded_to_hundredths() {
        assert_eq!(each(1, 3), "0.33");
        assert_eq!(each(2, 3), "0.67");
        assert_eq!(each(30, 10), "3.00");
        assert_eq!(each(0, 7), "0.00");
    }
}
