//! The book that one vCPU's thread keeps: every exit, and every IPI that it sends and receives.
//!
//! Nothing here allocates, locks, logs or blocks after [`Ledger::new`]. This file has the exits and
//! the sender's side; `target` has what a vCPU receives.

use std::sync::Arc;

use vapic::Posted;
use vapic::spec::message::{DeliveryMode, InterruptMessage};

use super::cause::Cause;
use super::clock::{Clock, Tsc};
use super::count::Count;
use super::counters::Counters;
use super::event::{Event, Rest};
use super::in_flight::InFlight;
use super::ipi_id::{IpiId, Source};
use super::kick::Kick;
use super::kind::{Kind, Line};
use super::latency::Latency;
use crate::trace::Recorder;

/// Whose interrupt a vector's request or service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// Nobody's that is known: the vector is idle or, as a request, a local source's.
    None,
    /// In service for a local source.
    Local,
    /// An IPI whose id was not found.
    Unpaired,
    /// This IPI.
    Ipi(IpiId),
}

impl Owner {
    const fn id(self) -> Option<IpiId> {
        match self {
            Self::Ipi(id) => Some(id),
            Self::None | Self::Local | Self::Unpaired => None,
        }
    }
}

/// The durations that a vCPU measures.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    /// Outside the guest, by cause of the exit; time parked is left out.
    pub outside: [Latency; Cause::COUNT],
    /// Asleep, each time.
    pub parked: Latency,
    /// From an IPI's sending to its injection here, for vectors.
    pub send_to_inject: Latency,
    /// From an IPI's sending to its EOI here.
    pub send_to_end: Latency,
    /// From an NMI's sending to its injection here.
    pub nmi_send_to_inject: Latency,
}

/// A vCPU's book, owned by its thread.
///
/// Each method notes one event: it is booked, and recorded if a trace is kept.
pub struct Ledger {
    source: Source,
    vcpu: usize,
    clock: Clock,
    counters: Arc<Counters>,
    in_flight: Arc<InFlight>,
    recorder: Option<Recorder>,
    durations: Box<Durations>,
    requested: [Owner; 256],
    in_service: [Owner; 256],
    nmis_latched: u64,
    rested_in_exit: u64,
}

impl Ledger {
    /// An empty book for `source`: a vCPU's thread, or what sends for the devices; its events are
    /// kept if there is a recorder.
    #[must_use]
    pub fn new(
        source: Source,
        clock: Clock,
        counters: Arc<Counters>,
        in_flight: Arc<InFlight>,
        recorder: Option<Recorder>,
    ) -> Self {
        // A device is no target, so its number is beyond all of theirs.
        let vcpu = match source {
            Source::Vcpu(number) => number,
            Source::Device => usize::MAX,
        };
        Self {
            source,
            vcpu,
            clock,
            counters,
            in_flight,
            recorder,
            durations: Box::default(),
            requested: [Owner::None; 256],
            in_service: [Owner::None; 256],
            nmis_latched: 0,
            rested_in_exit: 0,
        }
    }

    /// Whether events are kept, so that those which change no account are worth their making.
    #[must_use]
    #[inline]
    pub const fn is_recording(&self) -> bool {
        self.recorder.is_some()
    }

    /// Whose book it is.
    #[must_use]
    pub const fn source(&self) -> Source {
        self.source
    }

    /// The durations so far.
    #[must_use]
    pub const fn durations(&self) -> &Durations {
        &self.durations
    }

    /// Deliveries accepted and not injected yet.
    #[must_use]
    pub fn pending(&self, kind: Kind) -> u64 {
        match kind {
            Kind::Vector => self
                .requested
                .iter()
                .filter(|&&owner| owner != Owner::None)
                .count() as u64,
            Kind::Nmi => self.nmis_latched,
            Kind::Init | Kind::StartUp | Kind::Smi | Kind::Other => 0,
        }
    }

    /// Books an event, and keeps it if a trace is recorded.
    #[inline(always)]
    pub fn note(&mut self, event: Event) {
        self.book(&event);
        if let Some(recorder) = &mut self.recorder {
            recorder.record(&event);
        }
    }

