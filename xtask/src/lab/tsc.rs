//! The rate of this host's TSC, which is also that of a machine under TCG in this host's time.
//!
//! The machine's kernel would measure it against an emulated timer and, on a busy host, be wrong by
//! a factor; every time it then tells or waits for is wrong with it.
#![expect(unsafe_code, reason = "the TSC has no safe door")]

use std::arch::x86_64::_rdtsc;
use std::thread;
use std::time::{Duration, Instant};

/// Long enough to know the rate to a ten-thousandth.
const MEASURED_FOR: Duration = Duration::from_millis(50);

/// In kHz.
pub(super) fn khz() -> u64 {
    let (start, began) = read();
    thread::sleep(MEASURED_FOR);
    let (end, ended) = read();
    let nanoseconds = ended.duration_since(began).as_nanos();
    let khz = u128::from(end.wrapping_sub(start)) * 1_000_000 / nanoseconds.max(1);
    u64::try_from(khz).unwrap_or(u64::MAX)
}

/// The TSC and the time, read close together: of some tries the closest.
fn read() -> (u64, Instant) {
    let tries = (0..16).map(|_| {
        let before = Instant::now();
        // SAFETY: every x86-64 processor has the instruction, and it touches no memory.
        let tsc = unsafe { _rdtsc() };
        (before.elapsed(), tsc, before)
    });
    let closest = tries.min_by_key(|(apart, ..)| *apart);
    let (_, tsc, time) = closest.expect("there is a try");
    (tsc, time)
}

#[cfg(test)]
mod tests {
    use super::khz;

    #[test]
    fn two_measurements_agree() {
        let (one, other) = (khz(), khz());
        assert!(one.abs_diff(other) * 1000 < one, "{one} and {other} kHz");
    }
}
