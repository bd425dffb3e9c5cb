//! The crate `vapic` on its own, without KVM and without threads: what a script should give.
//!
//! The generator asks it what state the processors are in, and what the machine on our APIC
//! answers must equal what it answers. Nothing KVM does depends on it.

use std::collections::HashMap;
use std::sync::Arc;

use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::icr::Icr;
use vapic::spec::lvt::LvtSource;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::spec::register::{Register, X2APIC_MSR_FIRST};
use vapic::{
    Config, Effect, Fabric, Features, IA32_TSC_DEADLINE, LocalApic, Mode, Router, VectorSet,
};

use super::operation::{Action, EOI_MSR, End, Operation, Outcome};

/// What an operation takes in the model's time. Timers are set so that it does not matter: they
/// expire at once or never.
const STEP_NS: u64 = 20_000;

/// Longer than any timer that is meant to expire.
const EXPIRED_NS: u64 = 10_000_000;

/// The model's TSC, which stands still: deadlines are in the past or beyond the end of the script.
const TSC: u64 = 1000;

const GENERAL_PROTECTION: u8 = 13;

/// All processors of a machine.
#[derive(Debug)]
pub struct Model {
    processors: Vec<Processor>,
    fabric: Arc<Fabric>,
    now: u64,
    level_sent: VectorSet,
    traits: Traits,
}

/// What hosts differ in.
#[derive(Clone, Copy, Debug)]
pub struct Traits {
    /// Width of physical addresses.
    pub physical_bits: u8,
    /// The timer has TSC-deadline mode.
    pub tsc_deadline: bool,
    /// A TSC of a guest that starts now which it does not live to see.
    pub future_tsc: u64,
    /// KVM's own APIC has an ISR that works.
    pub keeps_in_service: bool,
}

#[derive(Debug)]
struct Processor {
    apic: LocalApic,
    router: Router,
    nmis: u8,
    written: HashMap<u32, u32>,
}

/// An access that reaches a register, or the place where one could be, in the present mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The register's number: page offset divided by 16, or MSR less 0x800.
    pub index: u32,
    /// The register, if there is one.
    pub register: Option<Register>,
    /// Through which door.
    pub door: Door,
    /// What is written, nothing if it is a read.
    pub written: Option<u64>,
}

/// A door to the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// MSRs.
    Msr,
    /// Memory: first byte within the register's sixteen, and how many.
    Page(u32, u8),
}

impl Access {
    /// Whether the register as a whole is read or written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.door, Door::Msr | Door::Page(0, 4))
    }

    /// The bits of the register that a value read through this access stands for.
    #[must_use]
    pub fn bits(&self, value: u64) -> u64 {
        match self.door {
            Door::Msr => value,
            Door::Page(first, _) => value.checked_shl(first * 8).unwrap_or(0),
        }
    }
}