    /// Books an event: the account depends on nothing else.
    #[inline(always)]
    pub fn book(&mut self, event: &Event) {
        match *event {
            Event::Exit {
                cause,
                returned,
                entered,
            } => self.book_exit(cause, entered.since(returned)),
            Event::Rested { ticks, .. } => self.book_rest(ticks),
            Event::Sent { message, .. } => self.book_sent(&message),
            Event::Posted {
                target,
                delivery,
                outcome,
                ..
            } => self.book_post(target, delivery, outcome),
            Event::Kicked { kick, .. } => self.counters.add(Count::Kicks(kick), 1),
            Event::Drained {
                vector,
                acceptance,
                id,
                ..
            } => self.book_drained(vector, acceptance, id),
            Event::Arrived { arrivals, .. } => self.book_arrived(&arrivals),
            Event::Reset => self.book_reset(),
            Event::Injected { vector, at, .. } => self.book_injected(vector, at),
            Event::NmiInjected { id, at, .. } => self.book_nmi(id, at),
            Event::ExternalInjected { vector, .. } => self.book_external(vector),
            Event::Ended { vector, at, .. } => self.book_ended(vector, at),
            Event::CarriedOut { .. }
            | Event::Access { .. }
            | Event::TaskPriority(_)
            | Event::Lint0(_) => {}
        }
    }

    /// An exit has been dealt with: `KVM_RUN` returned at `returned` and is entered at `entered`.
    ///
    /// To be called before that entry, so that what the guest does next finds it counted. Time
    /// that [`Self::rested`] noted meanwhile is not part of the exit's: idling costs nothing.
    #[inline]
    pub fn exit(&mut self, cause: Cause, returned: Tsc, entered: Tsc) {
        self.note(Event::Exit {
            cause,
            returned,
            entered,
        });
    }

    fn book_exit(&mut self, cause: Cause, ticks: u64) {
        let rested = std::mem::take(&mut self.rested_in_exit);
        let outside = ticks.saturating_sub(rested);
        self.counters.add(Count::Exits(cause), 1);
        self.counters.add(Count::Outside(cause), outside);
        self.durations.outside[cause.index()].record(outside);
    }

    /// The thread slept since `since`, for `ticks`.
    #[inline]
    pub fn rested(&mut self, rest: Rest, since: Tsc, ticks: u64) {
        self.note(Event::Rested { rest, since, ticks });
    }

    fn book_rest(&mut self, ticks: u64) {
        self.rested_in_exit = self.rested_in_exit.saturating_add(ticks);
        self.counters.add(Count::Parks, 1);
        self.counters.add(Count::Parked, ticks);
        self.durations.parked.record(ticks);
    }

    /// The guest, or a device, sent an interrupt at `now`; returns its id.
    #[inline]
    pub fn sent(&mut self, message: &InterruptMessage, now: Tsc) -> IpiId {
        let id = IpiId::new(self.source, self.clock.elapsed(now));
        self.note(Event::Sent {
            id,
            message: *message,
        });
        id
    }

    fn book_sent(&mut self, message: &InterruptMessage) {
        self.counters.add(Count::Sent(message.delivery), 1);
        if Kind::of(message.delivery) == Kind::Vector {
            self.counters.add(Count::SentVector(message.vector), 1);
        }
    }

    /// The IPI is about to be posted to `target`; to be called before the post.
    #[inline]
    pub fn sending(&self, target: usize, message: &InterruptMessage, id: IpiId) {
        if let Some(line) = Line::of(message) {
            self.in_flight.sending(target, line, id);
        }
    }

    /// The IPI has been posted to `target`.
    #[inline]
    pub fn posted(
        &mut self,
        target: usize,
        message: &InterruptMessage,
        id: IpiId,
        outcome: Posted,
    ) {
        self.note(Event::Posted {
            id,
            target,
            delivery: message.delivery,
            vector: message.vector,
            outcome,
        });
    }

    fn book_post(&mut self, target: usize, delivery: DeliveryMode, outcome: Posted) {
        let count = match outcome {
            Posted::New => Count::PostedNew(delivery),
            Posted::Coalesced => Count::CoalescedAtPost(delivery),
            // No mailbox took it, and the ICR refuses such a mode before it becomes a message.
            Posted::Unsupported => return,
        };
        self.counters.add(count, 1);
        self.counters.post(target, outcome == Posted::New);
    }

    /// The IPI's target has been woken.
    #[inline]
    pub fn kicked(&mut self, target: usize, id: IpiId, kick: Kick) {
        self.note(Event::Kicked { id, target, kick });
    }
}

mod target;

#[cfg(test)]
mod tests;
