//! The life of every IPI of a trace: where it came from, where it went, and when.

use std::collections::HashMap;

use vapic::spec::message::InterruptMessage;
use vapic::{Acceptance, Posted};

use super::{Origin, Trace, TraceError};
use crate::observe::{Event, IpiId, Kick, Line, Refusal, Source, Tsc};

/// One IPI, or one interrupt of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Its id.
    pub id: IpiId,
    /// Who sent it.
    pub source: Source,
    /// What it is.
    pub message: InterruptMessage,
    /// T1: the sender's exit, or the device's moment.
    pub exited: Tsc,
    /// T2: decoded.
    pub decoded: Tsc,
    /// When its sender went back into the guest; devices have no guest.
    pub entered: Option<Tsc>,
    /// To whom, in the order of posting.
    pub deliveries: Vec<Delivery>,
}

/// An IPI on its way to one target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The vCPU.
    pub target: usize,
    /// T3: posted.
    pub posted: Tsc,
    /// T4: how the target was woken, and when; a sender does not wake itself.
    pub kick: Option<(Kick, Tsc)>,
    /// When the target found it.
    pub drained: Option<Tsc>,
    /// T5: handed to the processor, or carried out.
    pub injected: Option<Tsc>,
    /// T6: ended by the guest.
    pub ended: Option<Tsc>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// Handed to the processor; INIT and start-up: carried out.
    Injected,
    /// Its equal waited in the mailbox: the two are one interrupt.
    CoalescedAtPost,
    /// Its request bit was set in the APIC: the two are one interrupt.
    CoalescedAtAccept,
    /// Not taken, for this reason.
    Refused(Refusal),
    /// Accepted, and not injected when the trace ends.
    Pending,
    /// Not seen at its target: it waits there at the end, or was drained under another's id.
    Unseen,
}

impl Fate {
    /// The name in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::CoalescedAtPost => "coalesced_at_post",
            Self::CoalescedAtAccept => "coalesced_at_accept",
            Self::Refused(refusal) => refusal.name(),
            Self::Pending => "pending",
            Self::Unseen => "unseen",
        }
    }
}

/// The lives of all IPIs in a trace, by sender and time.
///
/// # Errors
///
/// A damaged trace.
pub fn lives(trace: &Trace) -> Result<Vec<Life>, TraceError> {
    let mut lives = Lives::default();
    let start = trace.header.clock.start;
    for origin in trace.origins() {
        let mut born = lives.lives.len();
        for stamped in trace.events(origin) {
            let stamped = stamped?;
            lives.sender(origin, stamped.at, &stamped.event, &mut born, start);
        }
    }
    for origin in trace.origins() {
        if let Origin::Vcpu(vcpu) = origin {
            let mut target = Target::new(vcpu);
            for stamped in trace.events(origin) {
                target.follow(&stamped?.event, &mut lives);
            }
        }
    }
    Ok(lives.lives)
}

#[derive(Default)]
struct Lives {
    lives: Vec<Life>,
    by_id: HashMap<IpiId, usize>,
}

impl Lives {
    /// Follows what a sender did; `born` is the first life whose sender is still outside the guest,
    /// `start` the stamp of the run's start.
    fn sender(&mut self, origin: Origin, at: Tsc, event: &Event, born: &mut usize, start: u64) {
        match *event {
            Event::Sent { id, message } => {
                self.by_id.insert(id, self.lives.len());
                self.lives.push(Life {
                    id,
                    source: match origin {
                        Origin::Vcpu(vcpu) => Source::Vcpu(vcpu),
                        Origin::Devices => Source::Device,
                    },
                    message,
                    exited: Tsc(start.wrapping_add(id.ticks())),
                    decoded: at,
                    entered: None,
                    // Most have one target.
                    deliveries: Vec::with_capacity(1),
                });
            }
            Event::Posted {
                id,
                target,
                outcome,
                ..
            } => {
                if let Some(life) = self.of(id) {
                    life.deliveries.push(Delivery {
                        target,
                        posted: at,
                        kick: None,
                        drained: None,
                        injected: None,
                        ended: None,
                        fate: match outcome {
                            Posted::New => Fate::Unseen,
                            Posted::Coalesced => Fate::CoalescedAtPost,
                            Posted::Unsupported => Fate::Refused(Refusal::NotEmulated),
                        },
                    });
                }
            }
            Event::Kicked { id, target, kick } => {
                if let Some(delivery) = self.delivery(id, target) {
                    delivery.kick = Some((kick, at));
                }
            }
            Event::Exit { entered, .. } => {
                let unfinished = self.lives.get_mut(*born..).unwrap_or_default();
                unfinished
                    .iter_mut()
                    .for_each(|life| life.entered = Some(entered));
                *born = self.lives.len();
            }
            _ => {}
        }
    }

