//! The recording end of a trace: a ring of records that one thread fills and the writer empties.
//!
//! Recording neither allocates nor locks. What a full ring costs is the user's choice: the record,
//! which is then counted, or the thread's time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rtrb::{Consumer, Producer, PushError, RingBuffer};

use super::record::Record;
use crate::observe::Event;

/// What is done when a ring is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The record is dropped and counted.
    #[default]
    Drop,
    /// The thread waits for room: nothing is lost, and the guest runs later.
    Wait,
}

/// Memory for the rings of a VM, all together.
const RING_BYTES: usize = 64 << 20;
/// Records of a ring: at least so many, whatever the number of vCPUs, and at most.
const FEWEST: usize = 1 << 12;
const MOST: usize = 1 << 17;

/// How long a thread that waits for room leaves the processor to the writer.
const NAP: Duration = Duration::from_micros(50);

/// What the recorders of a VM share.
#[derive(Clone, Debug, Default)]
pub(super) struct Shared {
    /// Records that no ring took, or no file.
    pub(super) lost: Arc<AtomicU64>,
    /// The VM ends: nobody waits for room any more, which a file that has stalled would never make.
    pub(super) ending: Arc<AtomicBool>,
}

/// The end at which a thread puts its events.
pub struct Recorder {
    ring: Producer<Record>,
    shared: Shared,
    policy: Policy,
}

/// The end at which the writer takes them.
pub(super) struct Source {
    /// Records in the order of their making.
    pub(super) ring: Consumer<Record>,
}

/// The two ends of a ring for one of `sources` threads.
#[must_use]
pub(super) fn ring(sources: usize, policy: Policy, shared: &Shared) -> (Recorder, Source) {
    let share = RING_BYTES / size_of::<Record>() / sources.max(1);
    let (producer, consumer) = RingBuffer::new(share.clamp(FEWEST, MOST));
    let recorder = Recorder {
        ring: producer,
        shared: shared.clone(),
        policy,
    };
    (recorder, Source { ring: consumer })
}

impl Recorder {
    /// Keeps an event.
    #[inline]
    pub fn record(&mut self, event: &Event) {
        if let Err(PushError::Full(record)) = self.ring.push(Record::of(event)) {
            self.full(record);
        }
    }

    #[cold]
    fn full(&mut self, record: Record) {
        loop {
            let ending = self.shared.ending.load(Ordering::Relaxed);
            // A writer that is gone makes no room any more.
            if self.policy == Policy::Drop || ending || self.ring.is_abandoned() {
                self.shared.lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            thread::sleep(NAP);
            if self.ring.push(record).is_ok() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_drops_whole_records_and_counts_them() {
        let shared = Shared::default();
        let (mut recorder, mut source) = ring(usize::MAX, Policy::Drop, &shared);
        let event = |number: usize| Event::Lint0(number.is_multiple_of(3));
        for number in 0..FEWEST + 3 {
            recorder.record(&event(number));
        }
        assert_eq!(shared.lost.load(Ordering::Relaxed), 3);
        let kept: Vec<_> = source
            .ring
            .read_chunk(FEWEST)
            .unwrap()
            .into_iter()
            .map(|record| record.decode().unwrap().event)
            .collect();
        assert!(kept.into_iter().eq((0..FEWEST).map(event)));
    }

    #[test]
    fn a_recorder_that_waits_loses_nothing_until_the_writer_is_gone() {
        let shared = Shared::default();
        let (mut recorder, mut source) = ring(usize::MAX, Policy::Wait, &shared);
        let events = 3 * FEWEST;
        let taken = thread::scope(|scope| {
            scope.spawn(move || {
                let mut taken = 0;
                while taken < events {
                    taken += usize::from(source.ring.pop().is_ok());
                }
            });
            for _ in 0..events {
                recorder.record(&Event::Reset);
            }
            events
        });
        assert_eq!((taken, shared.lost.load(Ordering::Relaxed)), (events, 0));
        for _ in 0..=FEWEST {
            recorder.record(&Event::Reset);
        }
        assert!(shared.lost.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn nobody_waits_for_room_once_the_vm_ends() {
        let shared = Shared::default();
        let (mut recorder, _source) = ring(usize::MAX, Policy::Wait, &shared);
        shared.ending.store(true, Ordering::Relaxed);
        for _ in 0..FEWEST + 2 {
            recorder.record(&Event::Reset);
        }
        assert_eq!(shared.lost.load(Ordering::Relaxed), 2);
    }
}
