//! The Local APIC: one driver with two doors, memory in xAPIC mode and MSRs in x2APIC mode.
//!
//! Registers: Intel SDM volume 3, table 12-1 and table 12-6.

#![expect(
    unsafe_code,
    reason = "the APIC's registers, and the MSR that selects the mode"
)]

use core::arch::asm;
use core::sync::atomic::Ordering::Relaxed;

use crate::cpu::{self, Cpu};
use crate::ipi::{Logical, Message, Mode};
use crate::vector;

/// Where the APIC page is after reset.
pub(crate) const PAGE: usize = 0xFEE0_0000;

const APIC_BASE_MSR: u32 = 0x1B;
const APIC_BASE_X2APIC: u64 = 1 << 10;

/// The MSR of the register at offset 0 of the page; each 16 bytes of the page are one MSR.
const FIRST_MSR: u32 = 0x800;

/// CPUID leaf 1, ECX.
const X2APIC_FEATURE: u32 = 21;

/// Offsets in the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Register {
    TaskPriority = 0x80,
    EndOfInterrupt = 0xB0,
    LogicalDestination = 0xD0,
    DestinationFormat = 0xE0,
    SpuriousVector = 0xF0,
    ErrorStatus = 0x280,
    IcrLow = 0x300,
    IcrHigh = 0x310,
    LvtTimer = 0x320,
    LvtError = 0x370,
    TimerInitialCount = 0x380,
    TimerDivide = 0x3E0,
    /// x2APIC only.
    SelfIpi = 0x3F0,
}

const SOFTWARE_ENABLE: u32 = 1 << 8;

/// How this processor reaches its APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    Mmio,
    Msr,
}

impl Door {
    /// The door of a processor, which is the one running this.
    pub(crate) fn of(cpu: &Cpu) -> Self {
        if cpu.x2apic.load(Relaxed) {
            Self::Msr
        } else {
            Self::Mmio
        }
    }

    /// The running processor's.
    pub(crate) fn own() -> Self {
        Self::of(cpu::this())
    }

    /// Reads a register.
    pub(crate) fn read(self, register: Register) -> u32 {
        let offset = register as u32;
        // SAFETY: the page is mapped, or the MSR exists, in the mode that this door stands for;
        // none of these registers changes by being read.
        unsafe {
            match self {
                Self::Mmio => ((PAGE + offset as usize) as *const u32).read_volatile(),
                #[expect(clippy::cast_possible_truncation, reason = "the register has 32 bits")]
                Self::Msr => cpu::read_msr(FIRST_MSR + offset / 16) as u32,
            }
        }
    }

    /// Writes a register.
    pub(crate) fn write(self, register: Register, value: u32) {
        let offset = register as u32;
        // SAFETY: as for reading; the values that this module's callers write only make
        // interrupts that have handlers.
        unsafe {
            match self {
                Self::Mmio => ((PAGE + offset as usize) as *mut u32).write_volatile(value),
                Self::Msr => cpu::write_msr(FIRST_MSR + offset / 16, u64::from(value)),
            }
        }
    }

    /// Ends the interrupt in service.
    pub(crate) fn end_of_interrupt(self) {
        self.write(Register::EndOfInterrupt, 0);
    }

    /// Sends an IPI. Memory written before is visible to the target's handler.
    ///
    /// The delivery status is not polled: every APIC that this guest meets has taken the message
    /// when the write is done, and in x2APIC mode there is no such bit.
    pub(crate) fn send(self, message: Message) {
        match self {
            Self::Mmio => {
                // The low half sends, so the high half goes first; no handler on this processor
                // may send, or it would have to be kept out in between.
                self.write(Register::IcrHigh, message.destination << 24);
                self.write(Register::IcrLow, message.command);
            }
            Self::Msr => {
                let icr = u64::from(message.destination) << 32 | u64::from(message.command);
                // WRMSR to the ICR does not wait for earlier stores (Intel SDM volume 3, 12.12.3);
                // a locked instruction does, and unlike MFENCE every KVM can interpret it.
                // SAFETY: the ICR exists behind this door, and `or 0` changes nothing.
                unsafe {
                    asm!("lock or dword ptr [rsp], 0");
                    cpu::write_msr(FIRST_MSR + Register::IcrLow as u32 / 16, icr);
                }
            }
        }
    }
}

/// Whether this machine has x2APIC mode.
pub(crate) fn x2apic_offered() -> bool {
    cpu::has_feature(X2APIC_FEATURE)
}

/// Enables the running processor's APIC, which is in xAPIC mode as after reset.
pub(crate) fn enable() {
    let door = Door::Mmio;
    let cpus = cpu::all().len();
    if let Some(logical) = Logical::reaching(Mode::Xapic, cpus) {
        let format = if logical == Logical::Cluster {
            0x0FFF_FFFF
        } else {
            0xFFFF_FFFF
        };
        let id = u32::try_from(cpu::this().id()).unwrap_or(0);
        door.write(Register::DestinationFormat, format);
        door.write(Register::LogicalDestination, logical.address(id) << 24);
    }
    door.write(
        Register::SpuriousVector,
        SOFTWARE_ENABLE | u32::from(vector::SPURIOUS),
    );
    door.write(Register::LvtError, u32::from(vector::ERROR));
    door.write(Register::ErrorStatus, 0);
    door.write(Register::TaskPriority, 0);
}

/// Switches the running processor's APIC to x2APIC mode; all but the logical id is kept.
pub(crate) fn switch_to_x2apic() {
    cpu::interrupts_off();
    // SAFETY: xAPIC to x2APIC is a legal move, the caller has checked that CPUID offers it, and
    // with interrupts off no handler runs between the move and the note of it.
    unsafe {
        cpu::write_msr(
            APIC_BASE_MSR,
            cpu::read_msr(APIC_BASE_MSR) | APIC_BASE_X2APIC,
        );
    }
    cpu::this().x2apic.store(true, Relaxed);
    cpu::interrupts_on();
}
