//! The time-stamp counter, the same on all processors.

#![expect(unsafe_code, reason = "RDTSC")]

use core::arch::x86_64::_rdtsc;
use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Cycles in a millisecond.
static KHZ: AtomicU64 = AtomicU64::new(1);

/// Tells the counter's rate; not 0.
pub(crate) fn set_khz(khz: u64) {
    KHZ.store(khz, Relaxed);
}

/// The counter.
pub(crate) fn now() -> u64 {
    // SAFETY: every x86-64 processor has the counter, and CR4.TSD is clear: it is open to ring 3.
    unsafe { _rdtsc() }
}

/// Cycles in so many microseconds.
pub(crate) fn cycles(microseconds: u64) -> u64 {
    microseconds * KHZ.load(Relaxed) / 1000
}

/// Cycles, printed as microseconds with one decimal.
pub(crate) struct Micros(pub(crate) u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = self.0 * 10_000 / KHZ.load(Relaxed);
        write!(f, "{}.{} us", tenths / 10, tenths % 10)
    }
}
