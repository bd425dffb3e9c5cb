//! The inputs of a recorded run, fed through fresh APICs: every output must be what it was.
//!
//! Each vCPU's thread recorded what its APIC was given, in order: accesses with their moment, what
//! the mailbox held, CR8, LINT0, and when an interrupt was taken. `vapic` is a function of these, so
//! the values read, the faults, the messages sent, the vectors acknowledged and ended, and the
//! registers at the end come out as they did, or something has changed.

use std::fmt;
use std::sync::Arc;

use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{
    Acceptance, Arrivals, Effect, Fabric, GeneralProtection, IA32_TSC_DEADLINE, Lint, LocalApic,
};

use super::header::{ApicFacts, Page};
use super::{Origin, Stamped, Trace, TraceError};
use crate::observe::{Access, Clock, Door, Event, Tsc};

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum NoReplay {
    /// It cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The APICs were KVM's.
    #[error(
        "the trace is of a run on KVM's own APIC, whose inputs nobody sees: record one with --apic \
         userspace"
    )]
    KernelApic,
    /// Some of its records are missing.
    #[error(
        "{0} records of the trace were lost, and without them nothing can be replayed: record it \
         again with --trace-policy wait"
    )]
    Lost(u64),
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// vCPUs replayed.
    pub vcpus: usize,
    /// Inputs fed.
    pub inputs: u64,
    /// Outputs compared.
    pub outputs: u64,
    /// The first difference of each vCPU that has one.
    pub differences: Vec<Difference>,
}

/// An output that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The vCPU.
    pub vcpu: usize,
    /// How manieth record of this vCPU, from 0.
    pub record: u64,
    /// Nanoseconds from the run's start.
    pub at_ns: u64,
    /// What is different.
    pub what: String,
}

impl Replay {
    /// Replays every vCPU of a trace.
    ///
    /// A trace without its end is replayed as far as it goes.
    ///
    /// # Errors
    ///
    /// [`NoReplay`].
    pub fn of(trace: &Trace) -> Result<Self, NoReplay> {
        let facts = trace.header.apic.ok_or(NoReplay::KernelApic)?;
        if trace.lost_records != 0 {
            return Err(NoReplay::Lost(trace.lost_records));
        }
        let mut replay = Self::default();
        for vcpu in 0..trace.header.run.cpus {
            let page = trace
                .end
                .as_ref()
                .and_then(|end| end.pages.get(vcpu)?.as_ref());
            replay.vcpu(vcpu, facts, trace, page)?;
        }
        Ok(replay)
    }

    /// Whether every output was the same.
    #[must_use]
    pub const fn is_identical(&self) -> bool {
        self.differences.is_empty()
    }

    fn vcpu(
        &mut self,
        vcpu: usize,
        facts: ApicFacts,
        trace: &Trace,
        page: Option<&Page>,
    ) -> Result<(), TraceError> {
        let clock = trace.header.clock.clock();
        let mut processor = Processor::new(vcpu, facts, clock);
        let mut records = 0;
        let mut last = Tsc(trace.header.clock.start);
        self.vcpus += 1;
        for stamped in trace.events(Origin::Vcpu(vcpu)) {
            let stamped = stamped?;
            last = stamped.at;
            if let Err(what) = processor.step(&stamped) {
                self.differ(vcpu, records, last, &clock, what);
                return Ok(());
            }
            records += 1;
        }
        if let Some(what) = processor.end(page) {
            self.differ(vcpu, records, last, &clock, what);
        }
        self.inputs += processor.inputs;
        self.outputs += processor.outputs;
        Ok(())
    }

    fn differ(&mut self, vcpu: usize, record: u64, at: Tsc, clock: &Clock, what: String) {
        self.differences.push(Difference {
            vcpu,
            record,
            at_ns: clock.nanoseconds(clock.elapsed(at)),
            what,
        });
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vcpus,
            inputs,
            outputs,
            differences,
        } = self;
        if differences.is_empty() {
            return write!(
                f,
                "IDENTICAL: {inputs} inputs to the APICs of {vcpus} vCPU(s) gave the same {outputs} \
                 outputs."
            );
        }
        write!(
            f,
            "DIFFERENT: on {} of {vcpus} vCPU(s) an output is not what was recorded.",
            differences.len()
        )?;
        for difference in differences {
            let Difference {
                vcpu,
                record,
                at_ns,
                what,
            } = difference;
            write!(
                f,
                "\n  vCPU {vcpu}, record {record}, after {at_ns} ns: {what}"
            )?;
        }
        Ok(())
    }
}

