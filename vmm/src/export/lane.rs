//! One thread's events, made slices.
//!
//! An exit is recorded when it is over, after all that happened in it; so what happens waits here
//! until the exit that it belongs to is known.

use std::collections::BTreeSet;

use vapic::{Acceptance, Posted};

use super::counter::{Counter, Counters};
use super::service::Services;
use super::slice::{Arrow, Post, Slice, Track, What, in_order};
use crate::observe::{Access, Clock, Event, IpiId, Kind, Line, Rest};
use crate::trace::{Origin, Stamped};

/// What comes out of the lanes.
#[derive(Default)]
pub(super) struct Stage {
    pub(super) slices: Vec<(Track, Slice)>,
    pub(super) counters: Counters,
}

/// The thread of a vCPU, or the devices.
pub(super) struct Lane {
    origin: Origin,
    clock: Clock,
    /// When it was last seen to enter the guest; where the devices' last slice ends.
    entered: Option<u64>,
    /// What has happened since, or is about to be found in an exit.
    pending: Vec<Slice>,
    /// The guest's last access to its APIC, and when.
    access: Option<(u64, Access)>,
    /// The vectors of IPIs that wait in the APIC.
    requested: BTreeSet<u8>,
    services: Services,
}

impl Lane {
    pub(super) fn new(origin: Origin, clock: Clock) -> Self {
        Self {
            origin,
            clock,
            // The run begins with the entry of the first; the others wait to be started.
            entered: (origin == Origin::Vcpu(0)).then_some(0),
            pending: Vec::new(),
            access: None,
            requested: BTreeSet::new(),
            services: Services::default(),
        }
    }

    /// Takes the thread's next event.
    pub(super) fn follow(&mut self, stamped: &Stamped, stage: &mut Stage) {
        let at = self.clock.time(stamped.at);
        match stamped.event {
            Event::Exit { cause, entered, .. } => {
                // One that was not at this exit has lost its own.
                let access = self.access.take().filter(|&(when, _)| when == at);
                let what = What::Exit(cause, access.map(|(_, access)| access));
                let entered = self.clock.time(entered);
                self.exit(Slice::new(at, at.max(entered), what), stage);
            }
            Event::Rested { rest, ticks, .. } => {
                let to = at.saturating_add(self.clock.nanoseconds(ticks));
                self.pending.push(Slice::new(at, to, What::Rest(rest)));
            }
            Event::Access { access, .. } => self.access = Some((at, access)),
            Event::Sent { id, message } => {
                if self.origin == Origin::Devices {
                    self.flush(u64::MAX, stage);
                }
                let from = self.clock.nanoseconds(id.ticks()).min(at);
                stage.counters.add(Counter::Sent, from, 1);
                let what = What::Send {
                    id,
                    message,
                    decode_ns: at - from,
                    posts: Vec::new(),
                };
                self.pending.push(Slice::new(from, at, what));
            }
            Event::Posted {
                id,
                target,
                delivery,
                outcome,
                ..
            } => {
                if Kind::of(delivery) == Kind::Vector && outcome == Posted::New {
                    stage.counters.add(Counter::Pending, at, 1);
                }
                if let Some(posts) = self.posts(id, at) {
                    posts.push(Post {
                        target,
                        outcome,
                        kick: None,
                    });
                }
            }
            Event::Kicked { id, target, kick } => {
                let mut posts = self.posts(id, at).into_iter().flatten();
                if let Some(post) = posts.find(|post| post.target == target) {
                    post.kick = Some(kick);
                }
            }
            Event::Drained {
                vector, acceptance, ..
            } => {
                if acceptance == Acceptance::Accepted {
                    self.requested.insert(vector);
                } else {
                    stage.counters.add(Counter::Pending, at, -1);
                }
            }
            Event::Injected { vector, id, .. } => {
                if self.requested.remove(&vector) {
                    stage.counters.add(Counter::Pending, at, -1);
                }
                let arrow = self.arrow(id, at);
                let unseen = self.services.begin(vector, at, arrow);
                self.show_services(unseen, stage);
            }
            Event::Ended { vector, .. } => {
                let ended = self.services.end(vector, at);
                let arrow = match ended.last().map(|service| &service.what) {
                    Some(What::Service { arrow, .. }) => *arrow,
                    _ => None,
                };
                self.show_services(ended, stage);
                self.moment(at, What::End { vector, arrow });
            }
            Event::NmiInjected { id, .. } => self.moment(at, What::Nmi(self.arrow(id, at))),
            Event::ExternalInjected { vector, .. } => self.moment(at, What::External(vector)),
            Event::CarriedOut { line, id } => {
                if line == Line::Init {
                    self.reset(at, stage);
                }
                self.moment(at, What::Signal(line, self.arrow(id, at)));
            }
            Event::Reset => self.reset(at, stage),
            Event::Arrived { .. } | Event::TaskPriority(_) | Event::Lint0(_) => {}
        }
    }

