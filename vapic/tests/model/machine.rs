//! Some processors as the model has them.

use vapic::spec::message::InterruptMessage;

use crate::apic::{self, Apic, Made, Mode};
use crate::input::{IDS, Input, Step};
use crate::output::{Effect, Face, Fault, Output, Post};
use crate::wire::{Waiting, targets};

/// How long until the guest's TSC, of three ticks a nanosecond, comes to a deadline; 0 if it has.
pub(crate) fn wait_for(deadline: u64, now: u64) -> u64 {
    deadline.div_ceil(3).saturating_sub(now)
}

/// What the machine is made of.
pub(crate) fn made(features: [bool; 3]) -> impl Iterator<Item = Made> {
    let [tsc_deadline, eoi_suppression, corrected_machine_check] = features;
    IDS.into_iter().map(move |id| Made {
        id,
        bootstrap: id == 0,
        tsc_deadline,
        eoi_suppression,
        corrected_machine_check,
    })
}

/// An input through a door, as the guest's instructions would make it.
fn through_the_open_door(mode: Mode, input: Input) -> Vec<Input> {
    let page = |register: u32, value: u32| Input::WritePage {
        offset: register * 16,
        data: value.to_le_bytes().to_vec(),
    };
    match (mode, input) {
        (Mode::X2apic, Input::Write { register, value }) => vec![Input::WriteMsr {
            msr: 0x800 + register,
            value: value.into(),
        }],
        (_, Input::Write { register, value }) => vec![page(register, value)],
        (Mode::X2apic, Input::Read { register }) => vec![Input::ReadMsr {
            msr: 0x800 + register,
        }],
        (_, Input::Read { register }) => vec![Input::ReadPage {
            offset: register * 16,
            width: 4,
        }],
        (Mode::X2apic, Input::Command { destination, low }) => vec![Input::WriteMsr {
            msr: 0x830,
            value: u64::from(destination) << 32 | u64::from(low),
        }],
        (_, Input::Command { destination, low }) => {
            vec![page(apic::ICR2, destination << 24), page(apic::ICR, low)]
        }
        (_, other) => vec![other],
    }
}

/// The model.
pub(crate) struct Model {
    apics: Vec<Apic>,
    waiting: Vec<Waiting>,
    now: u64,
}

impl Model {
    pub(crate) fn new(features: [bool; 3]) -> Self {
        let apics: Vec<_> = made(features).map(Apic::new).collect();
        Self {
            waiting: vec![Waiting::default(); apics.len()],
            apics,
            now: 0,
        }
    }

    /// The inputs that a step stands for in the mode that the processor is in.
    pub(crate) fn inputs(&self, step: Step) -> Vec<Input> {
        through_the_open_door(self.apics[step.processor].mode(), step.input)
    }

    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        self.now += nanoseconds;
        for apic in &mut self.apics {
            apic.pass(nanoseconds);
        }
    }

    pub(crate) fn perform(&mut self, processor: usize, input: &Input) -> Output {
        let apic = &mut self.apics[processor];
        match input {
            Input::WritePage { offset, data } => {
                let effect = apic.write_page(*offset, data);
                self.effect(processor, Ok(effect))
            }
            Input::WriteMsr { msr, value } => {
                let effect = apic.write_msr(*msr, *value);
                self.effect(processor, effect)
            }
            Input::Base(base) => {
                let effect = apic.write_base(*base);
                self.effect(processor, effect)
            }
            Input::Message(message) => Output::Effect(Ok(Effect::None), self.send(None, message)),
            Input::ReadPage { offset, width } => Output::Bytes(apic.read_page(*offset, *width)),
            Input::ReadMsr { msr } => Output::Value(apic.read_msr(*msr)),
            Input::Cr8(class) => {
                apic.set_cr8(*class);
                Output::Nothing
            }
            Input::Fire(register) => Output::Flag(apic.fire(*register)),
            Input::Pin(pin, asserted) => Output::Flag(apic.pin(*pin, *asserted)),
            Input::Drain => {
                let (fates, brought) = self.waiting[processor].drain(apic);
                Output::Drained(fates, brought)
            }
            Input::Acknowledge => Output::Vector(apic.acknowledge()),
            Input::TakeNmi => {
                let taken = apic.nmis > 0 && !apic.waits;
                apic.nmis -= u8::from(taken);
                Output::Flag(taken)
            }
            Input::TakeSmi => {
                let taken = apic.smi && !apic.waits;
                apic.smi &= !taken;
                Output::Flag(taken)
            }
            Input::EndExtInt => {
                apic.set_ext_int(false);
                Output::Nothing
            }
            Input::WriteDeadline(value) => {
                let wait = wait_for(*value, self.now);
                Output::Value(apic.write_deadline(*value, wait).map(|()| 0))
            }
            Input::ReadDeadline => Output::Value(apic.read_deadline()),
            Input::Wait | Input::Write { .. } | Input::Read { .. } | Input::Command { .. } => {
                Output::Nothing
            }
        }
    }

    fn effect(&mut self, sender: usize, effect: Result<Effect, Fault>) -> Output {
        let posts = match &effect {
            Ok(Effect::Send(message)) => self.send(Some(sender), message),
            _ => Vec::new(),
        };
        Output::Effect(effect, posts)
    }

    fn send(&mut self, sender: Option<usize>, message: &InterruptMessage) -> Vec<(usize, Post)> {
        targets(&self.apics, sender, message)
            .into_iter()
            .map(|index| (index, self.waiting[index].post(message)))
            .collect()
    }

    pub(crate) fn face(&self, processor: usize) -> Face {
        let apic = &self.apics[processor];
        Face {
            base: apic.base,
            page: (apic.mode() == Mode::Xapic).then_some(apic.base >> 12 << 12),
            cr8: apic.tpr >> 4,
            processor_priority: apic.processor_priority(),
            deliverable: apic.deliverable(),
            held_by_task_priority: apic.is_held_by_task_priority(),
            in_service: apic.in_service.last().copied(),
            nmis: apic.nmis,
            ext_int: apic.ext_int(),
            waits: apic.waits,
            deadline: apic.next().map(|left| self.now + left),
        }
    }
}
