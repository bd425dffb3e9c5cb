//! A guest's figures as they are in the report of its run.

use serde::Deserialize;

use crate::observe::Fields;
use crate::observe::report::{Host, Outcome};

/// What is read of a report of `vapic run --report json`.
#[derive(Debug, Deserialize)]
pub(super) struct RunReport {
    pub(super) run: Facts,
    pub(super) outcome: Outcome,
    phases: Vec<Phase>,
    results: Vec<Derived>,
}

/// What was run.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Facts {
    pub(super) apic_mode: String,
    pub(super) scenario: String,
    pub(super) kernel: String,
    pub(super) cpus: usize,
    pub(super) memory_bytes: u64,
    pub(super) tsc_khz: u64,
    pub(super) duration_ns: u64,
    pub(super) host: Host,
}

#[derive(Debug, Deserialize)]
struct Phase {
    scenario: String,
    labels: Fields,
    results: Fields,
}

#[derive(Debug, Deserialize)]
struct Derived {
    scenario: String,
    results: Fields,
}

/// One figure of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    pub(super) scenario: String,
    pub(super) labels: Fields,
    /// The guest's name for it, which tells its unit.
    pub(super) name: String,
    pub(super) value: f64,
}

impl RunReport {
    /// The figures to compare: of a phase its medians, or all its numbers if it has no median; of
    /// what the guest derived from several phases, whatever is a time.
    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = Vec::new();
        for phase in &self.phases {
            let has_median = phase.results.iter().any(|(name, _)| is_median(name));
            let shown = |name: &str| !has_median || is_median(name);
            figures.extend(numbers(
                &phase.scenario,
                &phase.labels,
                &phase.results,
                shown,
            ));
        }
        for derived in &self.results {
            let of_scenario = |phase: &&Phase| phase.scenario == derived.scenario;
            let phases: Vec<_> = self.phases.iter().filter(of_scenario).take(1).collect();
            // Its labels are those by which the scenario's phases differ.
            let is_label = |name: &str| phases.iter().any(|phase| phase.labels.get(name).is_some());
            let labels = derived
                .results
                .iter()
                .filter(|(name, _)| is_label(name))
                .map(|(name, value)| (name.to_owned(), value.clone()))
                .collect();
            let shown = |name: &str| !is_label(name) && Unit::of(name) != Unit::None;
            figures.extend(numbers(&derived.scenario, &labels, &derived.results, shown));
        }
        figures
    }
}

fn numbers(
    scenario: &str,
    labels: &Fields,
    results: &Fields,
    shown: impl Fn(&str) -> bool,
) -> Vec<Figure> {
    let numbers = results
        .iter()
        .filter(|(name, _)| shown(name))
        .filter_map(|(name, value)| Some((name, value.number()?)));
    numbers
        .map(|(name, value)| Figure {
            scenario: scenario.to_owned(),
            labels: labels.clone(),
            name: name.to_owned(),
            value,
        })
        .collect()
}

fn is_median(name: &str) -> bool {
    name.ends_with("_median") || name.ends_with("_p50")
}

/// The unit of a figure, by a word of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Cycles of the TSC.
    Cycles,
    /// Nanoseconds.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// A count, or what is not known.
    None,
}

impl Unit {
    /// The unit of the figure of that name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        let units = name.split('_').map(|word| match word {
            "cycles" => Self::Cycles,
            "ns" => Self::Nanoseconds,
            "us" | "microseconds" => Self::Microseconds,
            _ => Self::None,
        });
        units
            .into_iter()
            .find(|unit| *unit != Self::None)
            .unwrap_or(Self::None)
    }

    /// A figure of this unit in microseconds, if it is a time.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "no TSC has a rate beyond 53 bits"
    )]
    pub fn microseconds(self, value: f64, tsc_khz: u64) -> Option<f64> {
        let microseconds = match self {
            Self::Cycles => value * 1e3 / tsc_khz as f64,
            Self::Nanoseconds => value / 1e3,
            Self::Microseconds => value,
            Self::None => return None,
        };
        microseconds.is_finite().then_some(microseconds)
    }
}

/// Scenario, labels and figure in one line.
pub(super) fn name(scenario: &str, labels: &Fields, figure: &str) -> String {
    let labels = labels.iter();
    let labels: String = labels
        .map(|(label, value)| format!("{label}={value} "))
        .collect();
    format!("{scenario} {labels}{figure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(phases: &str, results: &str) -> Vec<String> {
        let report = format!(
            r#"{{"schema": 1,
                "run": {{"version": "0.1.0", "apic": "kernel", "apic_mode": "both",
                    "scenario": "ping", "kernel": "", "cpus": 2, "memory_bytes": 1,
                    "tsc_khz": 1000000, "duration_ns": 5, "host": {{"cpu_model": "Example",
                    "cpus": 2, "kernel": "6.18", "virtualized": true}}}},
                "outcome": {{"status": "passed", "reasons": [], "guest_code": null}},
                "phases": [{phases}], "results": [{results}]}}"#
        );
        let report: RunReport = serde_json::from_str(&report).unwrap();
        let line = |figure: &Figure| {
            let name = name(&figure.scenario, &figure.labels, &figure.name);
            format!("{name}={}", figure.value)
        };
        report.figures().iter().map(line).collect()
    }

    #[test]
    fn a_phase_shows_its_medians() {
        let phase = r#"{"scenario": "ping", "labels": {"target": "masked", "mode": "xapic"},
            "results": {"iterations": 9, "cycles_median": 120, "cycles_mean": 4,
            "beyond_cycles_median": 7.5}}"#;
        assert_eq!(
            figures(phase, ""),
            [
                "ping target=masked mode=xapic cycles_median=120",
                "ping target=masked mode=xapic beyond_cycles_median=7.5"
            ]
        );
    }

    #[test]
    fn a_phase_without_a_median_shows_its_numbers() {
        let phase = r#"{"scenario": "storm", "labels": {}, "results": {"handled": 3, "by": "x"}}"#;
        assert_eq!(figures(phase, ""), ["storm handled=3"]);
    }

    #[test]
    fn what_was_derived_shows_its_times() {
        let phase = r#"{"scenario": "shootdown", "labels": {"pages": 1},
            "results": {"ns_p50": 3}}"#;
        let fit = r#"{"scenario": "shootdown", "results": {"pages": 1, "per_target_cycles": 50,
            "rule_ratio": 1.5}},
            {"scenario": "linux", "results": {"release": "6.1", "processors": 4}}"#;
        assert_eq!(
            figures(phase, fit),
            [
                "shootdown pages=1 ns_p50=3",
                "shootdown pages=1 per_target_cycles=50"
            ]
        );
    }

    #[test]
    fn times_are_known_by_their_names() {
        let time = |name, value| Unit::of(name).microseconds(value, 2_000_000);
        assert_eq!(time("cycles_median", 4000.0), Some(2.0));
        assert_eq!(time("ns_p50", 1500.0), Some(1.5));
        assert_eq!(time("microseconds", 7.0), Some(7.0));
        assert_eq!(time("handled", 7.0), None);
        assert_eq!(Unit::of("cycles").microseconds(1.0, 0), None);
    }
}
