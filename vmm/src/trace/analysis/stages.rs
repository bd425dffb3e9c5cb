//! The stages of a delivery's life.

use serde::Serialize;

use crate::observe::{Clock, Latency, Tsc};
use crate::trace::lives::{Delivery, Life};

/// Names of the stages, in order.
pub const NAMES: [&str; 6] = ["decode", "post", "kick", "wait", "inject", "end"];

/// How long a stage takes.
#[derive(Clone, Debug, Serialize)]
pub struct StageSpread {
    /// The stage.
    pub stage: &'static str,
    /// Deliveries that went through it.
    pub count: u64,
    /// Mean.
    pub mean_ns: u64,
    /// Median.
    pub p50_ns: u64,
    /// What 9 in 10 do not exceed.
    pub p90_ns: u64,
    /// What 99 in 100 do not exceed.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

/// All stages, and their sum.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Stages(pub Vec<StageSpread>);

/// The ticks of each stage of a delivery that was injected; the last is missing without an EOI.
#[must_use]
pub(super) fn ticks(life: &Life, delivery: &Delivery) -> Option<[Option<u64>; NAMES.len()]> {
    let injected = delivery.injected?;
    // A sender's own delivery has no kick, and an NMI no moment at which it was found.
    let called = delivery.kick.map_or(delivery.posted, |(_, at)| at);
    let found = delivery.drained.unwrap_or(called);
    let since = |later: Tsc, earlier: Tsc| Some(later.since(earlier));
    Some([
        since(life.decoded, life.exited),
        since(delivery.posted, life.decoded),
        since(called, delivery.posted),
        // The target may have found it before the sender's kick was over.
        since(found, called),
        since(injected, found),
        delivery.ended.map(|ended| ended.since(injected)),
    ])
}

impl Stages {
    pub(super) fn of(lives: &[Life], clock: &Clock) -> Self {
        let mut stages = NAMES.map(|_| Latency::new());
        let mut whole = Latency::new();
        for life in lives {
            for delivery in &life.deliveries {
                let Some(ticks) = ticks(life, delivery) else {
                    continue;
                };
                for (stage, ticks) in stages.iter_mut().zip(ticks) {
                    ticks.into_iter().for_each(|ticks| stage.record(ticks));
                }
                if let Some(ended) = delivery.ended {
                    whole.record(ended.since(life.exited));
                }
            }
        }
        let named = NAMES.iter().zip(&stages).chain([(&"whole", &whole)]);
        Self(
            named
                .map(|(stage, latency)| StageSpread::new(stage, latency, clock))
                .collect(),
        )
    }
}

impl StageSpread {
    /// The words over a table with a row for each stage: its name, its count, its times.
    pub const COLUMNS: [&str; 7] = ["stage", "count", "mean", "p50", "p90", "p99", "max"];

    /// Its times in the order of [`Self::COLUMNS`].
    #[must_use]
    pub const fn times_ns(&self) -> [u64; 5] {
        [
            self.mean_ns,
            self.p50_ns,
            self.p90_ns,
            self.p99_ns,
            self.max_ns,
        ]
    }

    fn new(stage: &'static str, latency: &Latency, clock: &Clock) -> Self {
        let quantile = |share| clock.nanoseconds(latency.quantile(share));
        Self {
            stage,
            count: latency.count(),
            mean_ns: clock.nanoseconds(latency.mean()),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: quantile(0.99),
            max_ns: clock.nanoseconds(latency.max()),
        }
    }
}
