//! Two ways to wait: for an interrupt, halt; for memory that another processor writes, spin.
//!
//! Spinning stays in ring 0, interpreted or not. Where ring 0 is interpreted a look at memory takes
//! about a microsecond, but going to ring 3 for it takes tens of them, and while a processor runs
//! ring 3 natively such a host has to interrupt it for every INVLPG of another.

use core::fmt;
use core::hint::spin_loop;

use crate::cpu::{self, Cpu};
use crate::tsc;

/// Longest wait for another processor; a lost interrupt becomes a failure, not a hang.
pub(crate) const PATIENCE_US: u64 = 30_000_000;

/// A processor did not do what was waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stuck {
    cpu: usize,
    what: &'static str,
    progress: u32,
}

impl Stuck {
    /// `what` completes the sentence "processor 3 ...".
    pub(crate) fn new(cpu: &Cpu, what: &'static str) -> Self {
        Self {
            cpu: cpu.id(),
            what,
            progress: cpu.progress(),
        }
    }
}

impl fmt::Display for Stuck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            what,
            progress,
        } = self;
        let seconds = PATIENCE_US / 1_000_000;
        write!(
            f,
            "waited {seconds} s in vain: processor {cpu} {what} (progress {progress})"
        )
    }
}

/// Halts until `condition` holds. It is looked at with interrupts off, so the interrupt that makes
/// it true cannot come between the look and the HLT. Returns with interrupts on.
pub(crate) fn halt_until(mut condition: impl FnMut() -> bool) {
    cpu::interrupts_off();
    while !condition() {
        cpu::halt();
    }
    cpu::interrupts_on();
}

/// Looks at memory between two looks at the clock.
const LOOKS: u32 = 256;

/// Spins until `condition` holds for each of `cpus`; the time at which it did.
///
/// `what` completes the sentence "processor 3 ..." if it never does.
pub(crate) fn spin_until(
    cpus: &[Cpu],
    what: &'static str,
    condition: impl Fn(&Cpu) -> bool,
) -> Result<u64, Stuck> {
    let mut deadline = None;
    for cpu in cpus {
        while !(0..LOOKS).any(|_| condition(cpu) || pause()) {
            let now = tsc::now();
            if now > *deadline.get_or_insert(now + tsc::cycles(PATIENCE_US)) {
                return Err(Stuck::new(cpu, what));
            }
        }
    }
    Ok(tsc::now())
}

/// Tells the processor that it spins; never the condition.
fn pause() -> bool {
    spin_loop();
    false
}

/// Lets time pass.
pub(crate) fn pause_us(microseconds: u64) {
    let end = tsc::now() + tsc::cycles(microseconds);
    while tsc::now() < end {
        spin_loop();
    }
}

/// Long enough for a processor that has just said it will halt to be halted, on any host.
const SETTLE_US: u64 = 50;

/// Waits until processors that have announced their HLT are in it.
pub(crate) fn settle() {
    pause_us(SETTLE_US);
}
