//! Who sends IPIs, and whom they interrupt.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::observe::{Clock, Source};
use crate::trace::lives::{Fate, Life};

/// The IPIs of one vCPU, or of the devices, on one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// The vCPU; none stands for the devices.
    pub vcpu: Option<usize>,
    /// IPIs sent; for a target those that reached it.
    pub ipis: u64,
    /// Deliveries, to all targets; for a target those injected into it.
    pub deliveries: u64,
    /// For a target: from injection to EOI, summed.
    pub in_service_ns: u64,
}

pub(super) fn senders(lives: &[Life]) -> Vec<Traffic> {
    let mut traffic = BTreeMap::<_, Traffic>::new();
    for life in lives {
        let vcpu = match life.source {
            Source::Vcpu(vcpu) => Some(vcpu),
            Source::Device => None,
        };
        let of = traffic.entry(vcpu).or_insert_with(|| Traffic::none(vcpu));
        of.ipis += 1;
        of.deliveries += life.deliveries.len() as u64;
    }
    busiest_first(traffic)
}

pub(super) fn victims(lives: &[Life], clock: &Clock) -> Vec<Traffic> {
    let mut traffic = BTreeMap::<_, Traffic>::new();
    for delivery in lives.iter().flat_map(|life| &life.deliveries) {
        let vcpu = Some(delivery.target);
        let of = traffic.entry(vcpu).or_insert_with(|| Traffic::none(vcpu));
        of.ipis += 1;
        of.deliveries += u64::from(delivery.fate == Fate::Injected);
        if let (Some(injected), Some(ended)) = (delivery.injected, delivery.ended) {
            let served = clock.nanoseconds(ended.since(injected));
            of.in_service_ns = of.in_service_ns.saturating_add(served);
        }
    }
    busiest_first(traffic)
}

impl Traffic {
    const fn none(vcpu: Option<usize>) -> Self {
        Self {
            vcpu,
            ipis: 0,
            deliveries: 0,
            in_service_ns: 0,
        }
    }
}

fn busiest_first(traffic: BTreeMap<Option<usize>, Traffic>) -> Vec<Traffic> {
    let mut traffic: Vec<_> = traffic.into_values().collect();
    traffic.sort_by_key(|of| std::cmp::Reverse((of.ipis, of.deliveries)));
    traffic
}
