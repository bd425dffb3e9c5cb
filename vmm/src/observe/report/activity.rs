//! What one vCPU did, or all of them together.

use serde::Serialize;
use vapic::spec::message::DeliveryMode;

use super::spread::{Named, Spread};
use crate::observe::{Cause, Clock, Count, Kick, Kind, Latency, Ledger, Refusal, Snapshot};

/// Exits, IPIs and kicks.
#[derive(Debug, Serialize)]
pub struct Activity {
    /// Number of exits.
    pub exit_count: u64,
    /// Time outside the guest, parking left out.
    pub outside_ns: u64,
    /// Time outside the guest by cause of the exit, parking left out.
    pub exits: Named<Spread>,
    /// Time asleep: the processor was halted or waited for a start-up.
    pub parked: Spread,
    /// The way of the IPIs.
    pub ipis: Ipis,
    /// IPIs sent, by delivery mode.
    pub by_mode: Named<ModeCounts>,
    /// Deliveries received, by kind; `vector` is fixed and lowest priority.
    pub by_kind: Named<KindCounts>,
    /// Kicks sent, by kind.
    pub kicks: Named<u64>,
    /// From sending to injection, for vectors.
    pub send_to_inject: Spread,
    /// From sending to the EOI.
    pub send_to_end: Spread,
    /// From sending to injection, for NMIs.
    pub nmi_send_to_inject: Spread,
}

/// The way of IPIs: the first five are the sender's side, the others the target's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ipis {
    /// IPIs sent.
    pub sent: u64,
    /// Targets that they resolved to.
    pub targets: u64,
    /// Deliveries that were new in a mailbox.
    pub posted: u64,
    /// Deliveries that found an equal one in the mailbox.
    pub coalesced_at_post: u64,
    /// Deliveries accepted.
    pub accepted: u64,
    /// Deliveries that found their request set already.
    pub coalesced_at_accept: u64,
    /// Deliveries refused.
    pub refused: u64,
    /// Deliveries injected: vectors, NMIs, INITs, start-ups.
    pub injected: u64,
    /// Vectors ended.
    pub ended: u64,
    /// Vectors in service that a reset of the APIC forgot.
    pub abandoned: u64,
    /// Injections whose sending is unknown, so that they are in no latency.
    pub unpaired: u64,
    /// Interrupts of local sources injected; no IPIs.
    pub local_injected: u64,
    /// Interrupts of local sources ended.
    pub local_ended: u64,
}

/// The sender's side of one delivery mode.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ModeCounts {
    /// IPIs sent.
    pub sent: u64,
    /// Targets that they resolved to.
    pub targets: u64,
    /// Deliveries that were new in a mailbox.
    pub posted: u64,
    /// Deliveries that found an equal one in the mailbox.
    pub coalesced_at_post: u64,
}

/// The target's side of one kind of delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCounts {
    /// Deliveries accepted.
    pub accepted: u64,
    /// Deliveries that found their request set already.
    pub coalesced_at_accept: u64,
    /// Deliveries refused, by reason.
    pub refused: Named<u64>,
    /// Deliveries injected.
    pub injected: u64,
}

/// One vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VectorCounts {
    /// The vector.
    pub vector: u8,
    /// IPIs sent on it.
    pub sent: u64,
    /// IPIs injected.
    pub injected: u64,
    /// IPIs ended.
    pub ended: u64,
    /// Interrupts of local sources injected.
    pub local_injected: u64,
}

impl Activity {
    /// What `counters` and the durations of `ledgers` say.
    pub(super) fn new<'a>(
        counters: &Snapshot,
        ledgers: impl Iterator<Item = &'a Ledger> + Clone,
        clock: &Clock,
    ) -> Self {
        let durations = ledgers.map(Ledger::durations);
        let spread = |of: &dyn Fn(&'a crate::observe::Durations) -> &'a Latency| {
            Spread::new(durations.clone().map(of), clock)
        };
        Self {
            exit_count: counters.sum(Cause::ALL.map(Count::Exits)),
            outside_ns: clock.nanoseconds(counters.sum(Cause::ALL.map(Count::Outside))),
            exits: Cause::ALL
                .into_iter()
                .map(|cause| (cause.name(), spread(&|known| &known.outside[cause.index()])))
                .collect(),
            parked: spread(&|known| &known.parked),
            ipis: Ipis::new(counters),
            by_mode: DeliveryMode::ALL
                .into_iter()
                .map(|mode| (mode_name(mode), ModeCounts::new(counters, mode)))
                .collect(),
            by_kind: Kind::ALL
                .into_iter()
                .map(|kind| (kind.name(), KindCounts::new(counters, kind)))
                .collect(),
            kicks: kicks(counters),
            send_to_inject: spread(&|known| &known.send_to_inject),
            send_to_end: spread(&|known| &known.send_to_end),
            nmi_send_to_inject: spread(&|known| &known.nmi_send_to_inject),
        }
    }

    /// Exits of the causes [`Cause::OF_IPI`] per IPI sent; 0 if none was.
    #[must_use]
    pub fn exits_per_ipi(&self) -> f64 {
        let of_ipi = Cause::OF_IPI
            .iter()
            .filter_map(|cause| self.exits.get(cause.name()));
        ratio(of_ipi.map(|spread| spread.count).sum(), self.ipis.sent)
    }
}

