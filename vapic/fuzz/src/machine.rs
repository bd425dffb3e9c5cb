//! Some processors, what they share, and two clocks; every call checks what it promises.

use std::sync::Arc;

use vapic::snapshot::Snapshot;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{
    Acceptance, Config, Effect, Fabric, Identity, LocalApic, Mode, Raised, Router, Waiting,
};

use crate::input::{Input, Model};
use crate::promises;

/// The IDs: the third and fourth look like the second in xAPIC mode.
const IDS: [u32; 4] = [0, 1, 0x101, 0x201];

pub(crate) struct Machine {
    pub(crate) apics: Vec<LocalApic>,
    pub(crate) configs: Vec<Config>,
    fabric: Arc<Fabric>,
    /// What the fabric was told.
    published: Vec<Identity>,
    routers: Vec<Router>,
    device: Router,
    /// ns.
    pub(crate) now: u64,
    tsc: u64,
}

impl Machine {
    pub(crate) fn new(model: Model) -> Self {
        let configs = IDS.map(|id| model.config(id, id == 0));
        Self::of(
            configs
                .map(|config| (config, LocalApic::new(config)))
                .into(),
        )
    }

    /// A machine of these APICs.
    pub(crate) fn of(apics: Vec<(Config, LocalApic)>) -> Self {
        let (configs, apics): (Vec<_>, Vec<_>) = apics.into_iter().unzip();
        let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).expect("distinct IDs");
        let router = |source| Router::new(Arc::clone(&fabric), source);
        Self {
            routers: (0..apics.len()).map(|index| router(Some(index))).collect(),
            device: router(None),
            published: apics.iter().map(LocalApic::identity).collect(),
            apics,
            configs,
            fabric,
            now: 0,
            tsc: 0,
        }
    }

    /// One input at one processor; the number is taken modulo those that there are.
    pub(crate) fn perform(&mut self, cpu: u8, input: Input) {
        let cpu = usize::from(cpu) % self.apics.len();
        if input.is_executed() && self.apics[cpu].is_waiting_for_start_up() {
            self.start(cpu);
        }
        match input {
            Input::WritePage(number, value) => {
                self.write_page(cpu, number.offset(), &value.bits().to_le_bytes());
            }
            Input::WriteBytes(offset, mut bytes) => {
                self.write_page(cpu, offset.get(), bytes.get());
            }
            Input::ReadPage(offset, width) => {
                self.read_page(cpu, offset.get(), width.of(&mut [0xA5; 16]));
            }
            Input::WriteMsr(number, value, high) => {
                self.write_msr(cpu, number.msr(), high.bits() | u64::from(value.bits()));
            }
            Input::WriteAnyMsr(msr, value) => self.write_msr(cpu, msr, value),
            Input::ReadMsr(number) => self.read_msr(cpu, number.msr()),
            Input::ReadAnyMsr(msr) => self.read_msr(cpu, msr),
            Input::WriteBase(base) => self.write_base(cpu, base.bits()),
            Input::WriteDeadline(deadline) => self.write_deadline(cpu, deadline),
            Input::ReadDeadline => self.read_deadline(cpu),
            Input::SetCr8(class) => {
                self.apics[cpu].set_cr8(class);
                assert_eq!(self.apics[cpu].cr8(), class & 0xF);
            }
            Input::Raise(source) => {
                let raised = self.apics[cpu].raise(source.get());
                self.raised(cpu, raised);
            }
            Input::Lint(pin, asserted) => {
                let raised = self.apics[cpu].set_lint(pin.into(), asserted);
                self.raised(cpu, raised);
            }
            Input::Message(message) => {
                let source = (!message.device).then_some(cpu);
                self.send(source, &message.into());
            }
            Input::Drain => self.drain(cpu),
            Input::Acknowledge => self.acknowledge(cpu),
            Input::End => match self.apics[cpu].mode() {
                Mode::Xapic => self.write_page(cpu, 0xB0, &[0; 4]),
                Mode::X2apic => self.write_msr(cpu, 0x80B, 0),
                Mode::Disabled => {}
            },
            Input::TakeNmi => self.take_nmi(cpu),
            Input::TakeSmi => self.take_smi(cpu),
            Input::EndExtInt => self.apics[cpu].end_ext_int(),
            Input::Clock(clock) => {
                self.now = clock.from(self.now, self.apics[cpu].deadline());
                for apic in &mut self.apics {
                    apic.advance(self.now);
                }
            }
            Input::Tsc(clock) => self.tsc = clock.from(self.tsc, None),
            Input::SaveAndRestore => {
                let saved = self.apics[cpu].save(self.now);
                self.apics[cpu] =
                    LocalApic::restore(self.configs[cpu], &saved, self.now).expect("saved");
            }
        }
        promises::check(&self.apics[cpu], self.configs[cpu], self.now);
        assert_eq!(self.apics[cpu].identity(), self.published[cpu], "not told");
    }

    /// What waits for a start-up executes nothing.
    fn start(&mut self, cpu: usize) {
        let _ = self.fabric.mailboxes()[cpu].post(&InterruptMessage {
            destination: Destination::All,
            delivery: DeliveryMode::StartUp,
            vector: 8,
            trigger: Trigger::Edge,
        });
        self.drain(cpu);
        assert!(!self.apics[cpu].is_waiting_for_start_up());
    }

    fn publish(&mut self, cpu: usize) {
        self.published[cpu] = self.apics[cpu].identity();
        self.fabric.publish(cpu, self.published[cpu]);
    }

    fn saved(&self, cpu: usize) -> Snapshot {
        promises::at(&self.apics[cpu], self.now)
    }

    fn write_page(&mut self, cpu: usize, offset: u32, data: &[u8]) {
        let before = self.saved(cpu);
        let is_register = self.apics[cpu].page().is_some() && data.len() == 4 && offset & 0xF == 0;
        let effect = self.apics[cpu].write_page(offset, data, self.now);
        if !is_register {
            assert_eq!(effect, Effect::None);
            assert_eq!(self.saved(cpu), before, "a dropped write does nothing");
        }
        self.effect(cpu, effect, &before);
    }

    fn read_page(&mut self, cpu: usize, offset: u32, data: &mut [u8]) {
        let before = self.saved(cpu);
        self.apics[cpu].read_page(offset, data, self.now);
        if self.apics[cpu].page().is_none() {
            assert!(data.iter().all(|&byte| byte == 0xFF));
        }
        let after = self.saved(cpu);
        if after.errors_collected == before.errors_collected {
            assert_eq!(after, before, "nothing but a hole has a side effect");
        }
    }

    fn write_msr(&mut self, cpu: usize, msr: u32, value: u64) {
        let before = self.saved(cpu);
        let mode = self.apics[cpu].mode();
        match self.apics[cpu].write_msr(msr, value, self.now) {
            Ok(effect) => {
                assert_eq!(mode, Mode::X2apic);
                assert!((0x800..0x900).contains(&msr));
                self.effect(cpu, effect, &before);
            }
            Err(_) => assert_eq!(self.saved(cpu), before, "a fault does nothing"),
        }
    }

    fn read_msr(&mut self, cpu: usize, msr: u32) {
        let before = self.saved(cpu);
        let read = self.apics[cpu].read_msr(msr, self.now);
        assert!(read.is_err() || self.apics[cpu].mode() == Mode::X2apic);
        assert_eq!(self.saved(cpu), before, "a read has no side effect");
    }

    fn write_base(&mut self, cpu: usize, base: u64) {
        let before = self.saved(cpu);
        match self.apics[cpu].write_base(base) {
            Ok(effect) => self.effect(cpu, effect, &before),
            Err(_) => assert_eq!(self.saved(cpu), before, "a fault does nothing"),
        }
    }

    fn write_deadline(&mut self, cpu: usize, deadline: u64) {
        let has_mode = self.configs[cpu].features.tsc_deadline;
        let wait = deadline.saturating_sub(self.tsc);
        let due = self.now.saturating_add(wait);
        let written = self.apics[cpu].write_tsc_deadline(deadline, due, self.now);
        assert_eq!(written.is_ok(), has_mode);
    }

    fn read_deadline(&mut self, cpu: usize) {
        let read = self.apics[cpu].read_tsc_deadline(self.now);
        assert_eq!(read.is_ok(), self.configs[cpu].features.tsc_deadline);
        assert!(read.is_err() || read == Ok(self.saved(cpu).tsc_deadline));
    }

    fn take_nmi(&mut self, cpu: usize) {
        let apic = &mut self.apics[cpu];
        let latched = apic.nmis();
        let takes = latched > 0 && !apic.is_waiting_for_start_up();
        assert_eq!(apic.take_nmi(), takes);
        assert_eq!(apic.nmis(), latched - u8::from(takes));
    }

    fn take_smi(&mut self, cpu: usize) {
        let waits = self.apics[cpu].is_waiting_for_start_up();
        let taken = self.apics[cpu].take_smi();
        assert!(!taken || !waits);
        assert!(!self.apics[cpu].take_smi(), "one is latched at most");
    }

    fn acknowledge(&mut self, cpu: usize) {
        let apic = &mut self.apics[cpu];
        let deliverable = apic.deliverable();
        assert_eq!(apic.acknowledge(), deliverable);
        if let Some(vector) = deliverable {
            assert!(vector >= 16);
            assert_eq!(apic.in_service(), Some(vector));
            assert!(!apic.requests().contains(vector));
            assert_eq!(apic.deliverable(), None, "nothing of its class or below");
        }
    }

    fn raised(&mut self, cpu: usize, raised: Raised) {
        if raised == Raised::Init {
            self.was_reset(cpu);
        }
    }

    /// After INIT, see APIC §4.7.3.
    fn was_reset(&mut self, cpu: usize) {
        let apic = &self.apics[cpu];
        assert!(!apic.identity().software_enabled);
        assert_eq!(apic.deadline(), None);
        self.publish(cpu);
    }

    /// Does what an access of the guest asks for; `before` is the state before it.
    fn effect(&mut self, cpu: usize, effect: Effect, before: &Snapshot) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => self.send(Some(cpu), &message),
            Effect::Ended { vector, level } => {
                assert_eq!(before.in_service.highest(), Some(vector));
                assert!(!self.saved(cpu).in_service.contains(vector));
                assert!(!level || before.spurious & 1 << 12 == 0, "suppressed");
            }
            Effect::Identity => self.publish(cpu),
            Effect::Base(base) => {
                assert_eq!(base, self.apics[cpu].base());
                self.publish(cpu);
            }
        }
    }

    /// Sends, and compares the targets with the rule for each receiver.
    fn send(&mut self, source: Option<usize>, message: &InterruptMessage) {
        let router = match source {
            Some(index) => &mut self.routers[index],
            None => &mut self.device,
        };
        let mut targets = Vec::new();
        router.for_each_target(message, |index| targets.push(index));
        let mut posted = Vec::new();
        router.deliver(message, |index, _| posted.push(index));
        assert_eq!(posted, targets);
        let reaches = |&index: &usize| match message.destination {
            Destination::Sender => Some(index) == source,
            Destination::AllButSender => {
                Some(index) != source && self.apics[index].mode() != Mode::Disabled
            }
            destination => self.apics[index].identity().matches(destination),
        };
        let mut all: Vec<_> = (0..self.apics.len()).filter(reaches).collect();
        if message.delivery == DeliveryMode::LowestPriority {
            all.retain(|&index| {
                let identity = self.apics[index].identity();
                identity.software_enabled && identity.mode != Mode::Disabled
            });
            assert_eq!(targets.len(), all.len().min(1));
            assert!(targets.iter().all(|target| all.contains(target)));
        } else {
            targets.sort_unstable();
            assert_eq!(targets, all);
        }
    }

    fn drain(&mut self, cpu: usize) {
        let mailbox = self.fabric.mailbox(cpu).expect("one each");
        let waiting = mailbox.waiting();
        let apic = &mut self.apics[cpu];
        // INIT overtakes the vectors.
        let enabled =
            apic.identity().software_enabled && apic.mode() != Mode::Disabled && !waiting.init;
        let mut seen = 0;
        let arrivals = apic.drain(mailbox, |vector, _, acceptance| {
            seen += 1;
            assert_eq!(acceptance == Acceptance::Disabled, !enabled);
            let illegal = enabled && vector < 16;
            assert_eq!(acceptance == Acceptance::IllegalVector, illegal);
        });
        assert_eq!(seen, waiting.vectors, "an account of every vector");
        assert_eq!(mailbox.waiting(), Waiting::default(), "nothing waits");
        assert!(mailbox.is_empty());
        let arrivals = arrivals.unwrap_or_default();
        assert_eq!(arrivals.init, waiting.init);
        assert_eq!(arrivals.nmis + arrivals.nmis_merged, waiting.nmis);
        assert_eq!(arrivals.overtaken, waiting.overtaken);
        assert_eq!(
            (arrivals.smi, arrivals.ext_int),
            (waiting.smi, waiting.ext_int)
        );
        let started = arrivals.start_page.is_some();
        assert_eq!(started || arrivals.start_up_discarded, waiting.start_up);
        assert!(!started || !apic.is_waiting_for_start_up());
        if arrivals.init {
            assert!(started || apic.is_waiting_for_start_up() != apic.base().bootstrap());
            self.was_reset(cpu);
        }
    }
}
