//! A measured phase as the report shows it.

use serde::Serialize;

use super::activity::{Ipis, ratio};
use super::agreement::{Comparison, RowAgreement};
use super::spread::Named;
use crate::observe::{Cause, Clock, Count, Fields, Kick, Phase, Snapshot};

/// A phase: what the guest says of it, and what every vCPU counted in it.
#[derive(Debug, Serialize)]
pub struct PhaseReport {
    /// The scenario.
    pub scenario: String,
    /// What it varies.
    pub labels: Fields,
    /// What the guest measured.
    pub results: Fields,
    /// From its beginning to its end.
    pub duration_ns: u64,
    /// IPIs sent, all vCPUs together.
    pub ipis_sent: u64,
    /// Exits because of IPIs per IPI sent, all vCPUs together.
    pub exits_per_ipi: f64,
    /// Each vCPU's counters: exits by cause under the cause's name, time outside the guest by
    /// cause as `<cause>_ns`, and the way of the IPIs.
    pub vcpus: Vec<PhaseCounts>,
    /// Linux guests: their own counts beside ours.
    pub agreement: Vec<RowAgreement>,
}

/// What one vCPU counted in a phase.
#[derive(Debug, Serialize)]
pub struct PhaseCounts {
    /// All exits.
    pub exits: u64,
    /// Exits by cause.
    #[serde(flatten)]
    pub by_cause: Named<u64>,
    /// Time outside the guest by cause.
    #[serde(flatten)]
    pub by_cause_ns: Named<u64>,
    /// Time asleep.
    pub parked_ns: u64,
    /// The way of the IPIs.
    #[serde(flatten)]
    pub ipis: Ipis,
    /// Deliveries coalesced, at the post or at acceptance.
    pub coalesced: u64,
    /// Kicks sent, by kind.
    #[serde(flatten)]
    pub kicks: Named<u64>,
}

impl PhaseReport {
    pub(super) fn new(phase: &Phase, clock: &Clock, linux: Option<&Comparison>) -> Self {
        let mut sum = Snapshot::default();
        phase.vcpus().for_each(|counters| sum.accumulate(&counters));
        let ipis_sent = Ipis::new(&sum).sent;
        Self {
            scenario: phase.scenario.clone(),
            labels: phase.labels.clone(),
            results: phase.results.clone(),
            duration_ns: clock.nanoseconds(phase.ticks),
            ipis_sent,
            exits_per_ipi: ratio(sum.sum(Cause::OF_IPI.map(Count::Exits)), ipis_sent),
            vcpus: phase
                .vcpus()
                .map(|counters| PhaseCounts::new(&counters, clock))
                .collect(),
            agreement: linux.map_or_else(Vec::new, |linux| linux.of_phase(phase)),
        }
    }
}

impl PhaseCounts {
    /// Exits of one cause.
    #[must_use]
    pub fn exits_by(&self, cause: Cause) -> u64 {
        self.by_cause.get(cause.name()).copied().unwrap_or(0)
    }

    /// Time outside the guest by exits of one cause.
    #[must_use]
    pub fn outside_ns(&self, cause: Cause) -> u64 {
        let key = nanoseconds_key(cause);
        self.by_cause_ns.get(key).copied().unwrap_or(0)
    }

    fn new(counters: &Snapshot, clock: &Clock) -> Self {
        let ipis = Ipis::new(counters);
        let causes = Cause::ALL.into_iter();
        let outside = |cause| clock.nanoseconds(counters.get(Count::Outside(cause)));
        let kicks = Kick::ALL.into_iter();
        Self {
            exits: counters.sum(Cause::ALL.map(Count::Exits)),
            by_cause: causes
                .clone()
                .map(|cause| (cause.name(), counters.get(Count::Exits(cause))))
                .collect(),
            by_cause_ns: causes
                .map(|cause| (nanoseconds_key(cause), outside(cause)))
                .collect(),
            parked_ns: clock.nanoseconds(counters.get(Count::Parked)),
            coalesced: ipis.coalesced(),
            ipis,
            kicks: kicks
                .map(|kick| (kick_key(kick), counters.get(Count::Kicks(kick))))
                .collect(),
        }
    }
}

const fn kick_key(kick: Kick) -> &'static str {
    match kick {
        Kick::None => "kicks_none",
        Kick::Unpark => "kicks_unpark",
        Kick::Signal => "kicks_signal",
    }
}

const fn nanoseconds_key(cause: Cause) -> &'static str {
    match cause {
        Cause::ApicIcr => "apic_icr_ns",
        Cause::ApicIcr2 => "apic_icr2_ns",
        Cause::ApicSelfIpi => "apic_self_ipi_ns",
        Cause::ApicEoi => "apic_eoi_ns",
        Cause::ApicTpr => "apic_tpr_ns",
        Cause::ApicSvr => "apic_svr_ns",
        Cause::ApicLvt => "apic_lvt_ns",
        Cause::ApicTimer => "apic_timer_ns",
        Cause::ApicOther => "apic_other_ns",
        Cause::ApicBase => "apic_base_ns",
        Cause::Hlt => "hlt_ns",
        Cause::Window => "window_ns",
        Cause::SetTpr => "set_tpr_ns",
        Cause::Kick => "kick_ns",
        Cause::Port => "port_ns",
        Cause::Mmio => "mmio_ns",
        Cause::Msr => "msr_ns",
        Cause::Other => "other_ns",
    }
}
