//! The same processors as they are.

use std::sync::Arc;

use vapic::spec::lvt::LvtSource;
use vapic::spec::message::InterruptMessage;
use vapic::{
    Acceptance, Arrivals, Config, Fabric, Features, GeneralProtection, Lint, LocalApic, Mailbox,
    Posted, Raised, Router,
};

use crate::apic::{self, PHYSICAL_BITS};
use crate::input::Input;
use crate::machine::{made, wait_for};
use crate::output::{Brought, Effect, Face, Fate, Fault, Output, Post};

/// What the model is about.
pub(crate) struct Real {
    apics: Vec<LocalApic>,
    fabric: Arc<Fabric>,
    routers: Vec<Router>,
    device: Router,
    now: u64,
}

impl Real {
    pub(crate) fn new(features: [bool; 3]) -> Self {
        let apics: Vec<_> = made(features)
            .map(|made| {
                LocalApic::new(Config {
                    id: made.id,
                    bootstrap: made.bootstrap,
                    physical_bits: PHYSICAL_BITS.to_le_bytes()[0],
                    features: Features {
                        x2apic: true,
                        tsc_deadline: made.tsc_deadline,
                        eoi_suppression: made.eoi_suppression,
                        corrected_machine_check: made.corrected_machine_check,
                    },
                })
            })
            .collect();
        let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).unwrap();
        let router = |source| Router::new(Arc::clone(&fabric), source);
        Self {
            routers: (0..apics.len()).map(|index| router(Some(index))).collect(),
            device: router(None),
            apics,
            fabric,
            now: 0,
        }
    }

    /// Time passes. Registers look at the clock themselves, so that for their sake the host may be
    /// late with [`Self::look_at_the_clock`].
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
    }

    pub(crate) fn look_at_the_clock(&mut self) {
        for apic in &mut self.apics {
            apic.advance(self.now);
        }
    }

    /// Whether the clock is looked at by the APIC itself before the input takes effect: the host's
    /// duty is all else, and the registers that an interrupt's way leads through.
    pub(crate) fn looks_itself(input: &Input) -> bool {
        let hot = [apic::TPR, apic::EOI, apic::ICR, apic::SELF_IPI];
        match input {
            Input::WritePage { offset, .. } => !hot.contains(&(offset / 16)),
            Input::WriteMsr { msr, .. } => !hot.contains(&msr.wrapping_sub(0x800)),
            Input::ReadPage { .. } | Input::ReadMsr { .. } => true,
            Input::WriteDeadline(_) | Input::ReadDeadline => true,
            _ => false,
        }
    }

    pub(crate) fn perform(&mut self, processor: usize, input: &Input) -> Output {
        let now = self.now;
        let apic = &mut self.apics[processor];
        let output = match input {
            Input::WritePage { offset, data } => {
                let effect = apic.write_page(*offset, data, now);
                self.effect(processor, Ok(effect))
            }
            Input::WriteMsr { msr, value } => {
                let effect = apic.write_msr(*msr, *value, now);
                self.effect(processor, effect)
            }
            Input::Base(base) => {
                let effect = apic.write_base(*base);
                self.effect(processor, effect)
            }
            Input::Message(message) => {
                Output::Effect(Ok(Effect::None), deliver(&mut self.device, message))
            }
            Input::ReadPage { offset, width } => {
                let mut data = vec![0xA5; *width];
                apic.read_page(*offset, &mut data, now);
                Output::Bytes(data)
            }
            Input::ReadMsr { msr } => Output::Value(apic.read_msr(*msr, now).map_err(fault)),
            Input::Cr8(class) => {
                apic.set_cr8(*class);
                Output::Nothing
            }
            Input::Fire(register) => {
                let source = match *register {
                    apic::LVT_CMCI => LvtSource::CorrectedMachineCheck,
                    apic::LVT_THERMAL => LvtSource::Thermal,
                    _ => LvtSource::PerformanceCounter,
                };
                Output::Flag(apic.raise(source) == Raised::Init)
            }
            Input::Pin(pin, asserted) => {
                let lint = [Lint::Lint0, Lint::Lint1][*pin];
                Output::Flag(apic.set_lint(lint, *asserted) == Raised::Init)
            }
            Input::Drain => drained(apic, &self.fabric.mailboxes()[processor]),
            Input::Acknowledge => Output::Vector(apic.acknowledge()),
            Input::TakeNmi => Output::Flag(apic.take_nmi()),
            Input::TakeSmi => Output::Flag(apic.take_smi()),
            Input::EndExtInt => {
                apic.end_ext_int();
                Output::Nothing
            }
            Input::WriteDeadline(value) => {
                let due = now + wait_for(*value, now);
                let written = apic.write_tsc_deadline(*value, due, now);
                Output::Value(written.map(|()| 0).map_err(fault))
            }
            Input::ReadDeadline => Output::Value(apic.read_tsc_deadline(now).map_err(fault)),
            Input::Wait | Input::Write { .. } | Input::Read { .. } | Input::Command { .. } => {
                Output::Nothing
            }
        };
        self.fabric
            .publish(processor, self.apics[processor].identity());
        output
    }

    fn effect(
        &mut self,
        sender: usize,
        effect: Result<vapic::Effect, GeneralProtection>,
    ) -> Output {
        let posts = match &effect {
            Ok(vapic::Effect::Send(message)) => deliver(&mut self.routers[sender], message),
            _ => Vec::new(),
        };
        let effect = effect.map_err(fault).map(|effect| match effect {
            vapic::Effect::None => Effect::None,
            vapic::Effect::Send(message) => Effect::Send(message),
            vapic::Effect::Ended { vector, level } => Effect::Ended { vector, level },
            vapic::Effect::Identity => Effect::Identity,
            vapic::Effect::Base(base) => Effect::Base(base.into_bits()),
        });
        Output::Effect(effect, posts)
    }

    pub(crate) fn face(&self, processor: usize) -> Face {
        let apic = &self.apics[processor];
        Face {
            base: apic.base().into_bits(),
            page: apic.page(),
            cr8: apic.cr8(),
            processor_priority: apic.processor_priority(),
            deliverable: apic.deliverable(),
            held_by_task_priority: apic.held_by_task_priority(),
            in_service: apic.in_service(),
            nmis: apic.nmis(),
            ext_int: apic.ext_int(),
            waits: apic.is_waiting_for_start_up(),
            deadline: apic.deadline(),
        }
    }
}