impl Model {
    /// Processors after start-up, the first of them the bootstrap processor.
    ///
    /// # Panics
    ///
    /// If `vapic` refuses so many.
    #[must_use]
    pub fn new(processors: u8, traits: Traits) -> Self {
        let apics: Vec<LocalApic> = (0..u32::from(processors))
            .map(|id| {
                LocalApic::new(Config {
                    id,
                    bootstrap: id == 0,
                    physical_bits: traits.physical_bits,
                    features: Features {
                        tsc_deadline: traits.tsc_deadline,
                        ..Features::default()
                    },
                })
            })
            .collect();
        let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).expect("distinct ids");
        let processors = (0..).zip(apics).map(|(index, apic)| Processor {
            apic,
            router: Router::new(Arc::clone(&fabric), Some(index)),
            nmis: 0,
            written: HashMap::new(),
        });
        let mut model = Self {
            processors: processors.collect(),
            fabric,
            now: 0,
            level_sent: VectorSet::EMPTY,
            traits,
        };
        model.send(
            0,
            InterruptMessage {
                destination: Destination::AllButSender,
                delivery: DeliveryMode::StartUp,
                vector: 8,
                trigger: Trigger::Edge,
            },
        );
        model
    }

    /// What is known of the host.
    #[must_use]
    pub const fn traits(&self) -> Traits {
        self.traits
    }

    /// Number of processors.
    #[must_use]
    pub fn count(&self) -> u8 {
        u8::try_from(self.processors.len()).expect("as many as were asked for")
    }

    /// The APIC of a processor.
    #[must_use]
    pub fn apic(&self, processor: u8) -> &LocalApic {
        &self.processors[usize::from(processor)].apic
    }

    /// All APICs.
    pub fn apics(&self) -> impl Iterator<Item = &LocalApic> {
        self.processors.iter().map(|processor| &processor.apic)
    }

    /// A register's present value; 0 if it cannot be read or the APIC is disabled.
    #[must_use]
    pub fn register(&self, processor: u8, index: u32) -> u32 {
        let mut apic = self.apic(processor).clone();
        let mut data = [0; 4];
        match apic.mode() {
            Mode::Disabled => {}
            Mode::Xapic => apic.read_page(index << 4, &mut data, self.now),
            Mode::X2apic => {
                let value = apic.read_msr(X2APIC_MSR_FIRST + index, self.now);
                let [a, b, c, d, ..] = value.unwrap_or(0).to_le_bytes();
                data = [a, b, c, d];
            }
        }
        u32::from_le_bytes(data)
    }

    /// What a register was last written with as a whole, whether or not it took all of it.
    #[must_use]
    pub fn last_written(&self, processor: u8, index: u32) -> u32 {
        let written = &self.processors[usize::from(processor)].written;
        written.get(&index).copied().unwrap_or(0)
    }

    /// Vectors that have been sent as level-triggered.
    #[must_use]
    pub const fn level_sent(&self) -> &VectorSet {
        &self.level_sent
    }

    /// The register that an operation reaches, if it does.
    #[must_use]
    pub fn access(&self, operation: &Operation) -> Option<Access> {
        let apic = self.apic(operation.processor);
        let msr = |msr: u32, written| {
            let index = msr.checked_sub(X2APIC_MSR_FIRST).filter(|&i| i < 0x100)?;
            (apic.mode() == Mode::X2apic).then_some(Access {
                index,
                register: Register::from_index(index),
                door: Door::Msr,
                written,
            })
        };
        let page = |address: u32, width, written| {
            let offset = u64::from(address).checked_sub(apic.page()?)?;
            let offset = u32::try_from(offset).ok().filter(|&o| o < 0x1000)?;
            Some(Access {
                index: offset >> 4,
                register: Register::from_offset(offset),
                door: Door::Page(offset & 0xF, width),
                written,
            })
        };
        match operation.action {
            Action::ReadMsr(index) => msr(index, None),
            Action::WriteMsr(index, value) => msr(index, Some(value)),
            Action::ReadPage(address, width) => page(address, width, None),
            Action::WritePage(address, width, value) => {
                let kept = u64::MAX >> (64 - 8 * u32::from(width));
                page(address, width, Some(value & kept))
            }
            Action::ExchangePage(address, value) => page(address, 4, Some(value.into())),
            _ => None,
        }
    }

    /// The ICR as an operation makes it, if it sends.
    #[must_use]
    pub fn command(&self, operation: &Operation) -> Option<Icr> {
        let access = self.access(operation).filter(Access::is_whole)?;
        match (access.register?, access.door, access.written?) {
            (Register::InterruptCommand, Door::Msr, value) => {
                (value & Icr::X2APIC_RESERVED == 0).then(|| Icr::from_bits(value))
            }
            (Register::InterruptCommand, Door::Page(..), low) => Some(Icr::from_xapic(
                u32::try_from(low & 0xFFFF_FFFF).expect("masked"),
                self.register(operation.processor, 0x31),
            )),
            _ => None,
        }
    }

    /// Executes an operation.
    pub fn execute(&mut self, operation: &Operation) -> Outcome {
        self.now += STEP_NS;
        self.note(operation);
        let index = usize::from(operation.processor);
        let now = self.now;
        self.processors[index].apic.advance(now);
        let mut outcome = Outcome::default();
        match operation.action {
            Action::ReadMsr(IA32_APIC_BASE) => {
                outcome.value = self.processors[index].apic.base().into_bits();
            }
            Action::ReadMsr(msr) => {
                let apic = &mut self.processors[index].apic;
                let value = match msr {
                    IA32_TSC_DEADLINE => apic.read_tsc_deadline(now),
                    _ => apic.read_msr(msr, now),
                };
                match value {
                    Ok(value) => outcome.value = value,
                    Err(_) => outcome.fault = GENERAL_PROTECTION,
                }
            }
            Action::WriteMsr(msr, value) => {
                outcome.fault = self.write_msr(index, msr, value);
            }
            Action::ReadPage(address, width) => {
                outcome.value = self.read_page(index, address, width);
            }
            Action::WritePage(address, width, value) => {
                self.write_page(index, address, &value.to_le_bytes()[..usize::from(width)]);
            }
            Action::ExchangePage(address, value) => {
                outcome.value = self.read_page(index, address, 4);
                self.write_page(index, address, &value.to_le_bytes());
            }
            Action::ReadCr8 => outcome.value = self.processors[index].apic.cr8().into(),
            Action::WriteCr8(value) => match u8::try_from(value).ok().filter(|&c| c < 16) {
                Some(class) => self.processors[index].apic.set_cr8(class),
                None => outcome.fault = GENERAL_PROTECTION,
            },
            Action::Window(end) => outcome.interrupts = self.window(index, end),
            Action::Exit => {}
            Action::Delay(us) => self.now += u64::from(us) * 1000,
            Action::Await(_, vector) => {
                self.now += EXPIRED_NS;
                let apic = &mut self.processors[index].apic;
                apic.advance(self.now);
                outcome.value = apic.requests().contains(vector).into();
            }
        }
        for processor in &mut self.processors {
            while processor.apic.take_nmi() {
                processor.nmis = processor.nmis.wrapping_add(1);
            }
        }
        if operation.action == Action::Exit {
            outcome.nmis = self.processors[index].nmis;
        }
        outcome
    }

    /// Keeps what the registers do not tell any more.
    fn note(&mut self, operation: &Operation) {
        let command = self.command(operation);
        if let Some(command) = command.filter(|icr| icr.level_triggered() && icr.assert()) {
            self.level_sent.insert(command.vector());
        }
        let access = self.access(operation).filter(Access::is_whole);
        let value = access.and_then(|access| access.written);
        if let (Some(access), Some(Ok(value))) = (access, value.map(u32::try_from)) {
            let processor = &mut self.processors[usize::from(operation.processor)];
            processor.written.insert(access.index, value);
        }
    }

    fn write_msr(&mut self, index: usize, msr: u32, value: u64) -> u8 {
        let apic = &mut self.processors[index].apic;
        let effect = match msr {
            IA32_APIC_BASE => apic.write_base(value),
            IA32_TSC_DEADLINE => {
                let due = self.now.saturating_add(value.saturating_sub(TSC));
                apic.write_tsc_deadline(value, due, self.now)
                    .map(|()| Effect::None)
            }
            _ => apic.write_msr(msr, value, self.now),
        };
        match effect {
            Ok(effect) => {
                self.perform(index, effect);
                0
            }
            Err(_) => GENERAL_PROTECTION,
        }
    }

    fn read_page(&mut self, index: usize, address: u32, width: u8) -> u64 {
        let mut data = [0; 8];
        let bytes = &mut data[..usize::from(width)];
        let apic = &mut self.processors[index].apic;
        match offset(apic, address) {
            Some(offset) => apic.read_page(offset, bytes, self.now),
            None => bytes.fill(0xFF),
        }
        u64::from_le_bytes(data)
    }

    fn write_page(&mut self, index: usize, address: u32, data: &[u8]) {
        let apic = &mut self.processors[index].apic;
        if let Some(offset) = offset(apic, address) {
            let effect = apic.write_page(offset, data, self.now);
            self.perform(index, effect);
        }
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        match effect {
            Effect::None | Effect::Ended { .. } => {}
            Effect::Send(message) => self.send(index, message),
            Effect::Identity | Effect::Base(_) => {
                let identity = self.processors[index].apic.identity();
                self.fabric.publish(index, identity);
            }
        }
    }

    fn send(&mut self, index: usize, message: InterruptMessage) {
        self.processors[index].router.deliver(&message, |_, _| {});
        for (processor, mailbox) in self.processors.iter_mut().zip(self.fabric.mailboxes()) {
            let _ = processor.apic.drain(mailbox, |_, _, _| {});
        }
    }

    fn window(&mut self, index: usize, end: End) -> Vec<u8> {
        let mut taken = Vec::new();
        while let Some(vector) = self.processors[index].apic.acknowledge() {
            taken.push(vector);
            match end {
                End::Leave => {}
                End::Page(page) => self.write_page(index, page + 0xB0, &[0; 4]),
                End::Msr => {
                    self.write_msr(index, EOI_MSR, 0);
                }
            }
        }
        taken
    }
}

fn offset(apic: &LocalApic, address: u32) -> Option<u32> {
    let offset = u64::from(address).checked_sub(apic.page()?)?;
    u32::try_from(offset).ok().filter(|&offset| offset < 0x1000)
}

/// The number of an entry of the local vector table.
#[must_use]
pub const fn lvt_index(source: LvtSource) -> u32 {
    match source {
        LvtSource::CorrectedMachineCheck => 0x2F,
        LvtSource::Timer => 0x32,
        LvtSource::Thermal => 0x33,
        LvtSource::PerformanceCounter => 0x34,
        LvtSource::Lint0 => 0x35,
        LvtSource::Lint1 => 0x36,
        LvtSource::Error => 0x37,
    }
}
