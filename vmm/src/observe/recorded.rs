//! What a guest told through its marker port, and what was counted meanwhile.

use super::counters::Snapshot;
use super::marker::Fields;

/// One measured phase.
#[derive(Clone, Debug)]
pub struct Phase {
    /// The scenario it belongs to.
    pub scenario: String,
    /// What it varies: mode, targets, pages.
    pub labels: Fields,
    /// What the guest measured.
    pub results: Fields,
    /// From `begin` to `end`, or between the marks that stand for them, in ticks.
    pub ticks: u64,
    pub(super) counters: Cells,
    /// The same up to the last mark, if there were several.
    pub(super) settled: Option<Cells>,
}

/// For each vCPU the counters that are not zero, by place.
pub(super) type Cells = Vec<Box<[(usize, u64)]>>;

impl Phase {
    /// What each vCPU counted while the guest did what it measures: up to the first mark in the
    /// phase, if there was one, else to its end.
    pub fn vcpus(&self) -> impl Iterator<Item = Snapshot> {
        snapshots(&self.counters)
    }

    /// What each vCPU counted up to the last mark, about which the guest was quiet.
    pub fn settled(&self) -> impl Iterator<Item = Snapshot> {
        snapshots(self.settled.as_ref().unwrap_or(&self.counters))
    }
}

fn snapshots(cells: &Cells) -> impl Iterator<Item = Snapshot> {
    let counters = cells.iter();
    counters.map(|cells| Snapshot::from_nonzero(cells.iter().copied()))
}

/// A result that a guest derived from several phases.
#[derive(Clone, Debug)]
pub struct Derived {
    /// The scenario.
    pub scenario: String,
    /// The result.
    pub results: Fields,
}

/// A failure that a guest reported.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Failure {
    /// The scenario.
    pub scenario: String,
    /// What is wrong.
    pub text: String,
}

/// All that a guest told through its marker port.
#[derive(Clone, Debug, Default)]
pub struct Recorded {
    /// The phases that ended, in that order.
    pub phases: Vec<Phase>,
    /// Results over several phases.
    pub results: Vec<Derived>,
    /// Failures.
    pub failures: Vec<Failure>,
    /// What the guest gave to `exit`.
    pub exit: Option<u32>,
    /// Phases that were begun and not ended.
    pub unfinished_phases: u64,
    /// Phases beyond what is kept.
    pub dropped_phases: u64,
    /// Results beyond what is kept.
    pub dropped_results: u64,
    /// Failures beyond what is kept; they fail the run all the same.
    pub dropped_failures: u64,
    /// Lines that were no markers, or an `end` without its `begin`.
    pub malformed_lines: u64,
}

impl Recorded {
    /// Whether the guest said that it is done and that nothing was wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.exit == Some(0) && self.failures.is_empty() && self.dropped_failures == 0
    }
}
