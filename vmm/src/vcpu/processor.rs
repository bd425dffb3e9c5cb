//! The processor around a user-space Local APIC: the APIC, its way to the others, and the account.
//!
//! Everything here is free of KVM; `run.rs` joins it to a vCPU.

use std::sync::Arc;

use kvm_ioctls::{ReadMsrExit, WriteMsrExit};
use vapic::spec::base::{ApicBase, IA32_APIC_BASE};
use vapic::spec::message::Trigger;
use vapic::{
    Acceptance, Arrivals, Config, Effect, GeneralProtection, IA32_TSC_DEADLINE, Lint, LocalApic,
    Raised,
};

use super::ApicPage;
use crate::chipset::INTR_TARGET;
use crate::machine::Machine;
use crate::observe::{Access, Clock, Door, Event, Ledger, Tsc};
use crate::sender::Sender;

/// One processor's Local APIC and what surrounds it.
pub struct Processor {
    /// The register model.
    pub apic: LocalApic,
    /// The account of this vCPU.
    pub ledger: Ledger,
    config: Config,
    index: usize,
    sender: Sender,
    machine: Arc<Machine>,
    clock: Clock,
    /// Taken from the mailbox and not yet handed to the loop.
    arrivals: Option<Arrivals>,
    intr_was_asserted: bool,
}

impl Processor {
    /// Processor `index` of the VM.
    #[must_use]
    pub fn new(
        index: usize,
        config: Config,
        sender: Sender,
        machine: Arc<Machine>,
        ledger: Ledger,
        clock: Clock,
    ) -> Self {
        Self {
            apic: LocalApic::new(config),
            ledger,
            config,
            index,
            sender,
            machine,
            clock,
            arrivals: None,
            intr_was_asserted: false,
        }
    }

    /// The run's clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The APIC's time at a stamp, in ns.
    #[must_use]
    pub fn time(&self, at: Tsc) -> u64 {
        self.clock.time(at)
    }

    /// The guest writes IA32_TSC_DEADLINE while its TSC is this much ahead of the host's.
    pub fn write_tsc_deadline(&mut self, value: u64, tsc_offset: u64, now: Tsc) {
        let ticks = value.saturating_sub(now.0.wrapping_add(tsc_offset));
        let time = self.time(now);
        let due = match ticks {
            0 => time,
            // A nanosecond begun is waited for: the guest never sees its TSC short of the deadline.
            ticks => self
                .clock
                .nanoseconds(self.clock.elapsed(now).saturating_add(ticks))
                .saturating_add(1),
        };
        self.note_access(now, || Access {
            due,
            ..Access::write(Door::Msr(IA32_TSC_DEADLINE), value, false)
        });
        // The exit is taken only where the processor has the mode, so there is no #GP.
        let _ = self.apic.write_tsc_deadline(value, due, time);
    }

    /// When time must be looked at, in ns.
    #[must_use]
    pub const fn deadline(&self) -> Option<u64> {
        self.apic.deadline()
    }

    /// The APIC's registers at a moment.
    #[must_use]
    pub fn page(&mut self, now: Tsc) -> ApicPage {
        let time = self.time(now);
        self.apic.save(time).to_page(self.config)
    }

    /// Lets time pass and takes what other threads have left; arrivals that are no vectors come out
    /// in order, one batch a call, until there are none.
    pub fn arrive(&mut self, now: Tsc) -> Option<Arrivals> {
        let earlier = self.arrivals.take();
        if earlier.is_none() {
            self.drain(now);
            return self.arrivals.take();
        }
        earlier
    }

    /// Takes what has been posted before this moment, so that a register read shows it: a sender
    /// whose ICR write is complete may have told the target so through memory.
    fn drain(&mut self, now: Tsc) {
        let time = self.time(now);
        self.apic.advance(time);
        let Some(mailbox) = self.sender.fabric().mailbox(self.index) else {
            return;
        };
        let (ledger, machine) = (&mut self.ledger, &self.machine);
        let arrivals = self.apic.drain(mailbox, |vector, trigger, acceptance| {
            ledger.drained(vector, trigger, acceptance, now);
            if (trigger, acceptance) == (Trigger::Level, Acceptance::Disabled) {
                machine.chipset().refused(vector, now);
            }
        });
        if let Some(arrivals) = arrivals {
            ledger.arrived(&arrivals, now);
            if arrivals.init {
                self.publish();
            }
            self.arrivals = Some(arrivals);
        }
    }

    /// Before an access is answered. Nothing more is taken while an INIT waits to be performed.
    fn before_access(&mut self, now: Tsc) {
        if self.arrivals.is_none() {
            self.drain(now);
        }
    }

