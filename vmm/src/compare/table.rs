//! A comparison for people.

use super::baseline::{Against, Change};
use super::comparison::Comparison;
use super::figure::Unit;
use super::rows::Row;
use super::turns::order;
use crate::observe::report::columns::{Columns, cell, sum};
use crate::observe::report::{ApicKind, Status};
use crate::observe::{Fields, Value};

/// Most rows shown; the JSON has all.
const MOST_ROWS: usize = 160;
/// Most columns of labels; a guest may invent any number.
const MOST_LABELS: usize = 12;
/// Most runs that failed, and rows of one side only, that are shown.
const MOST_LINES: usize = 20;

impl Comparison {
    /// As a table, ending in a newline.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut sections = vec![self.header(), self.figures()];
        sections.extend(self.against.as_ref().map(changes));
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }

    fn header(&self) -> String {
        let subject = &self.subject;
        let guest = match (subject.kernel.as_str(), subject.scenario.as_str()) {
            ("", scenario) => format!("Scenario {scenario}"),
            (kernel, "") => kernel.to_owned(),
            (kernel, scenario) => format!("{kernel}, scenario {scenario}"),
        };
        let mode = match subject.apic_mode.as_str() {
            "both" => "xAPIC and x2APIC",
            "guest" => "the guest's choice of",
            mode => mode,
        };
        let mut lines = vec![
            format!(
                "{guest} on {} vCPU(s), {mode} mode: the user-space APIC beside KVM's own.",
                subject.cpus
            ),
            format!("  Runs: {}.", self.runs_line()),
            format!("  Host: {}.", self.host_line()),
            format!("  Pinning: {}.", self.pinning_line()),
        ];
        if subject.cpus > self.host.cpus {
            lines.push(format!(
                "  Warning: {} vCPUs share {} host CPU(s): these figures contain the host's \
                 scheduler.",
                subject.cpus, self.host.cpus
            ));
        }
        if self.interrupted {
            let (runs, all) = (self.runs.len(), 2 * self.pairs);
            lines.push(format!("  INTERRUPTED after {runs} of {all} runs."));
        }
        let failed = self.runs.iter().filter(|run| run.status != Status::Passed);
        let failed = failed.count();
        if failed != 0 {
            lines.push(format!(
                "  FAILED: {failed} of {} runs; their figures are left out.",
                self.runs.len()
            ));
            let reasons = self.failures().take(MOST_LINES);
            lines.extend(reasons.map(|reason| format!("    {reason}")));
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn runs_line(&self) -> String {
        let order = (0..self.pairs.min(3)).map(|pair| match order(pair) {
            [ApicKind::Userspace, _] => "UK",
            [ApicKind::Kernel, _] => "KU",
        });
        let order: Vec<_> = order.chain((self.pairs > 3).then_some("...")).collect();
        format!(
            "{} of {} pair(s) complete, in the order {} (U user space, K kernel), each run a VM \
             and a process of its own; {} in all",
            self.complete_pairs(),
            self.pairs,
            order.join(" "),
            sum(self.duration_ns)
        )
    }

    fn host_line(&self) -> String {
        let host = &self.host;
        let load = self.host_load.map_or_else(dash, hundredths);
        format!(
            "{}, {} usable CPU(s), Linux {}, {}, TSC {} kHz, load average {load} before",
            host.cpu_model,
            host.cpus,
            host.kernel,
            if host.virtualized {
                "itself a virtual machine"
            } else {
                "not virtualized"
            },
            self.tsc_khz
        )
    }

    fn pinning_line(&self) -> String {
        let affinity = &self.affinity;
        let (allowed, online) = (&affinity.allowed_cpus, &affinity.online_cpus);
        match affinity.pinned {
            true => format!("to CPUs {allowed} of {online}; threads move among them"),
            false => format!("none; threads move among CPUs {online}"),
        }
    }

    fn figures(&self) -> String {
        let (constant, rows): (Vec<_>, Vec<_>) =
            self.rows.iter().partition(|row| row.is_constant());
        let labels = label_names(&rows);
        let header = ["scenario"]
            .into_iter()
            .chain(labels.iter().copied())
            .chain([
                "figure",
                "user space",
                "kernel",
                "ratio",
                "min",
                "max",
                "pairs",
            ]);
        let mut columns = Columns::new(
            "Medians of the guest's own figures; ratio is user space / kernel in a pair: its \
             median, least and most",
            labels.len() + 2,
            header,
        );
        for row in rows.iter().take(MOST_ROWS) {
            columns.row(self.cells(row, &labels));
        }
        if rows.is_empty() {
            columns.note("No run gave a figure that can be compared.");
        }
        if rows.len() > MOST_ROWS {
            let all = rows.len();
            columns.note(format!(
                "The first {MOST_ROWS} of {all} rows; the JSON has all."
            ));
        }
        if !constant.is_empty() {
            columns.note(format!(
                "{} figure(s) were the same in every run; the JSON has them.",
                constant.len()
            ));
        }
        if self.dropped_figures != 0 {
            columns.note(format!(
                "{} figure(s) were too many to keep.",
                self.dropped_figures
            ));
        }
        columns.text()
    }

    fn cells(&self, row: &Row, labels: &[&str]) -> Vec<String> {
        let figure = |figure: Option<f64>| {
            figure.map_or_else(dash, |figure| shown(&row.figure, figure, self.tsc_khz))
        };
        let mut cells = vec![row.scenario.clone()];
        cells.extend(labels.iter().map(|label| label_of(&row.labels, label)));
        cells.push(cell(&row.figure));
        cells.extend([row.userspace_median, row.kernel_median].map(figure));
        match row.ratio {
            Some(ratio) => {
                cells.extend([ratio.median, ratio.min, ratio.max].map(hundredths));
                cells.push(ratio.count.to_string());
            }
            None => cells.extend([(); 4].map(|()| dash())),
        }
        cells
    }
}

/// The second table: ratios now and then.
fn changes(against: &Against) -> String {
    let mut columns = Columns::new(
        format!(
            "Against {}: ratios now and then, and the medians' change",
            against.file
        ),
        1,
        [
            "row",
            "ratio now",
            "min",
            "max",
            "ratio then",
            "min",
            "max",
            "now/then",
            "spreads",
            "user space",
            "kernel",
        ],
    );
    for change in against.changes.iter().take(MOST_ROWS) {
        columns.row(change_cells(change));
    }
    if against.changes.len() > MOST_ROWS {
        let all = against.changes.len();
        columns.note(format!(
            "The first {MOST_ROWS} of {all} rows; the JSON has all."
        ));
    }
    for difference in &against.differences {
        columns.note(format!("Warning: not the same as then: {difference}."));
    }
    for (when, names) in [("now", &against.only_now), ("then", &against.only_then)] {
        for name in names.iter().take(MOST_LINES) {
            columns.note(format!("Only {when}: {name}"));
        }
        if names.len() > MOST_LINES {
            columns.note(format!("Only {when}: {} more", names.len() - MOST_LINES));
        }
    }
    columns.text()
}

fn change_cells(change: &Change) -> Vec<String> {
    let mut cells = vec![change.name.clone()];
    for ratio in [change.ratio_now, change.ratio_then] {
        cells.extend([ratio.median, ratio.min, ratio.max].map(hundredths));
    }
    cells.push(hundredths(change.ratio_change));
    let spreads = change
        .apart
        .map(|apart| if apart { "apart" } else { "overlap" });
    cells.push(spreads.map_or_else(dash, str::to_owned));
    let times = |change: Option<f64>| change.map_or_else(dash, hundredths);
    cells.extend([change.userspace_change, change.kernel_change].map(times));
    cells
}

/// A time in microseconds; of anything else the number.
fn shown(figure: &str, value: f64, tsc_khz: u64) -> String {
    match Unit::of(figure).microseconds(value, tsc_khz) {
        Some(microseconds) => format!("{microseconds:.2}us"),
        None if value.fract() == 0.0 => format!("{value:.0}"),
        None => hundredths(value),
    }
}

fn hundredths(value: f64) -> String {
    format!("{value:.2}")
}

/// The names of the rows' labels, in the order of their first appearance.
fn label_names<'a>(rows: &[&'a Row]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| row.labels.iter()) {
        if names.len() < MOST_LABELS && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn label_of(labels: &Fields, name: &str) -> String {
    let value = labels.get(name).map(Value::to_string);
    value.map_or_else(dash, |value| cell(&value))
}

fn dash() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests;