const fn fault(_: GeneralProtection) -> Fault {
    Fault
}

fn deliver(router: &mut Router, message: &InterruptMessage) -> Vec<(usize, Post)> {
    let mut posts = Vec::new();
    router.deliver(message, |index, posted| {
        let post = match posted {
            Posted::New => Post::New,
            Posted::Coalesced => Post::Coalesced,
            Posted::Unsupported => Post::Unsupported,
        };
        posts.push((index, post));
    });
    posts.sort_by_key(|&(index, _)| index);
    posts
}

fn drained(apic: &mut LocalApic, mailbox: &Mailbox) -> Output {
    let mut fates = Vec::new();
    let arrivals = apic.drain(mailbox, |vector, _, acceptance| {
        let fate = match acceptance {
            Acceptance::Accepted => Fate::Accepted,
            Acceptance::Merged => Fate::Merged,
            Acceptance::Disabled => Fate::Disabled,
            Acceptance::IllegalVector => Fate::Illegal,
        };
        fates.push((vector, fate));
    });
    Output::Drained(fates, arrivals.map(brought))
}

fn brought(arrivals: Arrivals) -> Brought {
    let Arrivals {
        nmis,
        nmis_merged,
        init,
        start_page,
        start_up_discarded,
        smi,
        ext_int,
        overtaken,
    } = arrivals;
    Brought {
        nmis,
        nmis_merged,
        init,
        start_page,
        start_up_discarded,
        smi,
        ext_int,
        overtaken: [
            overtaken.nmis,
            overtaken.start_ups,
            overtaken.smis,
            overtaken.ext_ints,
        ],
    }
}