/// A vCPU's APIC, as it is fed.
struct Processor {
    apic: LocalApic,
    facts: ApicFacts,
    id: u32,
    mailboxes: Arc<Fabric>,
    clock: Clock,
    inputs: u64,
    outputs: u64,
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
type Same = Result<(), String>;

impl Processor {
    fn new(vcpu: usize, facts: ApicFacts, clock: Clock) -> Self {
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

    fn time(&self, at: Tsc) -> u64 {
        self.clock.nanoseconds(self.clock.elapsed(at))
    }

    /// Counts an output, and compares it.
    fn same<T: PartialEq + fmt::Debug>(&mut self, what: &str, recorded: T, now: T) -> Same {
        self.outputs += 1;
        if recorded == now {
            return Ok(());
        }
        Err(format!("{what}: recorded {recorded:x?}, replayed {now:x?}"))
    }

    fn step(&mut self, stamped: &Stamped) -> Same {
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
        let time = self.time(to);
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
        let time = self.time(at);
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

    /// After the last record: the registers, or what is different.
    fn end(&mut self, page: Option<&Page>) -> Option<String> {
        let same = self.end_of_records(page);
        same.err()
    }

    fn end_of_records(&mut self, page: Option<&Page>) -> Same {
        if self.batch.at.is_some() {
            self.drain()?;
        }
        self.no_effect_is_left()?;
        let Some(page) = page else { return Ok(()) };
        let left = Tsc(page.at);
        let time = self.time(left);
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

#[cfg(test)]
mod tests {
    use vapic::spec::message::Destination;

    use super::*;
    use crate::observe::{Cause, IpiId, Source};

    const ID: u32 = 0x20;
    const SVR: u32 = 0xF0;
    const ICR: u32 = 0x300;
    const EOI: u32 = 0xB0;

    fn processor() -> Processor {
        let facts = ApicFacts {
            physical_bits: 46,
            tsc_deadline: false,
            eoi_suppression: false,
            corrected_machine_check: true,
        };
        Processor::new(1, facts, Clock::new(Tsc(0), 1_000_000))
    }

    fn access(write: bool, offset: u32, value: u64) -> Event {
        Event::Access {
            access: Access {
                door: Door::Page(offset, 4),
                write,
                value,
                fault: false,
                due: 0,
            },
            at: Tsc(1_000),
        }
    }

    fn sent(vector: u8) -> Event {
        Event::Sent {
            id: IpiId::new(Source::Vcpu(1), 1_000),
            message: InterruptMessage {
                destination: Destination::Physical(0),
                delivery: DeliveryMode::Fixed,
                vector,
                trigger: Trigger::Edge,
            },
        }
    }

    fn drained(vector: u8, acceptance: Acceptance) -> Event {
        Event::Drained {
            vector,
            trigger: Trigger::Edge,
            acceptance,
            id: None,
            at: Tsc(2_000),
        }
    }

    fn injected(vector: u8) -> Event {
        Event::Injected {
            vector,
            at: Tsc(2_100),
            turn: Tsc(2_000),
        }
    }

    fn ended(vector: u8) -> Event {
        Event::Ended {
            vector,
            level: false,
            at: Tsc(1_000),
        }
    }

    const EXIT: Event = Event::Exit {
        cause: Cause::ApicIcr,
        returned: Tsc(1_000),
        entered: Tsc(1_500),
    };

    /// What is different, if anything is.
    fn replay(events: &[Event], page: Option<&Page>) -> Option<String> {
        let mut processor = processor();
        let step = |event: &Event| {
            let stamped = Stamped {
                at: event.at().unwrap_or(Tsc(0)),
                event: *event,
            };
            processor.step(&stamped).err()
        };
        events.iter().find_map(step).or_else(|| processor.end(page))
    }

    #[test]
    fn a_life_on_both_sides_is_identical() {
        let events = [
            access(false, ID, 1 << 24),
            access(true, SVR, 0x1FF),
            access(true, ICR, 0x40),
            sent(0x40),
            EXIT,
            drained(0x50, Acceptance::Accepted),
            drained(0x60, Acceptance::Accepted),
            injected(0x60),
            access(true, EOI, 0),
            ended(0x60),
            injected(0x50),
        ];
        assert_eq!(replay(&events, None), None);
    }

    #[test]
    fn every_output_that_differs_is_found() {
        let enable = access(true, SVR, 0x1FF);
        for (events, said) in [
            (&[access(false, ID, 2 << 24)][..], "the value read"),
            (
                &[enable, access(true, ICR, 0x41), sent(0x40)],
                "the message",
            ),
            (&[enable, sent(0x40)], "the message"),
            (&[enable, access(true, ICR, 0x40), EXIT], "the effect"),
            (&[enable, access(true, ICR, 0x40)], "the effect"),
            (&[enable, injected(0x60)], "acknowledged"),
            (
                &[enable, drained(0x50, Acceptance::Accepted), injected(0x51)],
                "acknowledged",
            ),
            (
                &[enable, drained(0x50, Acceptance::Merged), EXIT],
                "becomes of the vectors",
            ),
            (
                &[drained(0x50, Acceptance::Accepted)],
                "becomes of the vectors",
            ),
            (&[enable, access(true, EOI, 0), ended(0x60)], "the end"),
        ] {
            let what = replay(events, None).unwrap_or_default();
            assert!(what.contains(said), "{events:?}: {what:?}");
        }
    }

    #[test]
    fn registers_that_differ_at_the_end_are_found() {
        let mut with_page = processor();
        let page = with_page.apic.save(5_000);
        let facts = with_page.facts.config(1);
        let page = Page::new(Tsc(5_000), &page.to_page(facts));
        assert_eq!(replay(&[], Some(&page)), None);
        let what = replay(&[access(true, SVR, 0x1FF)], Some(&page));
        assert!(what.is_some_and(|what| what.contains("registers")));
    }
}
