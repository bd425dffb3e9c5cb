//! The APIC timer: time goes in, a deadline comes out (SDM 3A, APIC §5.4).
//!
//! One tick at divide 1 is one nanosecond: the timer's clock is 1 GHz, as KVM's is. The count is
//! computed from the absolute expiry whenever it is asked for; nothing ticks.

use crate::spec::lvt::LvtEntry;

/// What the timer counts, from bits 18:17 of its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimerMode {
    OneShot,
    Periodic,
    TscDeadline,
    /// 11b: nothing counts.
    Reserved,
}

impl TimerMode {
    pub(crate) const fn of(entry: LvtEntry) -> Self {
        match (entry.tsc_deadline(), entry.periodic()) {
            (false, false) => Self::OneShot,
            (false, true) => Self::Periodic,
            (true, false) => Self::TscDeadline,
            (true, true) => Self::Reserved,
        }
    }

    const fn has_count(self) -> bool {
        matches!(self, Self::OneShot | Self::Periodic)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Timer {
    initial: u32,
    divide: u32,
    /// log2 of the divisor that `divide` stands for.
    shift: u32,
    mode: TimerMode,
    /// When the count reaches zero or the guest's TSC its deadline, in ns; [`NEVER`] while stopped.
    expiry: u64,
    /// IA32_TSC_DEADLINE; 0 while disarmed.
    tsc_deadline: u64,
}

/// The end of time, 584 years after its beginning; nothing happens then.
pub(crate) const NEVER: u64 = u64::MAX;

/// Where TSC deadlines beyond it are moved to, so that an armed one has an expiry in any snapshot.
const FARTHEST: u64 = NEVER / 2;

impl Timer {
    pub(crate) const RESET: Self = Self {
        initial: 0,
        divide: 0,
        shift: Self::shift(0),
        mode: TimerMode::OneShot,
        expiry: NEVER,
        tsc_deadline: 0,
    };

    pub(crate) const fn initial(&self) -> u32 {
        self.initial
    }

    pub(crate) const fn divide(&self) -> u32 {
        self.divide
    }

    #[inline]
    pub(crate) const fn deadline(&self) -> Option<u64> {
        match self.expiry {
            NEVER => None,
            expiry => Some(expiry),
        }
    }

    /// Whether the timer has expired by `now`, see [`Self::advance`].
    #[inline]
    pub(crate) const fn is_due(&self, now: u64) -> bool {
        self.expiry <= now
    }

    /// log2 of the divisor: bits 3, 1 and 0 of the register count 2, 4, ... 128, then 1.
    pub(crate) const fn shift(divide: u32) -> u32 {
        ((divide >> 1 & 4 | divide & 3) + 1) & 7
    }

    const fn duration(&self, ticks: u32) -> u64 {
        // No divisor is beyond 128; this costs no instruction to be sure of it.
        (ticks as u64).wrapping_shl(self.shift)
    }

    /// Writes the initial count, which starts the timer, or stops it if it is 0; ignored in modes
    /// that have no count.
    #[inline]
    pub(crate) const fn start(&mut self, count: u32, now: u64) {
        if !self.mode.has_count() {
            return;
        }
        self.initial = count;
        self.expiry = match count {
            0 => NEVER,
            count => now.saturating_add(self.duration(count)),
        };
    }

    /// Goes on with a count or towards a deadline, of which this much time is left; whether that can
    /// be.
    pub(crate) fn resume(
        &mut self,
        initial: u32,
        tsc_deadline: u64,
        left: Option<u64>,
        now: u64,
    ) -> bool {
        self.initial = initial;
        self.tsc_deadline = tsc_deadline;
        self.expiry = left.map_or(NEVER, |left| now.saturating_add(left));
        match self.mode {
            TimerMode::OneShot | TimerMode::Periodic => {
                // A count of 0 is no count, and stops.
                let fits = |left| initial != 0 && left <= self.duration(initial);
                tsc_deadline == 0 && left.is_none_or(fits)
            }
            TimerMode::TscDeadline => {
                let fits = left.is_some() == (tsc_deadline != 0);
                initial == 0 && fits && left.is_none_or(|left| left <= FARTHEST)
            }
            TimerMode::Reserved => initial == 0 && left.is_none() && tsc_deadline == 0,
        }
    }

    /// What remains of the count, or until the deadline, in ns; `None` while stopped.
    ///
    /// No more than all of it: a clock that ran backwards must not make a count that nobody wrote.
    pub(crate) fn remaining(&self, now: u64) -> Option<u64> {
        let expiry = self.deadline()?;
        let period = self.duration(self.initial);
        Some(match self.mode {
            TimerMode::TscDeadline => expiry.saturating_sub(now),
            _ if now < expiry => (expiry - now).min(period),
            TimerMode::Periodic if period != 0 => period - (now - expiry) % period,
            _ => 0,
        })
    }

    /// The current count; 0 when stopped or expired, and in modes that have no count.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "no more than the 32-bit initial count"
    )]
    pub(crate) fn current(&self, now: u64) -> u32 {
        if !self.mode.has_count() {
            return 0;
        }
        let remaining = self.remaining(now).unwrap_or(0);
        remaining.div_ceil(1 << (self.shift & 7)) as u32
    }

