//! Shootdowns: IPIs of one sender on one vector to several targets, and what they cost together.
//!
//! A guest sends them one by one or by one write. IPIs are one group if their sender sent nothing
//! else between them, they have the same vector, no target twice, and each follows within
//! 50 us of the sender's return to the guest. A trace does not tell what the guest
//! waited for; the last EOI is the latest moment at which it can have heard of every target.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::observe::{Clock, Kind, Latency, Source, Tsc};
use crate::trace::lives::Life;

/// The longest time in the guest between two IPIs of a group.
const LONGEST_GAP_NS: u64 = 50_000;

/// What groups of one size cost.
#[derive(Clone, Debug, Serialize)]
pub struct GroupCost {
    /// Targets of each.
    pub targets: usize,
    /// How many groups.
    pub groups: u64,
    /// ICR writes, over all of them.
    pub ipis: u64,
    /// Median time from the first exit to the sender's last return to the guest.
    pub sender_p50_ns: u64,
    /// Median time from the first exit to the last EOI, of groups all of whose targets sent one.
    pub all_ended_p50_ns: u64,
    /// The same, not exceeded by 99 in 100.
    pub all_ended_p99_ns: u64,
}

/// A group that may still grow.
struct Group {
    vector: u8,
    ipis: u64,
    targets: BTreeSet<usize>,
    began: Tsc,
    entered: Tsc,
    /// The last EOI, if all targets of all its IPIs have sent one.
    ended: Option<Tsc>,
}

#[derive(Default)]
struct Costs {
    groups: u64,
    ipis: u64,
    sender: Latency,
    all_ended: Latency,
}

pub(super) fn by_targets(lives: &[Life], clock: &Clock) -> Vec<GroupCost> {
    let mut costs = BTreeMap::<usize, Costs>::new();
    let mut open: Option<(Source, Group)> = None;
    let mut close = |group: Group| {
        let cost = costs.entry(group.targets.len()).or_default();
        cost.groups += 1;
        cost.ipis += group.ipis;
        cost.sender.record(group.entered.since(group.began));
        if let Some(ended) = group.ended {
            cost.all_ended.record(ended.since(group.began));
        }
    };
    for life in lives {
        let next = Group::of(life);
        open = match (open.take(), next) {
            (Some((source, group)), Some(next))
                if source == life.source && group.takes(&next, clock) =>
            {
                Some((source, group.with(next)))
            }
            (before, next) => {
                before.into_iter().for_each(|(_, group)| close(group));
                next.map(|group| (life.source, group))
            }
        };
    }
    open.into_iter().for_each(|(_, group)| close(group));
    let cost = |(targets, costs): (usize, Costs)| GroupCost {
        targets,
        groups: costs.groups,
        ipis: costs.ipis,
        sender_p50_ns: clock.nanoseconds(costs.sender.quantile(0.5)),
        all_ended_p50_ns: clock.nanoseconds(costs.all_ended.quantile(0.5)),
        all_ended_p99_ns: clock.nanoseconds(costs.all_ended.quantile(0.99)),
    };
    costs.into_iter().map(cost).collect()
}

impl Group {
    /// The group of one IPI: a vector for others than its sender.
    fn of(life: &Life) -> Option<Self> {
        let Source::Vcpu(sender) = life.source else {
            return None;
        };
        if Kind::of(life.message.delivery) != Kind::Vector {
            return None;
        }
        let others = life.deliveries.iter().map(|delivery| delivery.target);
        let targets: BTreeSet<_> = others.filter(|&target| target != sender).collect();
        let ends: Option<Vec<_>> = life
            .deliveries
            .iter()
            .map(|delivery| delivery.ended)
            .collect();
        (!targets.is_empty()).then_some(Self {
            vector: life.message.vector,
            ipis: 1,
            targets,
            began: life.exited,
            entered: life.entered?,
            ended: ends.and_then(|ends| ends.into_iter().max()),
        })
    }

    fn takes(&self, next: &Self, clock: &Clock) -> bool {
        self.vector == next.vector
            && self.targets.is_disjoint(&next.targets)
            && clock.nanoseconds(next.began.since(self.entered)) <= LONGEST_GAP_NS
    }

    fn with(mut self, next: Self) -> Self {
        self.ipis += next.ipis;
        self.targets.extend(next.targets);
        self.entered = next.entered;
        self.ended = self
            .ended
            .zip(next.ended)
            .map(|(one, other)| one.max(other));
        self
    }
}
