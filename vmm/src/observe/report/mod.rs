//! The report of a run: one model, shown as a table for people or as JSON.
//!
//! Units are in the names (`_ns`, `_bytes`, `_khz`). A name that has been released keeps its
//! meaning; a change of meaning is a new [`SCHEMA`].

mod activity;
mod agreement;
pub(crate) mod columns;
mod json;
mod lost;
mod matrix;
mod phase;
mod run;
mod spread;
mod table;

use serde::Serialize;

pub(crate) use activity::mode_name;
pub use activity::{Activity, Ipis, KindCounts, ModeCounts, VectorCounts};
pub(crate) use agreement::is_row;
pub use agreement::{RowAgreement, Verdict};
pub(crate) use columns::Columns;
pub use lost::{Account, Lost, Waiting};
pub use matrix::Matrix;
pub use phase::{PhaseCounts, PhaseReport};
pub use run::{ApicKind, Ending, Host, Outcome, Run, Status, TraceFacts};
pub use spread::{Named, Spread};

/// The result of a phase that is its operation's median; a phase without one measures nothing.
const MEDIAN: &str = "ns_p50";

use agreement::Comparison;

use super::{Failure, Fields, Ledger, Observer, Source};

/// Number of the JSON's schema.
pub const SCHEMA: u32 = 1;

/// All that was seen of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was run, where, and how it ended.
    pub run: Run,
    /// Whether it passed, and why not.
    pub outcome: Outcome,
    /// Whether IPIs are seen at all: the kernel's APIC delivers them without an exit.
    pub ipis_observed: bool,
    /// Exits that exist because of IPIs (ICR, ICR2, SELF IPI, EOI, window, kick) per IPI sent.
    pub exits_per_ipi: f64,
    /// Sums over all vCPUs.
    pub totals: Activity,
    /// Deliveries unaccounted for.
    pub lost: Lost,
    /// Each vCPU.
    pub vcpus: Vec<VcpuReport>,
    /// IPIs by vector, those that occurred.
    pub vectors: Vec<VectorCounts>,
    /// Who sent to whom.
    pub matrix: Matrix,
    /// The guest's measured phases.
    pub phases: Vec<PhaseReport>,
    /// Results that the guest derived.
    pub results: Vec<ResultReport>,
    /// Failures that the guest reported.
    pub failures: Vec<Failure>,
    /// What of the guest's markers is not above.
    pub markers: MarkerCounts,
}

/// One vCPU.
#[derive(Debug, Serialize)]
pub struct VcpuReport {
    /// Its number.
    pub vcpu: usize,
    /// What it did.
    #[serde(flatten)]
    pub activity: Activity,
    /// Its IPIs by vector, those that occurred: sent by it, injected into it and ended by it.
    pub vectors: Vec<VectorCounts>,
    /// Deliveries to it that are unaccounted for.
    pub lost: i64,
}

/// A result that the guest derived from several phases.
#[derive(Debug, Serialize)]
pub struct ResultReport {
    /// The scenario.
    pub scenario: String,
    /// The result.
    pub results: Fields,
}

/// Markers that left no phase, result or failure in the report.
#[derive(Debug, Serialize)]
pub struct MarkerCounts {
    /// The status that the guest gave to `exit`, if it did.
    pub exit_status: Option<u32>,
    /// Phases begun and not ended.
    pub unfinished_phases: u64,
    /// Phases beyond the most that are kept.
    pub dropped_phases: u64,
    /// Results beyond the most that are kept.
    pub dropped_results: u64,
    /// Failures beyond the most that are kept.
    pub dropped_failures: u64,
    /// Lines that made no sense.
    pub malformed_lines: u64,
}

impl Report {
    /// Puts together what was observed, once the vCPUs' threads have ended.
    ///
    /// `ledgers` may be in any order, and one may be missing if its thread failed: then durations
    /// and what was pending are unknown for that vCPU, and its counters are still right.
    /// `waiting` holds, for each vCPU, what was left in its mailbox; missing ones are empty.
    #[must_use]
    pub fn collect(run: Run, observer: &Observer, ledgers: &[Ledger], waiting: &[Waiting]) -> Self {
        let clock = observer.clock();
        let snapshots: Vec<_> = observer
            .counters()
            .iter()
            .map(|counters| counters.snapshot())
            .collect();
        let ledger_of = |vcpu| {
            ledgers
                .iter()
                .find(|ledger| ledger.source() == Source::Vcpu(vcpu))
        };

        let activities = snapshots
            .iter()
            .enumerate()
            .map(|(vcpu, snapshot)| Activity::new(snapshot, ledger_of(vcpu).into_iter(), &clock));
        let activities: Vec<_> = activities.collect();
        let mut sum = super::Snapshot::default();
        snapshots
            .iter()
            .for_each(|snapshot| sum.accumulate(snapshot));
        let totals = Activity::new(&sum, ledgers.iter(), &clock);

        let matrix = Matrix::new(observer);
        let lost = Lost::new(observer, &snapshots, &matrix, ledger_of, waiting);
        let recorded = observer.recorded();
        let vcpus = activities.into_iter().zip(&snapshots).zip(&lost.by_vcpu);
        let vcpus = vcpus.enumerate();
        let vcpus = vcpus.map(|(vcpu, ((activity, counters), &lost))| VcpuReport {
            vcpu,
            activity,
            vectors: VectorCounts::all(counters),
            lost,
        });
        let ipis_observed = run.apic == ApicKind::Userspace;
        // KVM's own APIC injects where nobody sees it.
        let linux = Comparison::new(&recorded.results).filter(|_| ipis_observed);
        let phases = recorded
            .phases
            .iter()
            .map(|phase| PhaseReport::new(phase, &clock, linux.as_ref()));
        let phases: Vec<_> = phases.collect();
        let results = recorded.results.iter().map(|derived| ResultReport {
            scenario: derived.scenario.clone(),
            results: derived.results.clone(),
        });

        Self {
            schema: SCHEMA,
            outcome: Outcome::new(&run, &recorded, &lost, &phases),
            ipis_observed,
            exits_per_ipi: totals.exits_per_ipi(),
            vcpus: vcpus.collect(),
            vectors: VectorCounts::all(&sum),
            phases,
            results: results.collect(),
            markers: MarkerCounts {
                exit_status: recorded.exit,
                unfinished_phases: recorded.unfinished_phases,
                dropped_phases: recorded.dropped_phases,
                dropped_results: recorded.dropped_results,
                dropped_failures: recorded.dropped_failures,
                malformed_lines: recorded.malformed_lines,
            },
            failures: recorded.failures,
            run,
            totals,
            lost,
            matrix,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
