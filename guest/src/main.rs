//! The bare-metal guest: brings up its processors and sends IPIs of every kind.
//!
//! It is entered in 64-bit mode by the Linux boot protocol, starts the other processors with
//! INIT-SIPI-SIPI, and runs the scenarios that its command line names, in xAPIC mode, in x2APIC
//! mode, or in one after the other. What it measures goes to the marker port (for the VMM) and to
//! the serial console (for people).
//!
//! Two facts shape it. Where KVM interprets ring 0, ring 3 still runs natively: whatever needs no
//! privilege and takes long (statistics, formatting) is done there, see [`ring3`]. And a
//! processor that waits for an interrupt halts, see [`wait`].
//!
//! Built for `x86_64-unknown-none`. On any other target only the parts that need no machine are
//! there, for their unit tests.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(
    not(target_os = "none"),
    expect(
        dead_code,
        reason = "its callers need the bare machine; here it is only tested"
    )
)]

mod cmdline;
mod fit;
mod histogram;
mod ipi;
mod line;
mod scenario;
mod vector;

#[cfg(target_os = "none")]
mod apic;
#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod exception;
#[cfg(target_os = "none")]
mod health;
#[cfg(target_os = "none")]
mod idt;
#[cfg(target_os = "none")]
mod interrupt;
#[cfg(target_os = "none")]
mod marker;
#[cfg(target_os = "none")]
mod paging;
#[cfg(target_os = "none")]
mod port;
#[cfg(target_os = "none")]
mod processors;
#[cfg(target_os = "none")]
mod ring3;
#[cfg(target_os = "none")]
mod segments;
#[cfg(target_os = "none")]
mod start;
#[cfg(target_os = "none")]
mod tsc;
#[cfg(target_os = "none")]
mod wait;
#[cfg(target_os = "none")]
mod watchdog;

#[cfg(not(target_os = "none"))]
fn main() {}
