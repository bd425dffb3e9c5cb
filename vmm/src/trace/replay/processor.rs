//! The APIC of one vCPU, fed with what was recorded of it.

use std::fmt;
use std::sync::Arc;

use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{
    Acceptance, Arrivals, Effect, Fabric, GeneralProtection, IA32_TSC_DEADLINE, Lint, LocalApic,
};

use crate::observe::{Access, Clock, Door, Event, Tsc};
use crate::trace::Stamped;
use crate::trace::header::{ApicFacts, Page};

/// A vCPU's APIC, as it is fed.
pub(super) struct Processor {
    pub(super) apic: LocalApic,
    pub(super) facts: ApicFacts,
    id: u32,
    mailboxes: Arc<Fabric>,
    clock: Clock,
    pub(super) inputs: u64,
    pub(super) outputs: u64,
    /// What the last access must bring about.
    expected: Effect,
    /// What was drained at one moment, and has not been fed yet.
    batch: Batch,
}

/// All that one drain took.
#[derive(Default)]
struct Batch {
    at: Option<Tsc>,
    arrivals: Option<Arrivals>,
    vectors: Vec<(u8, Trigger, Acceptance)>,
}

/// `Ok` unless an output differs.
pub(super) type Same = Result<(), String>;

impl Processor {
    pub(super) fn new(vcpu: usize, facts: ApicFacts, clock: Clock) -> Self {
        let id = u32::try_from(vcpu).unwrap_or(u32::MAX);
        let apic = LocalApic::new(facts.config(id));
        let mailboxes = Fabric::new([apic.identity()]).expect("one APIC makes a fabric");
        Self {
            apic,
            facts,
            id,
            mailboxes,
            clock,
            inputs: 0,
            outputs: 0,
            expected: Effect::None,
            batch: Batch::default(),
        }
    }

    /// Counts an output, and compares it.
    fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, recorded: T, now: T) -> Same {
        self.outputs += 1;
        if recorded == now {
            return Ok(());
        }
        Err(format!("{what}: recorded {recorded:x?}, replayed {now:x?}"))
    }

    pub(super) fn step(&mut self, stamped: &Stamped) -> Same {
        let event = &stamped.event;
        if self.batch.at.is_some() && !self.batch.goes_on(event) {
            self.drain()?;
        }
        match *event {
            Event::Access { access, at } => {
                self.no_effect_is_left()?;
                self.access(&access, at)?;
            }
            Event::Drained {
                vector,
                trigger,
                acceptance,
                at,
                ..
            } => {
                self.batch.at = Some(at);
                self.batch.vectors.push((vector, trigger, acceptance));
            }
            Event::Arrived { arrivals, at } => {
                self.batch.at = Some(at);
                self.batch.arrivals = Some(arrivals);
            }
            Event::Injected { vector, turn, .. } => {
                self.advance(turn);
                let acknowledged = self.apic.acknowledge();
                self.same(
                    "the vector that is acknowledged",
                    Some(vector),
                    acknowledged,
                )?;
            }
            Event::NmiInjected { turn, .. } => {
                self.advance(turn);
                let taken = self.apic.take_nmi();
                self.same("an NMI is latched", true, taken)?;
            }
            Event::ExternalInjected { turn, .. } => {
                self.advance(turn);
                let asked = self.apic.ext_int();
                self.same("the 8259 asks", true, asked)?;
                self.apic.end_ext_int();
            }
            Event::TaskPriority(class) => {
                self.inputs += 1;
                self.apic.set_cr8(class);
            }
            Event::Lint0(asserted) => {
                self.inputs += 1;
                let _ = self.apic.set_lint(Lint::Lint0, asserted);
            }
            Event::Sent { message, .. } => {
                let expected = std::mem::replace(&mut self.expected, Effect::None);
                self.same("the message", Effect::Send(message), expected)?;
            }
            Event::Ended { vector, level, .. } => {
                let expected = std::mem::replace(&mut self.expected, Effect::None);
                self.same("the end", Effect::Ended { vector, level }, expected)?;
            }
            Event::Exit { .. } => self.no_effect_is_left()?,
            // What happens to others, or in KVM.
            Event::Rested { .. }
            | Event::Posted { .. }
            | Event::Kicked { .. }
            | Event::CarriedOut { .. }
            | Event::Reset => {}
        }
        Ok(())
    }

    fn advance(&mut self, to: Tsc) {
        self.inputs += 1;
        let time = self.clock.time(to);
        self.apic.advance(time);
    }

    /// A message or an end that the last access brings about now, and did not when it was recorded.
    fn no_effect_is_left(&mut self) -> Same {
        match std::mem::replace(&mut self.expected, Effect::None) {
            effect @ (Effect::Send(_) | Effect::Ended { .. }) => {
                self.same("the effect", Effect::None, effect)
            }
            Effect::None | Effect::Identity | Effect::Base(_) => Ok(()),
        }
    }

    fn access(&mut self, access: &Access, at: Tsc) -> Same {
        self.inputs += 1;
        let time = self.clock.time(at);
        match (access.door, access.write) {
            (Door::Page(offset, width), false) => {
                let mut bytes = [0; 8];
                if let Some(data) = bytes.get_mut(..usize::from(width)) {
                    self.apic.read_page(offset, data, time);
                }
                let now = u64::from_le_bytes(bytes);
                self.same("the value read", access.value, now)
            }
            (Door::Page(offset, width), true) => {
                let bytes = access.value.to_le_bytes();
                if let Some(data) = bytes.get(..usize::from(width)) {
                    self.expected = self.apic.write_page(offset, data, time);
                }
                Ok(())
            }
            (Door::Msr(msr), false) => {
                let result = match msr {
                    IA32_TSC_DEADLINE => self.apic.read_tsc_deadline(time),
                    msr => self.apic.read_msr(msr, time),
                };
                let recorded = if access.fault {
                    Err(GeneralProtection)
                } else {
                    Ok(access.value)
                };
                self.same("the value read", recorded, result)
            }
            (Door::Msr(msr), true) => {
                let result = match msr {
                    IA32_APIC_BASE => self.apic.write_base(access.value),
                    IA32_TSC_DEADLINE if !access.fault => self
                        .apic
                        .write_tsc_deadline(access.value, access.due, time)
                        .map(|()| Effect::None),
                    msr => self.apic.write_msr(msr, access.value, time),
                };
                self.same("the write faults", access.fault, result.is_err())?;
                self.expected = result.unwrap_or(Effect::None);
                Ok(())
            }
        }
    }

    /// Feeds what one drain took, all at once as it was.
    fn drain(&mut self) -> Same {
        let Batch {
            at,
            arrivals,
            vectors,
        } = std::mem::take(&mut self.batch);
        self.advance(at.unwrap_or(self.clock.start()));
        let mut taken = Vec::new();
        let mut arrived = None;
        for mailbox in self.mailboxes.mailboxes() {
            for message in messages(arrivals.as_ref(), &vectors) {
                self.inputs += 1;
                let _ = mailbox.post(&message);
            }
            arrived = self.apic.drain(mailbox, |vector, trigger, acceptance| {
                taken.push((vector, trigger, acceptance));
            });
        }
        self.same("what the mailbox brings", arrivals, arrived)?;
        self.same("what becomes of the vectors", vectors, taken)
    }

    /// After the last record, of a trace that is whole or was cut.
    pub(super) fn end_of_records(&mut self, whole: bool) -> Same {
        if self.batch.at.is_some() {
            self.drain()?;
        }
        // It may have been cut between an access and the effect of it.
        if whole {
            self.no_effect_is_left()
        } else {
            Ok(())
        }
    }

    /// The registers that the thread left.
    pub(super) fn registers(&mut self, page: &Page) -> Same {
        let left = Tsc(page.at);
        let time = self.clock.time(left);
        self.apic.advance(time);
        let config = self.facts.config(self.id);
        let now = Page::new(left, &self.apic.save(time).to_page(config));
        self.same("the registers at the end", page, &now)
    }
}

