//! `pthread_kill` to threads that run: each processor is interrupted to look at its signals.

#![expect(unsafe_code, reason = "a signal handler, and tgkill")]

use std::hint;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Context, Result};

use super::{Operation, Place};
use crate::sharers::Sharers;

static HANDLED: AtomicUsize = AtomicUsize::new(0);

extern "C" fn handle(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Relaxed);
}

/// A signal to every sharer.
pub(super) struct Signal(Sharers);

impl Signal {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let handler: extern "C" fn(libc::c_int) = handle;
        // SAFETY: the handler does one atomic addition, which may interrupt anything.
        let previous = unsafe { libc::signal(libc::SIGUSR1, handler as libc::sighandler_t) };
        if previous == libc::SIG_ERR {
            return Err(io::Error::last_os_error()).context("no handler for SIGUSR1");
        }
        Ok(Self(Sharers::start(&place.sharers, false)?))
    }
}

impl Operation for Signal {
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        let goal = HANDLED.load(Relaxed) + self.0.count();
        for thread in self.0.threads() {
            // SAFETY: the thread is a sharer, which lives as long as `self`.
            let sent =
                unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, libc::SIGUSR1) };
            if sent != 0 {
                return Err(io::Error::last_os_error()).context("tgkill fails");
            }
        }
        while HANDLED.load(Relaxed) < goal {
            hint::spin_loop();
        }
        Ok(())
    }
}