    fn of(&mut self, id: IpiId) -> Option<&mut Life> {
        self.lives.get_mut(*self.by_id.get(&id)?)
    }

    fn delivery(&mut self, id: IpiId, target: usize) -> Option<&mut Delivery> {
        let mut deliveries = self.of(id)?.deliveries.iter_mut();
        deliveries.find(|delivery| delivery.target == target)
    }
}

/// A vCPU as the target of IPIs.
struct Target {
    vcpu: usize,
    requested: [Option<IpiId>; 256],
    in_service: [Option<IpiId>; 256],
    start_up_discarded: bool,
    arrived: Tsc,
}

impl Target {
    const fn new(vcpu: usize) -> Self {
        Self {
            vcpu,
            requested: [None; 256],
            in_service: [None; 256],
            start_up_discarded: false,
            arrived: Tsc(0),
        }
    }

    fn follow(&mut self, event: &Event, lives: &mut Lives) {
        let vcpu = self.vcpu;
        match *event {
            Event::Drained {
                vector,
                acceptance,
                id: Some(id),
                at,
                ..
            } => {
                if let Some(delivery) = lives.delivery(id, vcpu) {
                    delivery.drained = Some(at);
                    delivery.fate = match acceptance {
                        Acceptance::Accepted => Fate::Pending,
                        Acceptance::Merged => Fate::CoalescedAtAccept,
                        Acceptance::Disabled => Fate::Refused(Refusal::Disabled),
                        Acceptance::IllegalVector => Fate::Refused(Refusal::IllegalVector),
                    };
                    if acceptance == Acceptance::Accepted {
                        self.requested[usize::from(vector)] = Some(id);
                    }
                }
            }
            Event::Injected { vector, at, .. } => {
                let id = self.requested[usize::from(vector)].take();
                self.in_service[usize::from(vector)] = id;
                Self::injected(lives, id, vcpu, at);
            }
            Event::Ended { vector, at, .. } => {
                let id = self.in_service[usize::from(vector)].take();
                if let Some(delivery) = id.and_then(|id| lives.delivery(id, vcpu)) {
                    delivery.ended = Some(at);
                }
            }
            Event::NmiInjected { id, at, .. } => Self::injected(lives, id, vcpu, at),
            Event::Arrived { arrivals, at } => {
                self.start_up_discarded = arrivals.start_up_discarded;
                self.arrived = at;
                if arrivals.init {
                    self.reset(lives);
                }
            }
            Event::CarriedOut { line, id: Some(id) } => {
                if let Some(delivery) = lives.delivery(id, vcpu) {
                    delivery.drained = Some(self.arrived);
                    if line == Line::StartUp && self.start_up_discarded {
                        delivery.fate = Fate::Refused(Refusal::NotWaitingForSipi);
                    } else {
                        delivery.injected = Some(self.arrived);
                        delivery.fate = Fate::Injected;
                    }
                }
            }
            Event::Reset => self.reset(lives),
            _ => {}
        }
    }

    fn injected(lives: &mut Lives, id: Option<IpiId>, vcpu: usize, at: Tsc) {
        if let Some(delivery) = id.and_then(|id| lives.delivery(id, vcpu)) {
            delivery.injected = Some(at);
            delivery.fate = Fate::Injected;
        }
    }

    /// The APIC has been cleared.
    fn reset(&mut self, lives: &mut Lives) {
        for request in &mut self.requested {
            let id = request.take();
            if let Some(delivery) = id.and_then(|id| lives.delivery(id, self.vcpu)) {
                delivery.fate = Fate::Refused(Refusal::Init);
            }
        }
        self.in_service.fill(None);
    }
}

#[cfg(test)]
pub(super) mod tests;