    /// The trace ends here: what is open is closed, and what belongs to no exit shown by itself.
    pub(super) fn finish(&mut self, at: u64, stage: &mut Stage) {
        self.flush(u64::MAX, stage);
        let open = self.services.clear(at);
        self.show_services(open, stage);
    }

    /// An exit is over: the guest ran until it began, and what has happened since lies within it.
    fn exit(&mut self, exit: Slice, stage: &mut Stage) {
        let began = exit.from.max(self.entered.unwrap_or(0));
        let exit = Slice {
            from: began,
            to: exit.to.max(began),
            ..exit
        };
        let within = self.pending.iter().position(|slice| slice.from >= began);
        let inner = self.pending.split_off(within.unwrap_or(self.pending.len()));
        let before = self.flush(began, stage);
        if let Some(entered) = before {
            let guest = Slice::new(entered.min(began), began, What::Guest);
            stage.counters.in_guest(guest.from, guest.to);
            self.show(guest, stage);
        }
        self.entered = Some(exit.to);
        self.show(exit.around(inner), stage);
    }

    /// Shows what has happened until then outside of any known exit; returns since when the vCPU has
    /// been in the guest, if that is known.
    fn flush(&mut self, until: u64, stage: &mut Stage) -> Option<u64> {
        let pending = std::mem::take(&mut self.pending);
        let Some(last) = pending.iter().map(|slice| slice.to).max() else {
            return self.entered;
        };
        let waited = self.entered.is_none();
        let from = self.entered.unwrap_or(0);
        let to = last.min(until).max(from);
        if self.origin == Origin::Devices {
            for slice in in_order(pending, from, to) {
                self.show(slice, stage);
            }
        } else {
            let what = if waited {
                What::Rest(Rest::WaitingForStartUp)
            } else {
                What::Unknown
            };
            self.show(Slice::new(from, to, what).around(pending), stage);
        }
        self.entered = Some(to);
        self.entered
    }

    /// The targets of a send that is not over.
    fn posts(&mut self, id: IpiId, now: u64) -> Option<&mut Vec<Post>> {
        let mut pending = self.pending.iter_mut().rev();
        pending.find_map(|slice| match &mut slice.what {
            What::Send { id: own, posts, .. } if *own == id => {
                slice.to = slice.to.max(now);
                Some(posts)
            }
            _ => None,
        })
    }

    /// The arrow of an IPI that has come here, unless it was sent later than that.
    fn arrow(&self, id: Option<IpiId>, at: u64) -> Option<Arrow> {
        let Origin::Vcpu(target) = self.origin else {
            return None;
        };
        let id = id?;
        let sent = self.clock.nanoseconds(id.ticks());
        (sent <= at).then_some(Arrow { id, target, sent })
    }

    fn moment(&mut self, at: u64, what: What) {
        self.pending.push(Slice::new(at, at, what));
    }

    fn reset(&mut self, at: u64, stage: &mut Stage) {
        let waiting = i64::try_from(self.requested.len()).unwrap_or(0);
        stage.counters.add(Counter::Pending, at, -waiting);
        self.requested.clear();
        let cleared = self.services.clear(at);
        self.show_services(cleared, stage);
    }

    fn show(&self, slice: Slice, stage: &mut Stage) {
        let track = match self.origin {
            Origin::Vcpu(vcpu) => Track::Vcpu(vcpu),
            Origin::Devices => Track::Devices,
        };
        stage.slices.push((track, slice));
    }

    fn show_services(&self, services: Vec<Slice>, stage: &mut Stage) {
        if let Origin::Vcpu(vcpu) = self.origin {
            let track = Track::Interrupts(vcpu);
            let shown = services.into_iter().map(|slice| (track, slice));
            stage.slices.extend(shown);
        }
    }
}

#[cfg(test)]
#[path = "lane_tests.rs"]
mod tests;
