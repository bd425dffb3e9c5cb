//! The ids of interrupts under way: left by a sender before its post, taken by the target's owner.
//!
//! A mailbox holds bits, and a bit cannot say whose it is. So each target has a cell for every line
//! on which it can be reached. A sender puts its id there before it posts; the owner takes it after
//! it has drained the bit. The first id stays: when several sends become one interrupt, its latency
//! is that of the earliest.
//!
//! Orderings: all accesses are `Relaxed`. The id is a whole value that publishes nothing but
//! itself, and the mailbox orders the rest: the sender's exchange comes before its post, which is a
//! release; the owner's drain of that bit is an acquire and comes before its swap. So the owner
//! finds the sender's id, or one that another sender of the same line left, or nothing if
//! * two sends met: the second found the first one's id and left none, the owner took that id with
//!   the first bit, and then the second bit came. That delivery is counted as unpaired;
//! * the second sender found the cell empty between the owner's drain and its swap. The first
//!   delivery, itself unpaired until then, takes the second's id and is dated too late by less
//!   than one drain; the second is counted as unpaired.
//!
//! Only latencies are at stake: what is counted comes from the mailbox and is exact.

use std::sync::atomic::{AtomicU64, Ordering};

use super::ipi_id::IpiId;
use super::kind::Line;

/// The lines of one target, on cache lines of their own.
#[repr(align(128))]
struct Target([AtomicU64; Line::COUNT]);

/// The ids under way to every vCPU of a VM; shared by all threads.
pub struct InFlight {
    targets: Box<[Target]>,
}

impl InFlight {
    /// No interrupt under way to any of `vcpus` targets.
    #[must_use]
    pub fn new(vcpus: usize) -> Self {
        let empty = || Target([const { AtomicU64::new(0) }; Line::COUNT]);
        Self {
            targets: (0..vcpus).map(|_| empty()).collect(),
        }
    }

    /// Notes that `id` is about to be posted to `target`; any thread, before the post.
    ///
    /// A target that does not exist is ignored: there is nobody who could take it.
    #[inline]
    pub fn sending(&self, target: usize, line: Line, id: IpiId) {
        if let Some(Target(lines)) = self.targets.get(target) {
            // A cell that is in use belongs to an earlier send, which stays; so failure is fine.
            let _earlier = lines[line.index()].compare_exchange(
                0,
                id.raw(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
        }
    }

    /// Takes the id under way on `line`; the target's owner, after it has drained that line.
    #[inline]
    #[must_use]
    pub fn take(&self, target: usize, line: Line) -> Option<IpiId> {
        let Target(lines) = self.targets.get(target)?;
        IpiId::from_raw(lines[line.index()].swap(0, Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::ipi_id::Source;

    #[test]
    fn the_earliest_send_stays_and_is_taken_once() {
        let in_flight = InFlight::new(2);
        let [first, second] = [100, 200].map(|ticks| IpiId::new(Source::Vcpu(0), ticks));
        in_flight.sending(1, Line::Vector(0x40), first);
        in_flight.sending(1, Line::Vector(0x40), second);
        assert_eq!(in_flight.take(0, Line::Vector(0x40)), None);
        assert_eq!(in_flight.take(1, Line::Nmi), None);
        assert_eq!(in_flight.take(1, Line::Vector(0x40)), Some(first));
        assert_eq!(in_flight.take(1, Line::Vector(0x40)), None);
    }

    #[test]
    fn a_target_that_does_not_exist_is_ignored() {
        let in_flight = InFlight::new(1);
        in_flight.sending(7, Line::Nmi, IpiId::new(Source::Device, 1));
        assert_eq!(in_flight.take(7, Line::Nmi), None);
    }
}
