//! Whether any delivery is unaccounted for.
//!
//! A delivery that was new in a mailbox is injected, or becomes one with a request that is set
//! already, or is refused for a stated reason, or waits when the run ends: accepted by the APIC
//! (pending), or still in the mailbox (waiting). The rest is lost. Each term is counted at its own
//! place by the thread that does the thing; nothing is derived from what it is compared with.

use serde::{Deserialize, Serialize};
use vapic::spec::message::DeliveryMode;

use super::activity::refused;
use super::matrix::Matrix;
use super::spread::Named;
use crate::observe::{Count, Kind, Ledger, Observer, Snapshot};

/// What was left in one vCPU's mailbox, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting([u64; Kind::COUNT]);

impl Waiting {
    /// The same with `count` more of `kind`.
    #[must_use]
    pub const fn with(mut self, kind: Kind, count: u64) -> Self {
        self.0[kind.index()] += count;
        self
    }

    const fn of(&self, kind: Kind) -> u64 {
        self.0[kind.index()]
    }

    fn sum(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// The account of one kind of delivery over all vCPUs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Account {
    /// New in a mailbox.
    pub posted: u64,
    /// Became one with a request that was set.
    pub coalesced_at_accept: u64,
    /// Refused.
    pub refused: u64,
    /// Injected.
    pub injected: u64,
    /// Accepted and not injected when the run ended.
    pub pending: u64,
    /// In the mailbox when the run ended.
    pub waiting: u64,
    /// `posted` less all the others. Below zero: something was delivered that nobody posted.
    pub lost: i64,
}

/// The account of the run.
#[derive(Debug, Serialize)]
pub struct Lost {
    /// Sum of what each kind has lost.
    pub total: i64,
    /// By kind; `vector` is fixed and lowest priority.
    pub by_kind: Named<Account>,
    /// By target, all kinds together.
    pub by_vcpu: Vec<i64>,
}

impl Lost {
    pub(super) fn new<'a>(
        observer: &Observer,
        snapshots: &[Snapshot],
        matrix: &Matrix,
        ledger_of: impl Fn(usize) -> Option<&'a Ledger>,
        waiting: &[Waiting],
    ) -> Self {
        let devices = observer.device_counters().snapshot();
        let mut targets = Snapshot::default();
        snapshots
            .iter()
            .for_each(|snapshot| targets.accumulate(snapshot));
        let mut senders = targets.clone();
        senders.accumulate(&devices);
        let pending = |vcpu, kind| ledger_of(vcpu).map_or(0, |ledger| ledger.pending(kind));

        let account = |kind: Kind| {
            let modes = DeliveryMode::ALL
                .into_iter()
                .filter(|&mode| Kind::of(mode) == kind);
            Account {
                posted: senders.sum(modes.map(Count::PostedNew)),
                coalesced_at_accept: targets.get(Count::CoalescedAtAccept(kind)),
                refused: refused(&targets, kind),
                injected: targets.get(Count::Injected(kind)),
                pending: (0..snapshots.len()).map(|vcpu| pending(vcpu, kind)).sum(),
                waiting: waiting.iter().map(|waiting| waiting.of(kind)).sum(),
                lost: 0,
            }
            .balanced()
        };
        let by_kind: Named<_> = Kind::ALL
            .into_iter()
            .map(|kind| (kind.name(), account(kind)))
            .collect();

        let of_vcpu = |(vcpu, counters): (usize, &Snapshot)| {
            let sum = |count: fn(Kind) -> Count| counters.sum(Kind::ALL.map(count));
            Account {
                posted: matrix.posted_to(vcpu),
                coalesced_at_accept: sum(Count::CoalescedAtAccept),
                refused: Kind::ALL
                    .into_iter()
                    .map(|kind| refused(counters, kind))
                    .sum(),
                injected: sum(Count::Injected),
                pending: Kind::ALL.into_iter().map(|kind| pending(vcpu, kind)).sum(),
                waiting: waiting.get(vcpu).map_or(0, Waiting::sum),
                lost: 0,
            }
            .balanced()
            .lost
        };
        Self {
            total: by_kind.iter().map(|(_, account)| account.lost).sum(),
            by_kind,
            by_vcpu: snapshots.iter().enumerate().map(of_vcpu).collect(),
        }
    }
}

impl Account {
    fn balanced(mut self) -> Self {
        let accounted =
            self.coalesced_at_accept + self.refused + self.injected + self.pending + self.waiting;
        self.lost = self
            .posted
            .cast_signed()
            .wrapping_sub(accounted.cast_signed());
        self
    }
}
