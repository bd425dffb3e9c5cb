//! A few processors, a guest's view of their registers through either door, and a clock.

use std::sync::Arc;

use vapic::spec::base::ApicBase;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{
    Acceptance, Arrivals, Config, Effect, Fabric, Features, GeneralProtection, LocalApic, Posted,
    Router,
};

/// Register numbers: the page offset divided by 16, the MSR minus 0x800.
pub(crate) mod register {
    pub(crate) const ID: u32 = 0x02;
    pub(crate) const VERSION: u32 = 0x03;
    pub(crate) const TPR: u32 = 0x08;
    pub(crate) const APR: u32 = 0x09;
    pub(crate) const PPR: u32 = 0x0A;
    pub(crate) const EOI: u32 = 0x0B;
    pub(crate) const RRD: u32 = 0x0C;
    pub(crate) const LDR: u32 = 0x0D;
    pub(crate) const DFR: u32 = 0x0E;
    pub(crate) const SVR: u32 = 0x0F;
    pub(crate) const ISR: u32 = 0x10;
    pub(crate) const TMR: u32 = 0x18;
    pub(crate) const IRR: u32 = 0x20;
    pub(crate) const ESR: u32 = 0x28;
    pub(crate) const LVT_CMCI: u32 = 0x2F;
    pub(crate) const ICR: u32 = 0x30;
    pub(crate) const ICR2: u32 = 0x31;
    pub(crate) const LVT_TIMER: u32 = 0x32;
    pub(crate) const LVT_THERMAL: u32 = 0x33;
    pub(crate) const LVT_PMC: u32 = 0x34;
    pub(crate) const LVT_LINT0: u32 = 0x35;
    pub(crate) const LVT_LINT1: u32 = 0x36;
    pub(crate) const LVT_ERROR: u32 = 0x37;
    pub(crate) const TIMER_INITIAL: u32 = 0x38;
    pub(crate) const TIMER_CURRENT: u32 = 0x39;
    pub(crate) const TIMER_DIVIDE: u32 = 0x3E;
    pub(crate) const SELF_IPI: u32 = 0x3F;
}

/// The two ways to the registers, each with the mode that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// The page of xAPIC mode.
    Page,
    /// The MSRs of x2APIC mode.
    Msr,
}

pub(crate) const DOORS: [Door; 2] = [Door::Page, Door::Msr];

pub(crate) const MASKED: u32 = 1 << 16;
pub(crate) const PERIODIC: u32 = 1 << 17;

/// Low ICR half: delivery modes and shorthands as a guest writes them.
pub(crate) const FIXED: u32 = 0 << 8;
pub(crate) const LOWEST_PRIORITY: u32 = 1 << 8;
pub(crate) const NMI: u32 = 4 << 8;
pub(crate) const INIT: u32 = 5 << 8;
pub(crate) const START_UP: u32 = 6 << 8;
pub(crate) const LOGICAL: u32 = 1 << 11;
pub(crate) const SELF: u32 = 1 << 18;
pub(crate) const ALL: u32 = 2 << 18;
pub(crate) const ALL_BUT_SELF: u32 = 3 << 18;

/// What a drain brings: the vectors and what became of each, then the rest.
pub(crate) struct Drained {
    pub(crate) vectors: Vec<(u8, Acceptance)>,
    pub(crate) arrivals: Option<Arrivals>,
}

pub(crate) struct Machine {
    pub(crate) apics: Vec<LocalApic>,
    pub(crate) fabric: Arc<Fabric>,
    routers: Vec<Router>,
    /// Whatever posts from outside: an IOAPIC, a device.
    device: Router,
    door: Door,
    /// ns.
    pub(crate) now: u64,
    /// Vectors ended, with their TMR bit, in order.
    pub(crate) ended: Vec<(u8, bool)>,
}

impl Machine {
    /// Processors as after power-up: xAPIC mode, software-disabled, all but the first waiting.
    pub(crate) fn at_power_up(count: u32) -> Self {
        Self::of_model(count, Features::default())
    }

