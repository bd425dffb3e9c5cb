//! A futex wake across processors: threads that sleep, each on a processor of its own.

#![expect(unsafe_code, reason = "futex")]

use std::hint;
use std::io;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Operation, Place};
use crate::affinity;

/// How long a thread that is about to sleep is given to do so.
const TO_FALL_ASLEEP: Duration = Duration::from_millis(2);

/// One wake-up of all.
pub(super) struct FutexWake {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Sleepers that were found awake: no interrupt was needed for them.
    awake: u64,
}

#[derive(Default)]
struct Shared {
    /// The futex: counts the wake-ups.
    rounds: AtomicU32,
    /// How many are about to sleep.
    waiting: AtomicUsize,
    /// How many run again.
    running: AtomicUsize,
    stop: AtomicBool,
}

impl FutexWake {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let mut this = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
            awake: 0,
        };
        for &cpu in &place.sharers {
            let shared = Arc::clone(&shared);
            let sleeper = move || shared.sleep_on(cpu);
            this.threads.push(thread::Builder::new().spawn(sleeper)?);
        }
        Ok(this)
    }
}

impl Operation for FutexWake {
    fn prepare(&mut self) -> Result<()> {
        while self.shared.waiting.load(Acquire) < self.threads.len() {
            thread::yield_now();
        }
        self.shared.waiting.store(0, Relaxed);
        self.shared.running.store(0, Relaxed);
        thread::sleep(TO_FALL_ASLEEP);
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        let woken = self.shared.wake().context("a futex does not wake")?;
        while self.shared.running.load(Acquire) < self.threads.len() {
            hint::spin_loop();
        }
        self.awake += self.threads.len().saturating_sub(woken) as u64;
        Ok(())
    }

    fn found_awake(&self) -> Option<u64> {
        Some(self.awake)
    }
}

impl Shared {
    /// Sleeps and runs in turns, on one processor.
    fn sleep_on(&self, cpu: usize) {
        affinity::pin(affinity::SELF, cpu).expect("the processor is online");
        let mut round = 0;
        while !self.stop.load(Relaxed) {
            self.waiting.fetch_add(1, Release);
            while self.rounds.load(Acquire) == round {
                self.wait(round);
            }
            round = round.wrapping_add(1);
            self.running.fetch_add(1, Release);
        }
    }

    /// Sleeps while the futex has this value, or a little less long.
    fn wait(&self, value: u32) {
        let (futex, operation) = (
            self.rounds.as_ptr(),
            libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG,
        );
        let forever = ptr::null::<libc::timespec>();
        // SAFETY: the futex outlives the call; the kernel only reads it.
        unsafe { libc::syscall(libc::SYS_futex, futex, operation, value, forever) };
    }

    /// Lets all run; how many of them slept.
    fn wake(&self) -> io::Result<usize> {
        self.rounds.fetch_add(1, Release);
        let (futex, operation) = (
            self.rounds.as_ptr(),
            libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
        );
        // SAFETY: names a futex of this process, which the kernel does not access.
        let woken = unsafe { libc::syscall(libc::SYS_futex, futex, operation, libc::c_int::MAX) };
        usize::try_from(woken).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for FutexWake {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        // The round after is not waited for, whatever it is.
        let _ = self.shared.wake();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
