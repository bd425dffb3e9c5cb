//! What makes a kernel send IPIs, each as real programs do it.

mod backtrace;
mod futex;
mod membarrier;
mod memory;
mod migration;
mod perf;
mod signal;

use std::str::FromStr;

use anyhow::Result;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Unmaps the region.
    Munmap,
    /// Makes a region read-only and writable in turns, while the sharers read it all the time.
    Mprotect,
    /// Gives the region's memory back at once.
    MadviseDontneed,
    /// Lends the region's memory to the kernel.
    MadviseFree,
    /// Moves the region to another address.
    Mremap,
    /// A barrier on the processors that run this process.
    MembarrierPrivate,
    /// A barrier on the processors that run any process registered for it.
    MembarrierGlobal,
    /// Signals each running thread, and waits for the last handler.
    PthreadKill,
    /// Wakes threads that sleep in a futex, and waits for the last to run.
    FutexWake,
    /// Moves each running thread to another processor.
    Migration,
    /// Samples the cycle counter, which interrupts by NMI.
    PerfNmi,
    /// Has all other processors print their stacks, which they are told by NMI.
    BacktraceNmi,
}

impl Workload {
    /// Every workload, in the order in which they run; the last fills the kernel's log.
    pub(crate) const ALL: [Self; 12] = [
        Self::Munmap,
        Self::Mprotect,
        Self::MadviseDontneed,
        Self::MadviseFree,
        Self::Mremap,
        Self::MembarrierPrivate,
        Self::MembarrierGlobal,
        Self::PthreadKill,
        Self::FutexWake,
        Self::Migration,
        Self::PerfNmi,
        Self::BacktraceNmi,
    ];

    /// The name on the command line and in every report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Munmap => "munmap",
            Self::Mprotect => "mprotect",
            Self::MadviseDontneed => "madvise_dontneed",
            Self::MadviseFree => "madvise_free",
            Self::Mremap => "mremap",
            Self::MembarrierPrivate => "membarrier_private",
            Self::MembarrierGlobal => "membarrier_global",
            Self::PthreadKill => "pthread_kill",
            Self::FutexWake => "futex_wake",
            Self::Migration => "migration",
            Self::PerfNmi => "perf_nmi",
            Self::BacktraceNmi => "backtrace_nmi",
        }
    }

    /// Whether it is about a region of memory, hence depends on its size.
    pub(crate) const fn has_pages(self) -> bool {
        matches!(
            self,
            Self::Munmap
                | Self::Mprotect
                | Self::MadviseDontneed
                | Self::MadviseFree
                | Self::Mremap
        )
    }

    /// The fewest sharers with which it does anything.
    pub(crate) const fn least_sharers(self) -> usize {
        match self {
            Self::PthreadKill | Self::FutexWake | Self::Migration | Self::PerfNmi => 1,
            _ => 0,
        }
    }

    /// Starts its sharers.
    pub(crate) fn start(self, place: &Place) -> Result<Started> {
        Ok(Started::Ready(match self {
            Self::Munmap
            | Self::Mprotect
            | Self::MadviseDontneed
            | Self::MadviseFree
            | Self::Mremap => Box::new(memory::Memory::start(self, place)?),
            Self::MembarrierPrivate => Box::new(membarrier::Membarrier::private(place)?),
            Self::MembarrierGlobal => Box::new(membarrier::Membarrier::global(place)?),
            Self::PthreadKill => Box::new(signal::Signal::start(place)?),
            Self::FutexWake => Box::new(futex::FutexWake::start(place)?),
            Self::Migration => Box::new(migration::Migration::start(place)?),
            Self::PerfNmi => match perf::Sampling::start(place)? {
                Ok(sampling) => Box::new(sampling),
                Err(refusal) => return Ok(Started::NotOffered(refusal)),
            },
            Self::BacktraceNmi => Box::new(backtrace::Backtrace::start(place)?),
        }))
    }
}

impl FromStr for Workload {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        let named = |workload: &Self| workload.name() == name;
        Self::ALL.into_iter().find(named).ok_or(())
    }
}

/// Where a workload runs.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The processors of the sharers; the thread that acts has another.
    pub(crate) sharers: Vec<usize>,
    /// All other processors but that one.
    pub(crate) idle: Vec<usize>,
    /// The processor of the thread that acts.
    pub(crate) own: usize,
    /// The size of the region.
    pub(crate) pages: usize,
}

/// A workload whose sharers are there, or the reason why this kernel has none of it.
pub(crate) enum Started {
    /// Its operation can be done.
    Ready(Box<dyn Operation>),
    /// It cannot, and that is no failure.
    NotOffered(String),
}

/// What is repeated.
pub(crate) trait Operation {
    /// Brings everything into the state in which the operation is to be measured.
    fn prepare(&mut self) -> Result<()>;

    /// Does it once; this is what is timed.
    fn perform(&mut self) -> Result<()>;

    /// How many threads that it was to wake were awake already; `None` if it wakes none.
    fn found_awake(&self) -> Option<u64> {
        None
    }
}
