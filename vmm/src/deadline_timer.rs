//! The host's timer that calls for a vCPU or for the devices when their next deadline comes.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use vmm_sys_util::timerfd::TimerFd;

/// A one-shot timer of the host that remembers what it is armed for.
///
/// It is never disarmed: to look at the time too early is harmless.
pub struct DeadlineTimer {
    timer: TimerFd,
    /// In ns.
    armed_for: Option<u64>,
    /// In ns.
    shortest_wait: u64,
}

impl DeadlineTimer {
    /// A timer that is not armed, and will be for no less than `shortest_wait` ns.
    ///
    /// # Errors
    ///
    /// No timer could be had.
    pub fn new(shortest_wait: u64) -> io::Result<Self> {
        Ok(Self {
            timer: TimerFd::new()?,
            armed_for: None,
            shortest_wait,
        })
    }

    /// Arms it for `deadline` unless it is already; `time` is now, both in ns.
    #[inline]
    pub fn arm(&mut self, deadline: u64, time: u64) {
        if self.armed_for != Some(deadline) {
            let wait = deadline.saturating_sub(time).max(self.shortest_wait);
            // A relative one-shot with a valid duration cannot fail.
            let _ = self.timer.reset(Duration::from_nanos(wait), None);
            self.armed_for = Some(deadline);
        }
    }

    /// It may have expired, a little early by our clock: the same deadline arms it again.
    pub const fn expired(&mut self) {
        self.armed_for = None;
    }
}

impl AsRawFd for DeadlineTimer {
    /// Readable once it has expired.
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const HOUR: u64 = 3_600_000_000_000;

    /// Whether it still waits, after more than the shortest wait of these tests.
    fn waits(timer: &DeadlineTimer) -> bool {
        thread::sleep(Duration::from_millis(1));
        timer.timer.is_armed().unwrap()
    }

    #[test]
    fn a_deadline_arms_it_once_until_it_may_have_expired() {
        let mut timer = DeadlineTimer::new(1000).unwrap();
        timer.arm(HOUR, 0);
        timer.arm(HOUR, HOUR);
        assert!(waits(&timer));
        timer.expired();
        timer.arm(HOUR, HOUR);
        assert!(!waits(&timer));
    }

    #[test]
    fn a_deadline_that_has_passed_is_the_shortest_wait_away() {
        let mut timer = DeadlineTimer::new(HOUR).unwrap();
        timer.arm(5, 10);
        assert!(waits(&timer));
    }
}
