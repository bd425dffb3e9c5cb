//! How long a halted vCPU's thread looks for a wake-up before it goes to sleep.
//!
//! Waking a sleeping thread costs the sender a system call and the target a trip through the
//! scheduler. KVM's own APIC avoids both by polling for a while in HLT (Linux,
//! Documentation/virt/kvm/halt-polling.rst); this is the same adaptive window for a HLT that leaves
//! to user space: it grows while wake-ups come soon after the window, and vanishes when they do not.

use std::hint;

use super::kick::Presence;
use crate::observe::{Clock, Tsc};

/// The first window, and the longest, in ns: those of KVM's `halt_poll_ns_grow_start` and
/// `halt_poll_ns`.
const FIRST: u64 = 10_000;
const LONGEST: u64 = 200_000;
/// By how much a window grows, as KVM's `halt_poll_ns_grow`.
const GROWTH: u64 = 2;

/// The window of one vCPU.
#[derive(Clone, Copy, Debug)]
pub struct HaltPoll {
    /// In ns.
    window: u64,
    enabled: bool,
}

impl HaltPoll {
    /// No window yet. Polling is worth its processor time only where each vCPU has a processor of
    /// the host to itself; elsewhere it would take time from the very thread it waits for.
    #[must_use]
    pub fn new(vcpus: usize, host_cpus: usize) -> Self {
        Self {
            window: 0,
            enabled: vcpus <= host_cpus,
        }
    }

    /// Looks for a kick during the window; whether one came.
    #[must_use]
    pub fn wait(&self, presence: &Presence, since: Tsc, clock: &Clock) -> bool {
        if self.window == 0 {
            return false;
        }
        while clock.nanoseconds(Tsc::now().since(since)) < self.window {
            for _ in 0..32 {
                if presence.is_kicked() {
                    return true;
                }
                hint::spin_loop();
            }
        }
        false
    }

    /// Learns from a wait that lasted `waited` ns in all.
    pub fn learn(&mut self, waited: u64) {
        if !self.enabled || waited <= self.window {
            return;
        }
        self.window = if waited >= LONGEST {
            0
        } else {
            (self.window * GROWTH).clamp(FIRST, LONGEST)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_grows_to_what_is_waited_for_and_vanishes_when_it_is_in_vain() {
        let mut poll = HaltPoll::new(2, 2);
        for (waited, window) in [
            (50_000, 10_000),
            (50_000, 20_000),
            (50_000, 40_000),
            (50_000, 80_000),
            (50_000, 80_000),
            (199_999, 160_000),
            (199_999, 200_000),
            (1_000_000, 0),
            (5_000, 10_000),
        ] {
            poll.learn(waited);
            assert_eq!(poll.window, window, "after {waited} ns");
        }
    }

    #[test]
    fn vcpus_that_share_processors_do_not_poll() {
        let mut poll = HaltPoll::new(3, 2);
        poll.learn(50_000);
        assert!(!poll.wait(
            &Presence::new(),
            Tsc::now(),
            &Clock::new(Tsc::now(), 1_000_000)
        ));
        assert_eq!(poll.window, 0);
    }
}
