//! Time as the processor counts it: raw TSC stamps, and their worth in nanoseconds.
#![expect(unsafe_code, reason = "reading the time-stamp counter is an intrinsic")]

use std::arch::x86_64::_rdtsc;

/// A reading of the host's time-stamp counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tsc(pub u64);

impl Tsc {
    /// The counter now.
    ///
    /// The read is not serialising: neighbouring instructions may move across it, which is
    /// nanoseconds where an exit is microseconds.
    #[must_use]
    #[inline]
    pub fn now() -> Self {
        // SAFETY: RDTSC exists on every x86-64 processor and touches no memory; the host forbids it
        // (CR4.TSD) only to programs that ask for that with prctl, which this one does not.
        Self(unsafe { _rdtsc() })
    }

    /// Ticks from `earlier` to this stamp; 0 if the counters of two cores disagree on the order.
    #[must_use]
    #[inline]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The start of a run and the rate of its stamps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    start: Tsc,
    khz: u64,
}

impl Clock {
    /// A clock for a run that starts at `start` on a counter of `khz` kHz.
    ///
    /// A rate of 0 is taken as 1 GHz, so that a host which does not tell yields ticks as they are.
    #[must_use]
    pub const fn new(start: Tsc, khz: u64) -> Self {
        Self {
            start,
            khz: if khz == 0 { 1_000_000 } else { khz },
        }
    }

    /// The run's start.
    #[must_use]
    pub const fn start(&self) -> Tsc {
        self.start
    }

    /// Ticks since the run's start.
    #[must_use]
    #[inline]
    pub const fn elapsed(&self, at: Tsc) -> u64 {
        at.since(self.start)
    }

    /// Nanoseconds since the run's start: the time of APICs, devices and reports.
    #[must_use]
    #[inline]
    pub fn time(&self, at: Tsc) -> u64 {
        self.nanoseconds(self.elapsed(at))
    }

    /// The counter's rate in kHz.
    #[must_use]
    pub const fn khz(&self) -> u64 {
        self.khz
    }

    /// A number of ticks in nanoseconds, rounded down; it saturates after 584 years.
    #[must_use]
    pub fn nanoseconds(&self, ticks: u64) -> u64 {
        let exact = u128::from(ticks) * 1_000_000 / u128::from(self.khz);
        u64::try_from(exact).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_without_overflow() {
        let clock = Clock::new(Tsc(1000), 2_600_000);
        assert_eq!(clock.nanoseconds(26), 10);
        assert_eq!(
            clock.nanoseconds(2_600_000_000 * 86_400),
            86_400 * 1_000_000_000
        );
        assert_eq!(Clock::new(Tsc(0), 1).nanoseconds(u64::MAX), u64::MAX);
        assert_eq!(clock.elapsed(Tsc(1500)), 500);
        assert_eq!(clock.elapsed(Tsc(900)), 0);
        assert_eq!(clock.time(Tsc(1026)), 10);
    }

    #[test]
    fn an_unknown_rate_does_not_divide_by_zero() {
        assert_eq!(Clock::new(Tsc(0), 0).nanoseconds(7), 7);
    }

    #[test]
    fn the_counter_advances() {
        let first = Tsc::now();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(Tsc::now().since(first) > 0);
    }
}
