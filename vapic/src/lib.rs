//! The x86 Local APIC as a pure state machine.
//!
//! The crate asks nothing of its host and keeps nothing of it: a call takes what it needs (a value,
//! the time) and returns what must happen (an [`Effect`], a deadline, a vector to inject). There is
//! no clock, no thread, no callback kept, and no lock on the way of an interrupt.
//!
//! - [`LocalApic`] is the register model of one processor, owned by the thread that runs it. Guest
//!   accesses enter through [`LocalApic::write_page`] and [`LocalApic::read_page`] (xAPIC),
//!   [`LocalApic::write_msr`] and [`LocalApic::read_msr`] (x2APIC) and [`LocalApic::write_base`].
//! - [`Fabric`] holds what the processors of a VM share: a [`Mailbox`] for each, and the map from
//!   destinations to targets. A [`Router`] is one sender's way into it.
//!
//! # The way of an interrupt
//!
//! ```
//! use vapic::{Config, Effect, Fabric, Features, LocalApic, Router};
//!
//! // Two processors; each APIC belongs to the thread that runs its processor.
//! let mut apics = [0, 1].map(|id| {
//!     LocalApic::new(Config {
//!         id,
//!         bootstrap: id == 0,
//!         physical_bits: 46,
//!         features: Features::default(),
//!     })
//! });
//! let fabric = Fabric::new(apics.iter().map(LocalApic::identity))?;
//! let [sender, target] = &mut apics;
//! let mut router = Router::new(fabric.clone(), Some(0));
//!
//! // The target's guest enables its APIC through the spurious-vector register.
//! let effect = target.write_page(0xF0, &0x1FFu32.to_le_bytes(), 0);
//! assert_eq!(effect, Effect::Identity);
//! fabric.publish(1, target.identity());
//!
//! // The sender's guest writes ICR high (APIC 1), then ICR low (vector 0x40).
//! let _ = sender.write_page(0x310, &(1u32 << 24).to_le_bytes(), 0);
//! let effect = sender.write_page(0x300, &0x40u32.to_le_bytes(), 0);
//! let Effect::Send(message) = effect else { panic!("an ICR write sends") };
//! router.deliver(&message, |index, _posted| assert_eq!(index, 1 /* wake its thread */));
//!
//! // The target's thread takes it, injects it, and sees its end.
//! target.drain(&fabric.mailboxes()[1], |_vector, _trigger, _acceptance| {});
//! assert_eq!(target.acknowledge(), Some(0x40));
//! let effect = target.write_page(0xB0, &[0; 4], 0);
//! assert_eq!(effect, Effect::Ended { vector: 0x40, level: false });
//! # Ok::<(), vapic::FabricError>(())
//! ```
//!
//! # Time
//!
//! Every `now` is in ns, of one clock that does not run backwards and whose zero is the host's
//! choice, the same for all calls on an APIC or an IOAPIC. Reading a register may need it, so the
//! accesses take it too. The timer is a deadline: after an access, a drain, a new base or anything else that
//! takes `&mut`, ask [`LocalApic::deadline`] again, and call [`LocalApic::advance`] when it has come.
//!
//! # A device, the timer, and a move
//!
//! ```
//! use vapic::snapshot::Snapshot;
//! use vapic::spec::ioapic::{IOREGSEL, IOWIN};
//! use vapic::spec::message::Trigger;
//! use vapic::{
//!     Acceptance, Config, Effect, Fabric, Features, IoApic, IoApicConfig, LocalApic, Pins, Router,
//! };
//!
//! let config = Config {
//!     id: 0,
//!     bootstrap: true,
//!     physical_bits: 46,
//!     features: Features::default(),
//! };
//! let mut apic = LocalApic::new(config);
//! let fabric = Fabric::new([apic.identity()])?;
//! let _ = apic.write_page(0xF0, &0x1FFu32.to_le_bytes(), 0);
//! fabric.publish(0, apic.identity());
//!
//! // The guest points pin 10 at vector 0x60 of APIC 0, level-triggered.
//! let mut ioapic = IoApic::new(IoApicConfig::default());
//! let _ = ioapic.write(IOREGSEL, &[0x24], 0);
//! let _ = ioapic.write(IOWIN, &0x8060u32.to_le_bytes(), 0);
//!
//! // What the IOAPIC sends goes the way of all messages; it learns who took it.
//! let mut devices = Router::new(fabric.clone(), None);
//! let mut send = |ioapic: &mut IoApic, apic: &mut LocalApic, pins: Pins, now| {
//!     for pin in pins.iter() {
//!         let mut targets = 0;
//!         if let Some(message) = ioapic.message(pin) {
//!             devices.deliver(&message, |_index, _posted| targets += 1);
//!         }
//!         ioapic.posted(pin, targets, now);
//!     }
//!     apic.drain(&fabric.mailboxes()[0], |vector, trigger, acceptance| {
//!         if (trigger, acceptance) == (Trigger::Level, Acceptance::Disabled) {
//!             ioapic.refused(vector, now);
//!         }
//!     });
//! };
//! let pins = ioapic.line(10, true);
//! send(&mut ioapic, &mut apic, pins, 0);
//! assert_eq!(apic.acknowledge(), Some(0x60));
//!
//! // The end of a level goes back to the IOAPIC, which sends again: the device still asks.
//! let effect = apic.write_page(0xB0, &[0; 4], 10);
//! assert_eq!(effect, Effect::Ended { vector: 0x60, level: true });
//! let pins = ioapic.end_of_interrupt(0x60, 10);
//! send(&mut ioapic, &mut apic, pins, 10);
//! assert_eq!(apic.acknowledge(), Some(0x60));
//! let _ = ioapic.line(10, false);
//!
//! // The guest arms the timer: vector 0x50, divide by 1, 1000 ticks of 1 ns.
//! for (offset, value) in [(0x320, 0x50), (0x3E0, 0xB), (0x380, 1000)] {
//!     assert_eq!(apic.write_page(offset, &u32::to_le_bytes(value), 100), Effect::None);
//! }
//! assert_eq!(apic.deadline(), Some(1100));
//!
//! // The APIC moves while the timer runs, to a host whose clock shows another time.
//! let saved: Snapshot = apic.save(400);
//! let mut apic = LocalApic::restore(config, &saved, 5000)?;
//! assert_eq!(apic.deadline(), Some(5700));
//! apic.advance(5700);
//! assert!(apic.requests().contains(0x50));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Sources
//!
//! Section numbers such as "APIC §6.1" are relative to the chapter "Advanced Programmable Interrupt
//! Controller (APIC)" of the Intel SDM, volume 3A, whose own number differs between editions.
//!
//! # What never panics
//!
//! No guest value and no message panics: access by offset and MSR number is total. The host's own
//! duties (one owner, time that does not run backwards) are not checked; time that does run
//! backwards delays the timer and does nothing worse.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod arrival;
mod config;
mod error;
mod fabric;
mod icr;
mod ioapic;
mod lint;
mod local_apic;
mod lvt;
mod mailbox;
mod mode;
mod priority;
mod routing;
pub mod snapshot;
pub mod spec;
mod sync;
mod timer;
mod tsc_deadline;
mod vector;
mod x2apic;
mod xapic;

pub use arrival::{Acceptance, Arrivals};
pub use config::{Config, Features};
pub use fabric::{Fabric, FabricError, Router};
pub use ioapic::{IoApic, IoApicConfig, IoApicRefusal, IoApicState, PinState, Pins, Polarity};
pub use lint::Lint;
pub use local_apic::{Effect, LocalApic, Raised};
pub use mailbox::{Mailbox, Overtaken, Posted, Waiting};
pub use mode::Mode;
pub use routing::{Identity, LogicalModel, MAX_APICS};
pub use tsc_deadline::IA32_TSC_DEADLINE;
pub use vector::{InService, VectorSet};

/// What README.md shows is an example like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadMe;

/// The access takes a general-protection fault, #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralProtection;

impl core::fmt::Display for GeneralProtection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("#GP(0)")
    }
}

impl core::error::Error for GeneralProtection {}

/// A value too wide for its register has reserved bits set.
impl From<core::num::TryFromIntError> for GeneralProtection {
    fn from(_: core::num::TryFromIntError) -> Self {
        Self
    }
}