    /// The same, of another model.
    pub(crate) fn of_model(count: u32, features: Features) -> Self {
        let config = |id| Config {
            id,
            bootstrap: id == 0,
            physical_bits: 46,
            features,
        };
        let apics: Vec<_> = (0..count).map(|id| LocalApic::new(config(id))).collect();
        let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).unwrap();
        let router = |source| Router::new(Arc::clone(&fabric), source);
        Self {
            routers: (0..apics.len()).map(|index| router(Some(index))).collect(),
            device: router(None),
            apics,
            fabric,
            door: Door::Page,
            now: 0,
            ended: Vec::new(),
        }
    }

    /// Processors that were started and have opened this door, APICs enabled.
    pub(crate) fn new(door: Door, count: u32) -> Self {
        Self::at_power_up(count).started(door)
    }

    /// Starts the processors and opens a door.
    pub(crate) fn started(mut self, door: Door) -> Self {
        let machine = &mut self;

        for cpu in 1..machine.apics.len() {
            machine.send(0, cpu, INIT);
            machine.send(0, cpu, START_UP | 8);
            machine.drain(cpu);
        }
        for cpu in 0..machine.apics.len() {
            if door == Door::Msr {
                let base = machine.apics[cpu].base().with_x2apic(true);
                machine.write_base(cpu, base.into_bits()).unwrap();
            }
        }
        machine.door = door;
        for cpu in 0..machine.apics.len() {
            machine.write(cpu, register::SVR, 0x1FF);
        }
        self
    }

    pub(crate) fn write_base(&mut self, cpu: usize, base: u64) -> Result<(), GeneralProtection> {
        let effect = self.apics[cpu].write_base(base)?;
        assert_eq!(effect, Effect::Base(ApicBase::from_bits(base)));
        self.perform(cpu, effect);
        Ok(())
    }

    /// The guest of `cpu` writes a register; whatever that asks of the host is done.
    #[track_caller]
    pub(crate) fn write(&mut self, cpu: usize, register: u32, value: u32) {
        let effect = match self.door {
            Door::Page => self.write_page(cpu, register << 4, &value.to_le_bytes()),
            Door::Msr => self
                .write_msr(cpu, 0x800 + register, value.into())
                .expect("no #GP"),
        };
        self.perform(cpu, effect);
    }

    #[track_caller]
    pub(crate) fn read(&mut self, cpu: usize, register: u32) -> u32 {
        match self.door {
            Door::Page => {
                let mut data = [0xA5; 4];
                self.apics[cpu].read_page(register << 4, &mut data, self.now);
                u32::from_le_bytes(data)
            }
            Door::Msr => {
                let value = self.apics[cpu]
                    .read_msr(0x800 + register, self.now)
                    .expect("no #GP");
                u32::try_from(value).expect("32 bits in all registers but the ICR")
            }
        }
    }

    /// Bits of the IRR, ISR or TMR as vectors, read 32 at a time as a guest must.
    pub(crate) fn read_vectors(&mut self, cpu: usize, first: u32) -> Vec<u8> {
        let words: Vec<_> = (0..8).map(|index| self.read(cpu, first + index)).collect();
        let is_set = |vector: &u8| words[usize::from(vector >> 5)] >> (vector & 31) & 1 != 0;
        (0..=u8::MAX).filter(is_set).collect()
    }

    pub(crate) fn write_page(&mut self, cpu: usize, offset: u32, data: &[u8]) -> Effect {
        self.apics[cpu].write_page(offset, data, self.now)
    }

    pub(crate) fn write_msr(
        &mut self,
        cpu: usize,
        msr: u32,
        value: u64,
    ) -> Result<Effect, GeneralProtection> {
        self.apics[cpu].write_msr(msr, value, self.now)
    }

    /// The guest of `cpu` writes the ICR, both halves in xAPIC mode.
    #[track_caller]
    pub(crate) fn send(&mut self, cpu: usize, destination: usize, low: u32) {
        let destination = u32::try_from(destination).unwrap();
        match self.door {
            Door::Page => {
                self.write(cpu, register::ICR2, destination << 24);
                self.write(cpu, register::ICR, low);
            }
            Door::Msr => {
                let value = u64::from(destination) << 32 | u64::from(low);
                let effect = self.write_msr(cpu, 0x830, value).expect("no #GP");
                self.perform(cpu, effect);
            }
        }
    }

    /// A device sends a fixed interrupt.
    pub(crate) fn post(&mut self, destination: Destination, vector: u8, trigger: Trigger) {
        let delivery = DeliveryMode::Fixed;
        let message = InterruptMessage {
            destination,
            delivery,
            vector,
            trigger,
        };
        self.device.deliver(&message, |_, _| {});
    }

    /// The same to one processor, edge-triggered.
    pub(crate) fn interrupt(&mut self, cpu: u32, vector: u8) {
        self.post(Destination::Physical(cpu), vector, Trigger::Edge);
    }

    /// What a send does: the indices it wakes and what became of each post.
    pub(crate) fn deliver(
        &mut self,
        cpu: usize,
        message: &InterruptMessage,
    ) -> Vec<(usize, Posted)> {
        let mut woken = Vec::new();
        self.routers[cpu].deliver(message, |index, posted| woken.push((index, posted)));
        woken
    }

    pub(crate) fn perform(&mut self, cpu: usize, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => drop(self.deliver(cpu, &message)),
            Effect::Ended { vector, level } => self.ended.push((vector, level)),
            Effect::Identity | Effect::Base(_) => {
                self.fabric.publish(cpu, self.apics[cpu].identity());
            }
        }
    }

    /// The thread of `cpu` takes what waits.
    pub(crate) fn drain(&mut self, cpu: usize) -> Drained {
        let mailbox = &self.fabric.mailboxes()[cpu];
        let mut vectors = Vec::new();
        let arrivals = self.apics[cpu].drain(mailbox, |vector, _, acceptance| {
            vectors.push((vector, acceptance));
        });
        assert!(mailbox.is_empty(), "a drain takes everything");
        if arrivals.is_some_and(|arrivals| arrivals.init) {
            self.fabric.publish(cpu, self.apics[cpu].identity());
        }
        Drained { vectors, arrivals }
    }

    /// The processor takes an interrupt, if one can be taken.
    pub(crate) fn take(&mut self, cpu: usize) -> Option<u8> {
        self.drain(cpu);
        let deliverable = self.apics[cpu].deliverable();
        let taken = self.apics[cpu].acknowledge();
        assert_eq!(taken, deliverable);
        taken
    }

    /// The guest ends an interrupt.
    #[track_caller]
    pub(crate) fn end(&mut self, cpu: usize) {
        self.write(cpu, register::EOI, 0);
    }

    /// Time passes for every processor.
    pub(crate) fn at(&mut self, now: u64) {
        self.now = now;
        for apic in &mut self.apics {
            apic.advance(now);
        }
    }
}