impl Batch {
    /// Whether an event is of the same drain.
    fn goes_on(&self, event: &Event) -> bool {
        match *event {
            // The signals come first.
            Event::Arrived { at, .. } => {
                self.at == Some(at) && self.arrivals.is_none() && self.vectors.is_empty()
            }
            Event::Drained { at, .. } => self.at == Some(at),
            _ => false,
        }
    }
}

/// The messages that a mailbox must have been left for a drain to bring this.
fn messages(
    arrivals: Option<&Arrivals>,
    vectors: &[(u8, Trigger, Acceptance)],
) -> Vec<InterruptMessage> {
    let message = |delivery, vector, trigger| InterruptMessage {
        destination: Destination::Sender,
        delivery,
        vector,
        trigger,
    };
    let mut messages = Vec::new();
    let mut add = |delivery, vector, times: u8| {
        (0..times).for_each(|_| messages.push(message(delivery, vector, Trigger::Edge)));
    };
    if let Some(arrivals) = arrivals {
        let overtaken = arrivals.overtaken;
        add(DeliveryMode::Nmi, 0, overtaken.nmis);
        add(DeliveryMode::StartUp, 0, overtaken.start_ups);
        add(DeliveryMode::Smi, 0, overtaken.smis);
        add(DeliveryMode::ExtInt, 0, overtaken.ext_ints);
        add(DeliveryMode::Init, 0, arrivals.init.into());
        let page = arrivals.start_page.unwrap_or(0);
        let starts = arrivals.start_page.is_some() || arrivals.start_up_discarded;
        add(DeliveryMode::StartUp, page, starts.into());
        add(
            DeliveryMode::Nmi,
            0,
            arrivals.nmis.saturating_add(arrivals.nmis_merged),
        );
        add(DeliveryMode::Smi, 0, arrivals.smi.into());
        add(DeliveryMode::ExtInt, 0, arrivals.ext_int.into());
    }
    let requests = vectors
        .iter()
        .map(|&(vector, trigger, _)| message(DeliveryMode::Fixed, vector, trigger));
    messages.extend(requests);
    messages
}
