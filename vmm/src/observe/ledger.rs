//! The book that one vCPU's thread keeps: every exit, and every IPI that it sends and receives.
//!
//! Nothing here allocates, locks, logs or blocks after [`Ledger::new`]. This file has the exits and
//! the sender's side; `target` has what a vCPU receives.

use std::sync::Arc;

use vapic::Posted;
use vapic::spec::message::InterruptMessage;

use super::cause::Cause;
use super::clock::{Clock, Tsc};
use super::count::Count;
use super::counters::Counters;
use super::in_flight::InFlight;
use super::ipi_id::{IpiId, Source};
use super::kick::Kick;
use super::kind::{Kind, Line};
use super::latency::Latency;

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
pub struct Ledger {
    source: Source,
    vcpu: usize,
    clock: Clock,
    counters: Arc<Counters>,
    in_flight: Arc<InFlight>,
    durations: Box<Durations>,
    requested: [Owner; 256],
    in_service: [Owner; 256],
    nmis_latched: u64,
    parked_in_exit: u64,
}

impl Ledger {
    /// An empty book for `source`: a vCPU's thread, or what sends for the devices.
    #[must_use]
    pub fn new(
        source: Source,
        clock: Clock,
        counters: Arc<Counters>,
        in_flight: Arc<InFlight>,
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
            durations: Box::default(),
            requested: [Owner::None; 256],
            in_service: [Owner::None; 256],
            nmis_latched: 0,
            parked_in_exit: 0,
        }
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

    /// An exit has been dealt with: `KVM_RUN` returned at `returned` and is entered at `entered`.
    ///
    /// To be called before that entry, so that what the guest does next finds it counted. Time
    /// that [`Self::parked`] noted meanwhile is not part of the exit's: idling costs nothing.
    #[inline]
    pub fn exit(&mut self, cause: Cause, returned: Tsc, entered: Tsc) {
        let parked = std::mem::take(&mut self.parked_in_exit);
        let outside = entered.since(returned).saturating_sub(parked);
        self.counters.add(Count::Exits(cause), 1);
        self.counters.add(Count::Outside(cause), outside);
        self.durations.outside[cause.index()].record(outside);
    }

    /// The thread goes to sleep at `now`, for readers who look meanwhile.
    #[inline]
    pub fn falls_asleep(&self, now: Tsc) {
        self.counters.asleep().begin(self.clock.elapsed(now));
    }

    /// The thread is awake again at `now`.
    #[inline]
    pub fn wakes(&self, now: Tsc) {
        self.counters.asleep().end(self.clock.elapsed(now));
    }

    /// The thread slept for `ticks`.
    #[inline]
    pub fn parked(&mut self, ticks: u64) {
        self.parked_in_exit = self.parked_in_exit.saturating_add(ticks);
        self.counters.add(Count::Parks, 1);
        self.counters.add(Count::Parked, ticks);
        self.durations.parked.record(ticks);
    }

    /// The guest, or a device, sent an interrupt at `now`; returns its id.
    #[inline]
    pub fn sent(&mut self, message: &InterruptMessage, now: Tsc) -> IpiId {
        self.counters.add(Count::Sent(message.delivery), 1);
        if Kind::of(message.delivery) == Kind::Vector {
            self.counters.add(Count::SentVector(message.vector), 1);
        }
        IpiId::new(self.source, self.clock.elapsed(now))
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
    pub fn posted(&mut self, target: usize, message: &InterruptMessage, outcome: Posted) {
        let count = match outcome {
            Posted::New => Count::PostedNew(message.delivery),
            Posted::Coalesced => Count::CoalescedAtPost(message.delivery),
            // No mailbox took it, and the ICR refuses such a mode before it becomes a message.
            Posted::Unsupported => return,
        };
        self.counters.add(count, 1);
        self.counters.post(target, outcome == Posted::New);
    }

    /// A target has been woken.
    #[inline]
    pub fn kicked(&mut self, kick: Kick) {
        self.counters.add(Count::Kicks(kick), 1);
    }
}

mod target;

#[cfg(test)]
mod tests;
