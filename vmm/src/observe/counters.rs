//! The counters of one vCPU: written by its own thread, read by any.

use std::sync::atomic::{AtomicU64, Ordering};

use super::asleep::Asleep;
use super::count::Count;

/// A block of counters and the row of the source x target matrix that goes with it.
///
/// One thread writes, so an addition is a load and a store, not a locked instruction. Accesses are
/// `Relaxed`: a reader gets every counter as it was at some moment, and a consistent picture once
/// it has synchronised with the writer some other way. At a phase's mark the guest has done that:
/// it is quiescent, and what its processors did before reached the marker's writer through the
/// guest's memory, which x86 orders. At the end of a run joining the threads does it.
#[repr(align(128))]
pub struct Counters {
    cells: [AtomicU64; Count::TOTAL],
    asleep: Asleep,
    row: Box<[Quad]>,
}

/// Four targets of a row, so that rows of different vCPUs share no cache line.
#[repr(align(128))]
#[derive(Default)]
struct Quad([[AtomicU64; 2]; 4]);

/// What one source posted to one target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Posts {
    /// Messages that the target's mailbox took as new.
    pub new: u64,
    /// Messages whose equal was waiting there already.
    pub coalesced: u64,
}

impl Counters {
    /// All zero, with a row of `targets`.
    #[must_use]
    pub fn new(targets: usize) -> Self {
        Self {
            cells: [const { AtomicU64::new(0) }; Count::TOTAL],
            asleep: Asleep::default(),
            row: (0..targets.div_ceil(4)).map(|_| Quad::default()).collect(),
        }
    }

    /// Adds to a counter; only the thread that owns the block.
    #[inline]
    pub fn add(&self, count: Count, amount: u64) {
        add(&self.cells[count.index()], amount);
    }

    /// Notes a post to `target`; only the thread that owns the block.
    #[inline]
    pub fn post(&self, target: usize, new: bool) {
        if let Some(Quad(posts)) = self.row.get(target / 4) {
            add(&posts[target % 4][usize::from(!new)], 1);
        }
    }

    /// The time asleep.
    #[must_use]
    #[inline]
    pub const fn asleep(&self) -> &Asleep {
        &self.asleep
    }

    /// All counters now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(
            self.cells
                .iter()
                .map(|cell| cell.load(Ordering::Relaxed))
                .collect(),
        )
    }

    /// The row of the matrix, for the first `targets` targets.
    #[must_use]
    pub fn row(&self, targets: usize) -> Vec<Posts> {
        let posts = self.row.iter().flat_map(|Quad(posts)| posts);
        let load = |[new, coalesced]: &[AtomicU64; 2]| Posts {
            new: new.load(Ordering::Relaxed),
            coalesced: coalesced.load(Ordering::Relaxed),
        };
        posts.take(targets).map(load).collect()
    }
}

#[inline]
fn add(cell: &AtomicU64, amount: u64) {
    cell.store(
        cell.load(Ordering::Relaxed).wrapping_add(amount),
        Ordering::Relaxed,
    );
}

/// The counters of a vCPU at one moment, or their differences between two.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot(Box<[u64]>);

impl Snapshot {
    /// A counter's value; 0 in a snapshot of nothing.
    #[must_use]
    pub fn get(&self, count: Count) -> u64 {
        self.0.get(count.index()).copied().unwrap_or(0)
    }

    /// The sum of several counters.
    #[must_use]
    pub fn sum(&self, counts: impl IntoIterator<Item = Count>) -> u64 {
        counts.into_iter().map(|count| self.get(count)).sum()
    }

    /// What was added since `earlier`.
    #[must_use]
    pub fn difference(&self, earlier: &Self) -> Self {
        let then = earlier.0.iter().copied().chain(std::iter::repeat(0));
        Self(
            self.0
                .iter()
                .zip(then)
                .map(|(now, then)| now.saturating_sub(then))
                .collect(),
        )
    }

    /// Adds the counters of another vCPU.
    pub fn accumulate(&mut self, other: &Self) {
        if self.0.len() < other.0.len() {
            let missing = std::iter::repeat_n(0, other.0.len() - self.0.len());
            self.0 = self.0.iter().copied().chain(missing).collect();
        }
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(sum, value)| *sum += value);
    }

    /// The counters that are not zero, with their places.
    pub fn nonzero(&self) -> impl Iterator<Item = (usize, u64)> {
        self.0
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, value)| value != 0)
    }

    /// The snapshot of which [`Self::nonzero`] gave these.
    pub fn from_nonzero(values: impl IntoIterator<Item = (usize, u64)>) -> Self {
        let mut cells = vec![0; Count::TOTAL];
        for (place, value) in values {
            if let Some(cell) = cells.get_mut(place) {
                *cell = value;
            }
        }
        Self(cells.into_boxed_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::cause::Cause;

    #[test]
    fn a_difference_is_what_was_added_in_between() {
        let counters = Counters::new(1);
        counters.add(Count::Exits(Cause::Hlt), 3);
        let before = counters.snapshot();
        counters.add(Count::Exits(Cause::Hlt), 2);
        counters.add(Count::SentVector(255), 1);
        let difference = counters.snapshot().difference(&before);
        assert_eq!(difference.get(Count::Exits(Cause::Hlt)), 2);
        assert_eq!(difference.nonzero().count(), 2);
    }

    #[test]
    fn a_sum_starts_with_nothing() {
        let counters = Counters::new(0);
        counters.add(Count::Ended, 5);
        counters.add(Count::EndedVector(0x40), 5);
        let mut sum = Snapshot::default();
        sum.accumulate(&counters.snapshot());
        sum.accumulate(&counters.snapshot());
        assert_eq!(
            (sum.get(Count::Ended), sum.get(Count::EndedVector(0x40))),
            (10, 10)
        );
    }

    #[test]
    fn what_is_not_zero_makes_the_snapshot_again() {
        let counters = Counters::new(0);
        counters.add(Count::Parked, 9);
        counters.add(Count::LocalEnded, 1);
        let snapshot = counters.snapshot();
        assert_eq!(Snapshot::from_nonzero(snapshot.nonzero()), snapshot);
    }

    #[test]
    fn a_row_keeps_new_and_coalesced_apart() {
        let counters = Counters::new(6);
        counters.post(5, true);
        counters.post(5, false);
        counters.post(5, false);
        counters.post(99, true);
        let row = counters.row(6);
        assert_eq!(row.len(), 6);
        assert_eq!(
            row.last(),
            Some(&Posts {
                new: 1,
                coalesced: 2
            })
        );
        assert!(row.iter().take(5).all(|posts| *posts == Posts::default()));
    }
}