    /// Changes the divisor: what has elapsed elapsed at the old rate, what remains counts at the new.
    #[inline(never)]
    pub(crate) fn set_divide(&mut self, divide: u32, now: u64) {
        if divide & 0xB == self.divide {
            // A tick that has begun would begin again.
            return;
        }
        let remaining = self.current(now);
        self.divide = divide & 0xB;
        self.shift = Self::shift(divide);
        if self.expiry != NEVER && self.mode.has_count() {
            self.expiry = now.saturating_add(self.duration(remaining));
        }
    }

    /// One-shot and periodic exchange without touching the count; every other change of mode
    /// disarms the timer and forgets count and deadline.
    pub(crate) const fn set_mode(&mut self, mode: TimerMode) {
        let keeps = self.mode.has_count() && mode.has_count()
            || matches!(
                (self.mode, mode),
                (TimerMode::TscDeadline, TimerMode::TscDeadline)
            );
        if !keeps {
            self.initial = 0;
            self.expiry = NEVER;
            self.tsc_deadline = 0;
        }
        self.mode = mode;
    }

    /// IA32_TSC_DEADLINE; 0 while disarmed, as always in other modes.
    pub(crate) const fn tsc_deadline(&self) -> u64 {
        self.tsc_deadline
    }

    /// Writes IA32_TSC_DEADLINE, which the guest's TSC reaches at `due`: 0 disarms; ignored in other
    /// modes.
    pub(crate) fn set_tsc_deadline(&mut self, deadline: u64, due: u64) {
        if self.mode == TimerMode::TscDeadline {
            self.tsc_deadline = deadline;
            self.expiry = match deadline {
                0 => NEVER,
                _ => due.min(FARTHEST),
            };
        }
    }

    /// Lets time reach `now`; whether the timer expired on the way, which disarms a deadline.
    ///
    /// However many periods have gone by, they are one interrupt, and the phase is kept.
    pub(crate) fn advance(&mut self, now: u64) -> bool {
        let Some(expiry) = self.deadline().filter(|&expiry| expiry <= now) else {
            return false;
        };
        let period = self.duration(self.initial);
        self.expiry = match self.mode {
            TimerMode::Periodic if period != 0 => {
                now.saturating_add(period - (now - expiry) % period)
            }
            _ => NEVER,
        };
        self.tsc_deadline = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(mode: TimerMode, divide: u32, count: u32) -> Timer {
        let mut timer = Timer::RESET;
        timer.set_mode(mode);
        timer.set_divide(divide, 0);
        timer.start(count, 0);
        timer
    }

    #[test]
    fn divide_configuration_is_that_of_the_manual() {
        let table = [
            (0, 2),
            (1, 4),
            (2, 8),
            (3, 16),
            (8, 32),
            (9, 64),
            (10, 128),
            (11, 1),
        ];
        for (register, divisor) in table {
            assert_eq!(
                1u32 << Timer::shift(register),
                divisor,
                "register {register:#x}"
            );
        }
    }

    #[test]
    fn one_shot_counts_down_fires_once_and_stays_at_zero() {
        let mut timer = timer(TimerMode::OneShot, 0b1011, 1000);
        assert_eq!(
            (timer.deadline(), timer.current(1), timer.current(999)),
            (Some(1000), 999, 1)
        );
        assert!(!timer.advance(999));
        assert!(timer.advance(1000));
        assert!(!timer.advance(5000));
        assert_eq!((timer.deadline(), timer.current(5000)), (None, 0));
    }

    #[test]
    fn periods_missed_are_one_interrupt_in_phase() {
        let mut timer = timer(TimerMode::Periodic, 0b1011, 100);
        assert_eq!(
            timer.current(350),
            50,
            "a late reader sees the running period"
        );
        assert!(timer.advance(350));
        assert_eq!(timer.deadline(), Some(400));
        assert!(!timer.advance(399));
        assert!(timer.advance(400));
        assert_eq!(timer.deadline(), Some(500));
    }

    #[test]
    fn a_new_divisor_counts_from_now() {
        let mut timer = timer(TimerMode::OneShot, 0b0000, 1000);
        timer.set_divide(0b0001, 1000);
        assert_eq!((timer.current(1000), timer.deadline()), (500, Some(3000)));
    }

    #[test]
    fn modes_exchange_without_touching_the_count() {
        let mut timer = timer(TimerMode::OneShot, 0b1011, 1000);
        timer.set_mode(TimerMode::Periodic);
        assert_eq!(timer.current(400), 600);
        assert!(timer.advance(1000));
        assert_eq!(timer.deadline(), Some(2000));
        timer.set_mode(TimerMode::OneShot);
        assert!(timer.advance(2000));
        timer.set_mode(TimerMode::Periodic);
        assert_eq!((timer.deadline(), timer.current(2001)), (None, 0));
    }

    #[test]
    fn the_end_of_time_does_not_overflow() {
        let mut timer = timer(TimerMode::Periodic, 0b1010, u32::MAX);
        timer.start(u32::MAX, u64::MAX - 1);
        assert_eq!(
            timer.deadline(),
            None,
            "an expiry beyond the end of time is never"
        );
        timer.start(u32::MAX, u64::MAX - (u64::from(u32::MAX) << 7) - 1);
        assert_eq!(timer.deadline(), Some(u64::MAX - 1));
        assert!(timer.current(u64::MAX) > 0);
        timer.set_divide(0b1011, u64::MAX);
        let _ = timer.advance(u64::MAX);
    }
}
