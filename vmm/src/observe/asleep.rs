//! How long a vCPU's thread has slept so far, a sleep that is under way included.

use std::sync::atomic::{AtomicU64, Ordering};

/// Set while the thread sleeps.
const ASLEEP: u64 = 1 << 63;
/// The bits of a sum of ticks; at 5 GHz they last 58 years.
const TICKS: u64 = ASLEEP - 1;
/// A sum beyond this comes of a reader whose TSC is behind the sleeper's.
const LONGEST: u64 = TICKS >> 1;

/// Ticks asleep, written by the thread that sleeps and readable by any.
///
/// All of it is one word: the sum while awake; while asleep the sum less the moment of falling
/// asleep, so that a reader adds the present moment to it. A reader thus never sees half a change,
/// and what it reads never goes back. The accesses are `Relaxed`, for nothing hangs on them.
#[derive(Debug, Default)]
pub struct Asleep(AtomicU64);

impl Asleep {
    /// The owner: falls asleep at `now`, in ticks since the run's start.
    #[inline]
    pub fn begin(&self, now: u64) {
        let sum = self.0.load(Ordering::Relaxed) & TICKS;
        let word = sum.wrapping_sub(now) & TICKS | ASLEEP;
        self.0.store(word, Ordering::Relaxed);
    }

    /// The owner: is awake again at `now`.
    #[inline]
    pub fn end(&self, now: u64) {
        self.0.store(self.ticks(now), Ordering::Relaxed);
    }

    /// Ticks slept until `now`.
    #[must_use]
    pub fn ticks(&self, now: u64) -> u64 {
        let word = self.0.load(Ordering::Relaxed);
        if word & ASLEEP == 0 {
            return word;
        }
        let sum = word.wrapping_add(now) & TICKS;
        if sum > LONGEST { 0 } else { sum }
    }

    /// Whether it sleeps.
    #[must_use]
    pub fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed) & ASLEEP != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sleep_under_way_counts_up_to_the_moment_of_the_look() {
        let asleep = Asleep::default();
        assert_eq!((asleep.ticks(500), asleep.now()), (0, false));
        asleep.begin(1_000);
        assert_eq!((asleep.ticks(1_000), asleep.now()), (0, true));
        assert_eq!(asleep.ticks(1_300), 300);
        asleep.end(1_400);
        assert_eq!((asleep.ticks(9_000), asleep.now()), (400, false));
        asleep.begin(10_000);
        assert_eq!(asleep.ticks(10_050), 450);
    }

    #[test]
    fn a_reader_whose_clock_is_behind_sees_no_sleep_of_centuries() {
        let asleep = Asleep::default();
        asleep.begin(1_000);
        assert_eq!(asleep.ticks(990), 0);
        asleep.end(1_100);
        assert_eq!(asleep.ticks(0), 100);
    }
}
