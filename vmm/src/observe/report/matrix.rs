//! Who sent to whom.

use serde::Serialize;

use crate::observe::{Observer, Posts};

/// Deliveries by source (rows) and target (columns), of all delivery modes.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// Deliveries that were new in the target's mailbox: `posted[source][target]`.
    pub posted: Vec<Vec<u64>>,
    /// Deliveries that found an equal one there: `coalesced_at_post[source][target]`.
    pub coalesced_at_post: Vec<Vec<u64>>,
    /// What devices sent, new in the target's mailbox, by target.
    pub posted_by_devices: Vec<u64>,
    /// What devices sent and found there already, by target.
    pub coalesced_at_post_by_devices: Vec<u64>,
}

impl Matrix {
    pub(super) fn new(observer: &Observer) -> Self {
        let vcpus = observer.counters().len();
        let rows: Vec<_> = observer
            .counters()
            .iter()
            .map(|counters| counters.row(vcpus))
            .collect();
        let devices = observer.device_counters().row(vcpus);
        let new = |row: &Vec<Posts>| row.iter().map(|posts| posts.new).collect();
        let coalesced = |row: &Vec<Posts>| row.iter().map(|posts| posts.coalesced).collect();
        Self {
            posted: rows.iter().map(new).collect(),
            coalesced_at_post: rows.iter().map(coalesced).collect(),
            posted_by_devices: new(&devices),
            coalesced_at_post_by_devices: coalesced(&devices),
        }
    }

    /// Deliveries that were new in the mailbox of `target`, whoever sent them.
    #[must_use]
    pub fn posted_to(&self, target: usize) -> u64 {
        let rows = self.posted.iter().chain([&self.posted_by_devices]);
        rows.filter_map(|row| row.get(target)).sum()
    }

    /// Deliveries from `source` to `target`, new or not.
    #[must_use]
    pub fn deliveries(&self, source: usize, target: usize) -> u64 {
        let of = |matrix: &[Vec<u64>]| matrix.get(source)?.get(target).copied();
        of(&self.posted).unwrap_or(0) + of(&self.coalesced_at_post).unwrap_or(0)
    }

    /// The vCPUs that send and receive most, at most `most` of them, in the order of their numbers.
    #[must_use]
    pub fn busiest(&self, most: usize) -> Vec<usize> {
        let vcpus = self.posted.len();
        let traffic = |vcpu: usize| -> u64 {
            (0..vcpus)
                .map(|other| self.deliveries(vcpu, other) + self.deliveries(other, vcpu))
                .sum()
        };
        let mut order: Vec<_> = (0..vcpus).map(|vcpu| (traffic(vcpu), vcpu)).collect();
        order.sort_by_key(|&(traffic, vcpu)| (std::cmp::Reverse(traffic), vcpu));
        let mut busiest: Vec<_> = order.into_iter().take(most).map(|(_, vcpu)| vcpu).collect();
        busiest.sort_unstable();
        busiest
    }
}
