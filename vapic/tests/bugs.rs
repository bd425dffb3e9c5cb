//! Bugs that other APICs had, each as a test named after it.
//!
//! The numbers are those of section 10 of `docs/apic-coverage.md`, which also says of the missing
//! ones why they cannot happen here.

#![cfg(not(loom))]

#[path = "bugs/architecture.rs"]
mod architecture;
#[path = "apic/driver.rs"]
#[expect(dead_code, reason = "the driver serves more tests than these")]
mod driver;
#[path = "bugs/security.rs"]
mod security;

use driver::Machine;
use driver::register::ESR;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

/// IA32_APIC_BASE in xAPIC mode, and the bit that makes it x2APIC mode.
const EN: u64 = 0xFEE0_0800;
const EXTD: u64 = 1 << 10;

/// Writes the ESR, which shows what has collected, and reads it.
#[track_caller]
fn errors(machine: &mut Machine, cpu: usize) -> u32 {
    machine.write(cpu, ESR, 0);
    machine.read(cpu, ESR)
}

/// An edge-triggered interrupt.
const fn fixed(destination: Destination, vector: u8) -> InterruptMessage {
    InterruptMessage {
        destination,
        delivery: DeliveryMode::Fixed,
        vector,
        trigger: Trigger::Edge,
    }
}