/// Kicks by kind.
pub(super) fn kicks(counters: &Snapshot) -> Named<u64> {
    Kick::ALL
        .into_iter()
        .map(|kick| (kick.name(), counters.get(Count::Kicks(kick))))
        .collect()
}

/// The name of a delivery mode as a JSON key.
pub(crate) const fn mode_name(mode: DeliveryMode) -> &'static str {
    match mode {
        DeliveryMode::Fixed => "fixed",
        DeliveryMode::LowestPriority => "lowest_priority",
        DeliveryMode::Smi => "smi",
        DeliveryMode::RemoteRead => "remote_read",
        DeliveryMode::Nmi => "nmi",
        DeliveryMode::Init => "init",
        DeliveryMode::StartUp => "start_up",
        DeliveryMode::ExtInt => "ext_int",
    }
}

/// `part / whole`, and 0 for nothing.
#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
pub(super) fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

impl Ipis {
    /// What `counters` say.
    pub(super) fn new(counters: &Snapshot) -> Self {
        let posted = counters.sum(DeliveryMode::ALL.map(Count::PostedNew));
        let coalesced_at_post = counters.sum(DeliveryMode::ALL.map(Count::CoalescedAtPost));
        Self {
            sent: counters.sum(DeliveryMode::ALL.map(Count::Sent)),
            targets: posted + coalesced_at_post,
            posted,
            coalesced_at_post,
            accepted: counters.sum(Kind::ALL.map(Count::Accepted)),
            coalesced_at_accept: counters.sum(Kind::ALL.map(Count::CoalescedAtAccept)),
            refused: Kind::ALL
                .into_iter()
                .map(|kind| refused(counters, kind))
                .sum(),
            injected: counters.sum(Kind::ALL.map(Count::Injected)),
            ended: counters.get(Count::Ended),
            abandoned: counters.get(Count::Abandoned),
            unpaired: counters.get(Count::Unpaired),
            local_injected: counters.get(Count::LocalInjected),
            local_ended: counters.get(Count::LocalEnded),
        }
    }

    /// Deliveries that became one with another, wherever they met.
    #[must_use]
    pub const fn coalesced(&self) -> u64 {
        self.coalesced_at_post + self.coalesced_at_accept
    }
}

/// Deliveries of a kind refused for whatever reason.
pub(super) fn refused(counters: &Snapshot, kind: Kind) -> u64 {
    counters.sum(Refusal::ALL.map(|refusal| Count::Refused(kind, refusal)))
}

impl ModeCounts {
    fn new(counters: &Snapshot, mode: DeliveryMode) -> Self {
        let posted = counters.get(Count::PostedNew(mode));
        let coalesced_at_post = counters.get(Count::CoalescedAtPost(mode));
        Self {
            sent: counters.get(Count::Sent(mode)),
            targets: posted + coalesced_at_post,
            posted,
            coalesced_at_post,
        }
    }
}

impl KindCounts {
    fn new(counters: &Snapshot, kind: Kind) -> Self {
        Self {
            accepted: counters.get(Count::Accepted(kind)),
            coalesced_at_accept: counters.get(Count::CoalescedAtAccept(kind)),
            refused: Refusal::ALL
                .into_iter()
                .map(|refusal| (refusal.name(), counters.get(Count::Refused(kind, refusal))))
                .collect(),
            injected: counters.get(Count::Injected(kind)),
        }
    }
}

impl VectorCounts {
    /// The vectors that occurred, lowest first.
    pub(super) fn all(counters: &Snapshot) -> Vec<Self> {
        let all = (0..=u8::MAX).map(|vector| Self {
            vector,
            sent: counters.get(Count::SentVector(vector)),
            injected: counters.get(Count::InjectedVector(vector)),
            ended: counters.get(Count::EndedVector(vector)),
            local_injected: counters.get(Count::LocalVector(vector)),
        });
        all.filter(|v| v.sent + v.injected + v.ended + v.local_injected != 0)
            .collect()
    }
}
