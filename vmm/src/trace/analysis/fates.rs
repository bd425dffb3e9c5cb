//! What became of deliveries: how many were merged or not taken, and why.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::observe::Kind;
use crate::trace::lives::Life;

/// Deliveries of one kind, on one vector, with one fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FateCount {
    /// Their kind.
    pub kind: &'static str,
    /// Their vector; kinds without one have none.
    pub vector: Option<u8>,
    /// What became of them.
    pub fate: &'static str,
    /// How many.
    pub count: u64,
}

pub(super) fn count(lives: &[Life]) -> Vec<FateCount> {
    let mut counts = BTreeMap::<_, u64>::new();
    for life in lives {
        let kind = Kind::of(life.message.delivery);
        let vector = (kind == Kind::Vector).then_some(life.message.vector);
        for delivery in &life.deliveries {
            let key = (kind.index(), kind.name(), vector, delivery.fate.name());
            *counts.entry(key).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|((_, kind, vector, fate), count)| FateCount {
            kind,
            vector,
            fate,
            count,
        })
        .collect()
}
