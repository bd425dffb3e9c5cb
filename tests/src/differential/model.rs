//! The crate `vapic` on its own, without KVM and without threads: what a script should give.
//!
//! The generator asks it what state the processors are in, and what the machine on our APIC
//! answers must equal what it answers. Nothing KVM does depends on it.

use std::collections::HashMap;
use std::sync::Arc;

use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::spec::register::{Register, X2APIC_MSR_FIRST};
use vapic::{
    Config, Effect, Fabric, Features, IA32_TSC_DEADLINE, LocalApic, Mode, Router, VectorSet,
};

use super::access::Access;
use super::operation::{Action, EOI_MSR, End, Operation, Outcome};
use super::setup::{PAGE, START_PAGE, comes_up};

/// What an operation takes in the model's time. Timers are set so that it does not matter: they
/// expire at once or never.
const STEP_NS: u64 = 20_000;

/// Longer than any timer that is meant to expire.
const EXPIRED_NS: u64 = 10_000_000;

/// The model's TSC, which stands still: deadlines are in the past, waited for at once, or beyond the
/// end of the script.
const TSC: u64 = 1000;

const GENERAL_PROTECTION: u8 = 13;

/// All processors of a machine.
#[derive(Debug)]
pub struct Model {
    processors: Vec<Processor>,
    fabric: Arc<Fabric>,
    now: u64,
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
    /// KVM enters SMM when an SMI comes.
    pub smm: bool,
}

#[cfg(test)]
impl Traits {
    /// Of a host without peculiarities.
    pub(super) const PLAIN: Self = Self {
        physical_bits: 46,
        tsc_deadline: true,
        future_tsc: 0,
        keeps_in_service: true,
        smm: false,
    };
}

#[derive(Debug)]
struct Processor {
    apic: LocalApic,
    router: Router,
    nmis: u8,
    written: HashMap<u32, u32>,
    level_sent: VectorSet,
    /// Starts after the first that nobody has asked for.
    starts: u32,
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
            level_sent: VectorSet::EMPTY,
            starts: 0,
        });
        let mut model = Self {
            processors: processors.collect(),
            fabric,
            now: 0,
            traits,
        };
        model.send(
            0,
            InterruptMessage {
                destination: Destination::AllButSender,
                delivery: DeliveryMode::StartUp,
                vector: START_PAGE,
                trigger: Trigger::Edge,
            },
        );
        // The first start is no part of a script.
        for processor in &mut model.processors {
            processor.starts = 0;
        }
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

    /// Vectors that came to a processor last as level-triggered, by the ICR of their sender.
    #[must_use]
    pub fn level_sent(&self, processor: u8) -> &VectorSet {
        &self.processors[usize::from(processor)].level_sent
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
            Action::WriteDeadline(us) => {
                let ahead = u64::from(us) * 1000;
                outcome.fault = self.write_deadline(index, TSC + ahead, ahead);
            }
            Action::AwaitStart(target) => {
                let target = &mut self.processors[usize::from(target)];
                outcome.value = std::mem::take(&mut target.starts).into();
            }
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
        self.note_trigger(operation);
        let access = self.access(operation).filter(Access::is_whole);
        let value = access.and_then(|access| access.written);
        if let (Some(access), Some(Ok(value))) = (access, value.map(u32::try_from)) {
            let processor = &mut self.processors[usize::from(operation.processor)];
            processor.written.insert(access.index, value);
        }
    }

    /// Follows what KVM keeps in the TMR: the trigger mode of the last command that brought a vector,
    /// to each target its own. Ours are all edges.
    fn note_trigger(&mut self, operation: &Operation) {
        let sender = operation.processor;
        let (vector, level, mut targets) = match (operation.action, self.access(operation)) {
            // The timer's.
            (Action::Await(_, vector), _) => (vector, false, vec![sender]),
            (_, Some(access)) if access.register == Some(Register::SelfIpi) => {
                // What has more bits faults.
                match access.written.map(u8::try_from) {
                    Some(Ok(vector)) => (vector, false, vec![sender]),
                    _ => return,
                }
            }
            _ => match self.command(operation) {
                Some(icr) => (
                    icr.vector(),
                    icr.level_triggered(),
                    self.reached_by_vector(operation),
                ),
                None => return,
            },
        };
        // The others take no vectors.
        targets.retain(|&target| self.apic(target).identity().software_enabled);
        // Which of several gets a lowest-priority edge is not asked: none is known to be cleared.
        let lowest = self
            .command(operation)
            .is_some_and(|icr| icr.delivery() == DeliveryMode::LowestPriority);
        let only_one = !lowest || targets.len() == 1;
        for target in targets {
            let sent = &mut self.processors[usize::from(target)].level_sent;
            if level {
                sent.insert(vector);
            } else if only_one {
                sent.remove(vector);
            }
        }
    }

    fn write_msr(&mut self, index: usize, msr: u32, value: u64) -> u8 {
        if msr == IA32_TSC_DEADLINE {
            return self.write_deadline(index, value, value.saturating_sub(TSC));
        }
        let apic = &mut self.processors[index].apic;
        let effect = match msr {
            IA32_APIC_BASE => apic.write_base(value),
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

    /// IA32_TSC_DEADLINE, which so many ns will bring.
    fn write_deadline(&mut self, index: usize, value: u64, ahead: u64) -> u8 {
        let due = self.now.saturating_add(ahead);
        let apic = &mut self.processors[index].apic;
        let written = apic.write_tsc_deadline(value, due, self.now);
        written.map_or(GENERAL_PROTECTION, |()| 0)
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
        let mut started = Vec::new();
        let mailboxes = self.fabric.mailboxes();
        for (index, (processor, mailbox)) in self.processors.iter_mut().zip(mailboxes).enumerate() {
            let Some(arrivals) = processor.apic.drain(mailbox, |_, _, _| {}) else {
                continue;
            };
            if arrivals.init {
                processor.written.clear();
                processor.level_sent = VectorSet::EMPTY;
                self.fabric.publish(index, processor.apic.identity());
            }
            if arrivals.start_page.is_some() {
                started.push(index);
            }
        }
        for index in started {
            self.come_up(index);
        }
    }

    /// What the guest does first on a processor that starts.
    fn come_up(&mut self, index: usize) {
        self.processors[index].starts += 1;
        let processor = u8::try_from(index).expect("few processors");
        for (offset, value) in comes_up(processor) {
            self.write_page(index, PAGE + offset, &value.to_le_bytes());
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
