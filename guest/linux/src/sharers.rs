//! Threads that share the address space, each running in user mode on a processor of its own.
//!
//! A sharer spins without any system call, so its processor always has this address space loaded
//! and cannot be left out of a shootdown. Before each operation it reads every page of the region,
//! so the translations are in its TLB; what it reads must be the value announced, or its TLB held a
//! translation that should have been dropped.

#![expect(unsafe_code, reason = "reads a region that its owner keeps mapped")]

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicI32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::thread::{self, JoinHandle};

use anyhow::ensure;

use crate::affinity::{self, ThreadId};
use crate::region::{Region, View};

/// The threads; dropping this ends them.
pub(crate) struct Sharers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    stop: AtomicBool,
    /// Counts up with each region announced; also what its pages hold.
    announced: AtomicU64,
    address: AtomicUsize,
    pages: AtomicUsize,
    /// Whether sharers go on reading the region all the time.
    keep_reading: bool,
    sharers: Vec<Sharer>,
}

/// What one thread tells of itself.
#[derive(Default)]
struct Sharer {
    thread: AtomicI32,
    cpu: AtomicUsize,
    /// The last announcement whose pages it has read.
    read: AtomicU64,
    /// Pages that held another value.
    stale: AtomicUsize,
}

impl Sharers {
    /// Starts one on each of these processors, and waits until all run there.
    ///
    /// With `keep_reading` they read the region announced all the time, so it must stay mapped and
    /// readable until they are dropped.
    pub(crate) fn start(cpus: &[usize], keep_reading: bool) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            announced: AtomicU64::new(0),
            address: AtomicUsize::new(0),
            pages: AtomicUsize::new(0),
            keep_reading,
            sharers: cpus.iter().map(|_| Sharer::default()).collect(),
        });
        let mut sharers = Self {
            shared: Arc::clone(&shared),
            threads: Vec::new(),
        };
        for index in 0..cpus.len() {
            let shared = Arc::clone(&shared);
            let spin = move || shared.spin(index);
            sharers.threads.push(thread::Builder::new().spawn(spin)?);
        }
        for (sharer, &cpu) in shared.sharers.iter().zip(cpus) {
            while sharer.thread.load(Acquire) == affinity::SELF {
                thread::yield_now();
            }
            affinity::pin(sharer.thread.load(Relaxed), cpu)?;
        }
        for (index, &cpu) in cpus.iter().enumerate() {
            sharers.wait_for(index, cpu);
        }
        Ok(sharers)
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.threads.len()
    }

    /// The thread numbers.
    pub(crate) fn threads(&self) -> impl DoubleEndedIterator<Item = ThreadId> + ExactSizeIterator {
        self.shared
            .sharers
            .iter()
            .map(|sharer| sharer.thread.load(Relaxed))
    }

    /// Waits until a sharer runs on this processor.
    pub(crate) fn wait_for(&self, index: usize, cpu: usize) {
        while self.shared.sharers[index].cpu.load(Acquire) != cpu {
            // The sharer may need this very processor.
            thread::yield_now();
        }
    }

    /// Writes a new value into each page of a region and has every sharer read them. Fails if one
    /// read anything else.
    pub(crate) fn read(&self, region: &Region) -> anyhow::Result<()> {
        let shared = &*self.shared;
        let value = shared.announced.load(Relaxed) + 1;
        region.write(value);
        let View { address, pages } = region.view();
        shared.address.store(address, Relaxed);
        shared.pages.store(pages, Relaxed);
        shared.announced.store(value, Release);
        for (index, sharer) in shared.sharers.iter().enumerate() {
            while sharer.read.load(Acquire) != value {
                std::hint::spin_loop();
            }
            let stale = sharer.stale.load(Relaxed);
            ensure!(
                stale == 0,
                "sharer {index} read an old value in {stale} of {pages} pages: its TLB holds \
                 translations that were dropped"
            );
        }
        Ok(())
    }
}

impl Shared {
    fn spin(&self, index: usize) {
        let me = &self.sharers[index];
        me.thread.store(affinity::thread_id(), Release);
        let mut seen = 0;
        while !self.stop.load(Relaxed) {
            me.cpu.store(affinity::current(), Release);
            let announced = self.announced.load(Acquire);
            if announced != seen || (self.keep_reading && seen != 0) {
                let view = View {
                    address: self.address.load(Relaxed),
                    pages: self.pages.load(Relaxed),
                };
                // SAFETY: who announces a region keeps it until all have read it, or, with
                // `keep_reading`, until they have stopped.
                let stale = unsafe { view.count_other_than(announced) };
                if announced != seen {
                    me.stale.store(stale, Relaxed);
                    me.read.store(announced, Release);
                    seen = announced;
                }
            }
            std::hint::spin_loop();
        }
    }
}

impl Drop for Sharers {
    fn drop(&mut self) {
        self.shared.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // A sharer that panicked has ended the process.
            let _ = thread.join();
        }
    }
}