    /// The guest reads the APIC page.
    pub fn read_page(&mut self, offset: u32, data: &mut [u8], now: Tsc) {
        self.before_access(now);
        let time = self.time(now);
        self.apic.read_page(offset, data, time);
        self.note_access(now, || {
            let door = Door::Page(offset, width(data));
            Access::read(door, Ok(value(data)))
        });
    }

    /// The guest writes the APIC page.
    pub fn write_page(&mut self, offset: u32, data: &[u8], now: Tsc) {
        let time = self.time(now);
        self.note_access(now, || {
            let door = Door::Page(offset, width(data));
            Access::write(door, value(data), false)
        });
        let effect = self.apic.write_page(offset, data, time);
        // A write to the page cannot change IA32_APIC_BASE.
        let _ = self.perform(effect, now);
    }

    /// The guest reads an MSR that KVM leaves to us.
    ///
    /// # Errors
    ///
    /// #GP, which KVM has been told to inject, for an MSR that nobody has.
    pub fn read_msr(&mut self, exit: ReadMsrExit<'_>, now: Tsc) -> Result<(), GeneralProtection> {
        self.before_access(now);
        let time = self.time(now);
        let result = match exit.index {
            IA32_TSC_DEADLINE => self.apic.read_tsc_deadline(time),
            msr => self.apic.read_msr(msr, time),
        };
        self.note_access(now, || Access::read(Door::Msr(exit.index), result));
        match result {
            Ok(value) => *exit.data = value,
            Err(GeneralProtection) => *exit.error = 1,
        }
        result.map(drop)
    }

    /// The guest writes an MSR that KVM leaves to us; returns a new IA32_APIC_BASE for KVM to copy.
    ///
    /// # Errors
    ///
    /// #GP, which KVM has been told to inject, for an MSR that nobody has or a value it cannot hold.
    pub fn write_msr(
        &mut self,
        exit: WriteMsrExit<'_>,
        now: Tsc,
    ) -> Result<Option<ApicBase>, GeneralProtection> {
        let time = self.time(now);
        let result = match exit.index {
            IA32_APIC_BASE => self.apic.write_base(exit.data),
            msr => self.apic.write_msr(msr, exit.data, time),
        };
        self.note_access(now, || {
            Access::write(Door::Msr(exit.index), exit.data, result.is_err())
        });
        *exit.error = result.is_err().into();
        Ok(self.perform(result?, now))
    }

    /// Records an access, before what it brings about.
    #[inline]
    fn note_access(&mut self, at: Tsc, access: impl FnOnce() -> Access) {
        if self.ledger.is_recording() {
            let access = access();
            self.ledger.note(Event::Access { access, at });
        }
    }

    /// The guest has left this in CR8.
    #[inline]
    pub fn set_cr8(&mut self, class: u8) {
        if self.ledger.is_recording() && class != self.apic.cr8() {
            self.ledger.note(Event::TaskPriority(class));
        }
        self.apic.set_cr8(class);
    }

    fn perform(&mut self, effect: Effect, now: Tsc) -> Option<ApicBase> {
        match effect {
            Effect::None => {}
            Effect::Send(message) => {
                self.sender.send(&message, &mut self.ledger, now);
            }
            Effect::Ended { vector, level } => {
                self.ledger.ended(vector, level, now);
                if level {
                    self.machine.chipset().end_of_interrupt(vector, now);
                }
            }
            Effect::Identity => self.publish(),
            Effect::Base(base) => {
                if self.apic.page().is_none() && !base.enabled() {
                    self.ledger.apic_reset();
                }
                self.publish();
                return Some(base);
            }
        }
        None
    }

    /// Tells all senders how this APIC is addressed from now on.
    fn publish(&self) {
        let fabric = self.sender.fabric();
        fabric.publish(self.index, self.apic.identity());
    }

    /// Looks at the wires that lead to this processor's pins; whether one of them brings an INIT,
    /// which has reset the APIC.
    #[must_use]
    pub fn sample_pins(&mut self) -> bool {
        if self.index == INTR_TARGET {
            let asserted = self.machine.intr().is_asserted();
            if self.ledger.is_recording() && (asserted || self.intr_was_asserted) {
                self.ledger.note(Event::Lint0(asserted));
            }
            self.intr_was_asserted = asserted;
            // A fixed or NMI entry raises what it says; the account finds it as a local interrupt.
            if self.apic.set_lint(Lint::Lint0, asserted) == Raised::Init {
                self.ledger.apic_reset();
                self.publish();
                return true;
            }
        }
        false
    }
}

/// Bytes of an access to memory, of which KVM hands over at most 8.
fn width(data: &[u8]) -> u8 {
    u8::try_from(data.len()).unwrap_or(u8::MAX)
}

/// The little-endian number in the first 8 bytes.
fn value(data: &[u8]) -> u64 {
    let mut word = [0; 8];
    word.iter_mut()
        .zip(data)
        .for_each(|(into, from)| *into = *from);
    u64::from_le_bytes(word)
}
