//! Sampling by the cycle counter, as `perf record` does: the counter's overflow is an NMI.
//!
//! Offered only where the processor has performance counters, which many virtual machines have not.

#![expect(unsafe_code, reason = "perf_event_open")]

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use perf_event_open_sys as perf;

use super::{Operation, Place};
use crate::affinity::ThreadId;
use crate::sharers::Sharers;

/// Cycles between two samples.
const PERIOD: u64 = 1_000_000;

/// How long the sharers are sampled at a time.
const SLICE: Duration = Duration::from_millis(10);

/// Every sharer is being sampled.
pub(super) struct Sampling {
    // Closing them ends the sampling.
    _events: Vec<OwnedFd>,
    _sharers: Sharers,
}

impl Sampling {
    /// The inner error is why the kernel has no such sampling.
    pub(super) fn start(place: &Place) -> Result<Result<Self, String>> {
        let sharers = Sharers::start(&place.sharers, false)?;
        match sharers.threads().map(sample).collect() {
            Ok(events) => Ok(Ok(Self {
                _events: events,
                _sharers: sharers,
            })),
            Err(error) => Ok(Err(format!("perf_event_open: {error}"))),
        }
    }
}

impl Operation for Sampling {
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        thread::sleep(SLICE);
        Ok(())
    }
}

fn sample(thread: ThreadId) -> io::Result<OwnedFd> {
    let mut attributes = perf::bindings::perf_event_attr {
        type_: perf::bindings::PERF_TYPE_HARDWARE,
        size: u32::try_from(size_of::<perf::bindings::perf_event_attr>()).unwrap_or(0),
        config: perf::bindings::PERF_COUNT_HW_CPU_CYCLES.into(),
        ..Default::default()
    };
    attributes.__bindgen_anon_1.sample_period = PERIOD;
    // SAFETY: the attributes are read only, and say how long they are.
    let descriptor = unsafe {
        let flags = perf::bindings::PERF_FLAG_FD_CLOEXEC;
        perf::perf_event_open(&raw mut attributes, thread, -1, -1, flags.into())
    };
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just opened, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
