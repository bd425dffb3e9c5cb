//! Ends a KVM_RUN that does not return.
//!
//! Only a signal to the running thread does that, so the probe runs on a thread of its own. A
//! signal that arrives just before KVM_RUN is lost; it is therefore sent again until the thread
//! is done, and every EINTR asks whether the time is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use libc::{c_int, c_void, siginfo_t};
use vmm_sys_util::signal::{Killable, SIGRTMIN, register_signal_handler, unblock_signal};

/// Until the next signal to a probe whose time is over.
const AGAIN: Duration = Duration::from_millis(5);

/// Whether a probe's time is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Expired(Arc<AtomicBool>);

impl Expired {
    pub(super) fn get(&self) -> bool {
        // Relaxed: the flag carries nothing but itself.
        self.0.load(Ordering::Relaxed)
    }
}

/// The signal of the watchdog; the first real-time signal is left to the vCPUs of a machine.
fn signal() -> c_int {
    SIGRTMIN() + 1
}

extern "C" fn interrupt_only(_: c_int, _: *mut siginfo_t, _: *mut c_void) {}

/// Runs `probe` on a thread of its own; after `limit` the flag it is given becomes true and its
/// system calls return EINTR until it ends.
pub(super) fn bounded<T, F>(limit: Duration, probe: F) -> T
where
    T: Send + 'static,
    F: FnOnce(Expired) -> T + Send + 'static,
{
    register_signal_handler(signal(), interrupt_only).expect("a real-time signal is ours to take");
    let expired = Expired::default();
    let (done, wait) = mpsc::channel::<()>();
    let thread = {
        let expired = expired.clone();
        thread::spawn(move || {
            // Dropped at the end, also when the probe panics.
            let _done = done;
            // A mask inherited with the signal blocked would make the watchdog toothless.
            unblock_signal(signal()).expect("a valid signal can be unblocked");
            probe(expired)
        })
    };
    let mut patience = limit;
    while wait.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
        expired.0.store(true, Ordering::Relaxed);
        // Fails only for a thread that has just ended, which the next turn notices.
        let _ = thread.kill(signal());
        patience = AGAIN;
    }
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn a_probe_in_time_is_left_alone() {
        let seen = bounded(Duration::from_secs(60), |expired| expired.get());
        assert!(!seen);
    }

    #[test]
    fn a_probe_that_blocks_is_interrupted() {
        let start = Instant::now();
        bounded(Duration::from_millis(20), |expired| {
            let (_kept, never) = mpsc::channel::<()>();
            while !expired.get() {
                let _ = never.recv_timeout(Duration::from_millis(1));
            }
        });
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}
