//! The slowest IPIs, each with its whole story.

use serde::Serialize;

use super::stages::{NAMES, ticks};
use crate::observe::{Clock, Source, Tsc};
use crate::trace::lives::{Delivery, Life};

/// The story of one IPI.
#[derive(Clone, Debug, Serialize)]
pub struct Story {
    /// Its id, as in the trace.
    pub id: String,
    /// The vCPU that sent it; none stands for the devices.
    pub sender: Option<usize>,
    /// Its delivery mode.
    pub delivery: &'static str,
    /// Its vector.
    pub vector: u8,
    /// From the run's start to its sending.
    pub sent_ns: u64,
    /// From its sending to its last end, or to its last injection where nothing ends it.
    pub whole_ns: u64,
    /// Its way to each target.
    pub targets: Vec<StoryTarget>,
}

/// The way to one target.
#[derive(Clone, Debug, Serialize)]
pub struct StoryTarget {
    /// The vCPU.
    pub vcpu: usize,
    /// How it was woken.
    pub kick: Option<&'static str>,
    /// What became of it.
    pub fate: &'static str,
    /// How long each stage took; none was not reached.
    pub stages_ns: [Option<u64>; NAMES.len()],
}

pub(super) fn stories(lives: &[Life], clock: &Clock, most: usize) -> Vec<Story> {
    let mut slowest: Vec<_> = lives
        .iter()
        .filter_map(|life| Some((whole(life)?, life)))
        .collect();
    slowest.sort_by_key(|(ticks, life)| (std::cmp::Reverse(*ticks), life.exited));
    slowest.truncate(most);
    slowest
        .into_iter()
        .map(|(ticks, life)| Story {
            id: format!("{:#x}", life.id.raw()),
            sender: match life.source {
                Source::Vcpu(vcpu) => Some(vcpu),
                Source::Device => None,
            },
            delivery: life.message.delivery.name(),
            vector: life.message.vector,
            sent_ns: clock.time(life.exited),
            whole_ns: clock.nanoseconds(ticks),
            targets: life
                .deliveries
                .iter()
                .map(|delivery| target(life, delivery, clock))
                .collect(),
        })
        .collect()
}

fn target(life: &Life, delivery: &Delivery, clock: &Clock) -> StoryTarget {
    let stages = ticks(life, delivery).unwrap_or_default();
    StoryTarget {
        vcpu: delivery.target,
        kick: delivery.kick.map(|(kick, _)| kick.name()),
        fate: delivery.fate.name(),
        stages_ns: stages.map(|ticks| ticks.map(|ticks| clock.nanoseconds(ticks))),
    }
}

/// Ticks from its sending until it was over for its last target.
fn whole(life: &Life) -> Option<u64> {
    let over = |delivery: &Delivery| delivery.ended.or(delivery.injected);
    let last: Tsc = life.deliveries.iter().filter_map(over).max()?;
    Some(last.since(life.exited))
}
