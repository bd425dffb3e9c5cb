//! Gets the bootstrap processor out of a HLT that nothing ends.
//!
//! It is the one that notices when another processor has lost an interrupt. Where it halts for an
//! interrupt of its own, only the timer of its APIC is left to notice.

use crate::apic::{Door, Register};
use crate::cpu;
use crate::vector::WATCHDOG;
use crate::wait::{PATIENCE_US, Stuck};

/// Divide configuration: the timer counts every 128th tick.
const DIVIDE_BY_128: u32 = 0b1010;

/// As long as any other wait, at the 1 GHz that KVM gives the timer.
const COUNT: u64 = PATIENCE_US * 1000 / 128;

/// A running timer, stopped when dropped. One for a phase: arming it takes three register writes.
pub(crate) struct Watchdog(Door);

impl Watchdog {
    /// Starts the timer of the running processor.
    pub(crate) fn arm() -> Self {
        let door = Door::own();
        door.write(Register::TimerDivide, DIVIDE_BY_128);
        door.write(Register::LvtTimer, u32::from(WATCHDOG));
        door.write(
            Register::TimerInitialCount,
            u32::try_from(COUNT).unwrap_or(u32::MAX),
        );
        Self(door)
    }

    /// Halts until `condition` holds, as [`crate::wait::halt_until`] does, or the time is over.
    pub(crate) fn halt_until(
        &self,
        what: &'static str,
        condition: impl Fn() -> bool,
    ) -> Result<(), Stuck> {
        let cpu = cpu::this();
        cpu::interrupts_off();
        while !condition() && cpu.received(WATCHDOG) == 0 {
            cpu::halt();
        }
        cpu::interrupts_on();
        if condition() {
            Ok(())
        } else {
            Err(Stuck::new(cpu, what))
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.0.write(Register::TimerInitialCount, 0);
    }
}
