//! What a Linux guest's workloads cost, and whether its counts of interrupts agree with ours.

use super::{MOST_LINES, MOST_PHASES};
use crate::linux::vectors::VectorMap;
use crate::observe::report::agreement::{list, release};
use crate::observe::report::columns::{Columns, cell, microseconds};
use crate::observe::report::{MEDIAN, PhaseCounts, PhaseReport, Report, RowAgreement, Verdict};
use crate::observe::{Cause, Value};

/// Labels of a phase, and how often it did the operation.
const ITERATIONS: &str = "iterations";
const SHARERS: &str = "sharers";
const PAGES: &str = "pages";

/// The tables, empty for guests that are no Linux with our init.
pub(super) fn sections(report: &Report) -> Vec<String> {
    let results = report.results.iter();
    let results = results.map(|result| (result.scenario.as_str(), &result.results));
    let Some(release) = release(results) else {
        return Vec::new();
    };
    let workloads = || report.phases.iter().filter(|phase| is_workload(phase));
    vec![
        costs(report, workloads()),
        side_by_side(workloads()),
        further_targets(workloads()),
        agreement(report, &release),
    ]
}

/// Whether a phase is a workload of the Linux init.
pub(super) fn is_workload(phase: &PhaseReport) -> bool {
    phase.results.get(MEDIAN).is_some()
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
            "counted",
            "IPIs",
            "targets",
            "IPI exits",
            "IPI time",
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
        ];
        let operations = whole(phase.results.get(ITERATIONS)).unwrap_or(0);
        // Of fewer, the largest is all that there is to say.
        row.push(if operations >= 100 {
            time("ns_p99")
        } else {
            dash()
        });
        row.push(time("ns_max"));
        row.push(counted(phase, "tlb", operations));
        row.push(counted(phase, "ipis", operations));
        row.extend(match operations {
            1.. if report.ipis_observed => observed(phase, operations),
            _ => [(); 4].map(|()| dash()),
        });
        columns.row(row);
    }
    columns.note(
        "Shootdowns and counted IPIs (RES and CAL) are the guest's own counts, the others what was",
    );
    columns.note("seen from outside. What prepares an operation is in them, and what the kernel does meanwhile.");
    columns.text()
}

/// What the guest counted on all processors, for each operation.
fn counted(phase: &PhaseReport, key: &str, operations: u64) -> String {
    match phase.results.get(key).and_then(list) {
        Some(counts) if operations > 0 => each(counts.into_iter().sum(), operations),
        _ => dash(),
    }
}

/// What the VMM saw, for each of so many operations.
fn observed(phase: &PhaseReport, operations: u64) -> [String; 4] {
    let sum = |of: &dyn Fn(&PhaseCounts) -> u64| phase.vcpus.iter().map(of).sum::<u64>();
    let exits = |vcpu: &PhaseCounts| Cause::OF_IPI.map(|cause| vcpu.exits_by(cause)).iter().sum();
    let time = |vcpu: &PhaseCounts| {
        Cause::OF_IPI
            .map(|cause| vcpu.outside_ns(cause))
            .iter()
            .sum()
    };
    [
        each(phase.ipis_sent, operations),
        each(sum(&|vcpu| vcpu.ipis.targets), operations),
        each(sum(&exits), operations),
        microseconds(sum(&time) / operations),
    ]
}

/// The ways to take a page from others, side by side: what each costs for the same pages and sharers.
fn side_by_side<'a>(phases: impl Iterator<Item = &'a PhaseReport> + Clone) -> String {
    const WAYS: [&str; 3] = ["munmap", "madvise_free", "mprotect"];
    let header = WAYS
        .iter()
        .flat_map(|way| [format!("{way} p50"), "shootdowns".to_owned()]);
    let labels = [SHARERS, PAGES].map(str::to_owned);
    let mut columns = Columns::new(
        "munmap beside MADV_FREE beside mprotect, one operation each",
        2,
        labels.into_iter().chain(header),
    );
    let place = |phase: &PhaseReport| [SHARERS, PAGES].map(|key| cell_of(phase.labels.get(key)));
    let first = phases.clone().filter(|phase| phase.scenario == WAYS[0]);
    for at in first.map(place).take(MOST_PHASES) {
        let cells = WAYS.iter().flat_map(|way| {
            let mut same = phases.clone();
            let phase = same.find(|phase| phase.scenario == *way && place(phase) == at);
            let Some(phase) = phase else {
                return [dash(), dash()];
            };
            let operations = whole(phase.results.get(ITERATIONS)).unwrap_or(0);
            let median = whole(phase.results.get(MEDIAN)).map_or_else(dash, microseconds);
            [median, counted(phase, "tlb", operations)]
        });
        columns.row(at.clone().into_iter().chain(cells));
    }
    columns.text()
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
fn agreement(report: &Report, release: &str) -> String {
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
            "different",
        ],
    );
    if report.ipis_observed && VectorMap::of_release(release).is_none() {
        columns.note(format!(
            "The vectors of Linux {} are not known, so its counts are not compared; see \
             resources/vectors.",
            cell(release)
        ));
    }
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
            (rows.len() - with(Verdict::Equal)).to_string(),
        ]);
    }
    let unequal = report.phases.iter().flat_map(|phase| {
        let rows = phase.agreement.iter();
        rows.filter(|row| row.verdict != Verdict::Equal)
            .map(move |row| (phase, row))
    });
    for (phase, row) in unequal.clone().take(MOST_LINES) {
        columns.note(difference(phase, row));
    }
    let all = unequal.count();
    if all > MOST_LINES {
        columns.note(format!(
            "The first {MOST_LINES} of {all} rows that differ; the JSON report has all."
        ));
    }
    columns.text()
}

fn difference(phase: &PhaseReport, row: &RowAgreement) -> String {
    let labels: Vec<_> = phase
        .labels
        .iter()
        .map(|(key, value)| format!("{key}={}", cell(&value.to_string())))
        .collect();
    let RowAgreement {
        row: name,
        guest,
        injected,
        verdict,
    } = row;
    let counted = match verdict {
        Verdict::Untold => "the guest did not tell its counts".to_owned(),
        Verdict::Equal | Verdict::Different => format!("counted {guest:?}"),
    };
    let place = format!("{} {}", phase.scenario, labels.join(" "));
    format!("{place}, {name}: injected {injected:?}, {counted}")
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
