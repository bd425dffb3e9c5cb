//! Our answers against KVM's, and against the pure model's.

use std::collections::BTreeMap;
use std::fmt;

use vapic::spec::register::Register;
use vmm::vcpu::ApicPage;

use super::access::{Access, Door};
use super::clock::Clock;
use super::deviations::{DEVIATIONS, is_in_page};
use super::execute::Answers;
use super::expiry::{Expiry, Punctuality};
use super::model::Model;
use super::operation::{Action, Operation, Outcome};

/// The first operation on which two disagree without a known reason.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Its number.
    pub at: usize,
    /// The operation.
    pub operation: Operation,
    /// What the machine on our APIC answered.
    pub ours: Outcome,
    /// What the machine on KVM's answered.
    pub kernel: Outcome,
    /// What `vapic` answers without a machine.
    pub model: Outcome,
    /// When the timers fired, if it waited for them: on our APIC, and on KVM's.
    expiries: [Expiry; 2],
    /// What is wrong.
    pub what: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            operation,
            ours,
            kernel,
            model,
            expiries: [by_ours, by_kernel],
            what,
        } = self;
        write!(
            f,
            "{what}: operation {at}, {operation}\n  userspace: {ours}{by_ours}\n  kernel:    \
             {kernel}{by_kernel}\n  model:     {model}"
        )
    }
}

/// How often each deviation explained a difference.
pub type Explained = BTreeMap<&'static str, u64>;

/// What agreed.
#[derive(Clone, Debug, Default)]
pub struct Agreement {
    /// How often each deviation explained a difference.
    pub explained: Explained,
    /// The timers on our APIC, and on KVM's.
    pub timers: [Punctuality; 2],
}

/// Compares the answers to a script, and what is left in the APICs' pages.
///
/// # Errors
///
/// The first difference that no deviation explains.
pub fn compare(
    script: &[Operation],
    mut model: Model,
    ours: &Answers,
    kernel: &Answers,
) -> Result<Agreement, Box<Difference>> {
    let mut agreement = Agreement::default();
    let mut clock = Clock::default();
    for (at, operation) in script.iter().enumerate() {
        let (of_ours, of_kernel) = (&ours.outcomes[at], &kernel.outcomes[at]);
        clock.follow(&model, operation, at, of_ours.fault != 0);
        let expiries = [ours, kernel].map(|answers| clock.expiry(&model, operation, at, answers));
        let untimely = expiries.into_iter().find_map(Expiry::fault);
        for (timers, expiry) in agreement.timers.iter_mut().zip(expiries) {
            timers.note(expiry);
        }
        let repeats = [ours, kernel].map(|answers| clock.repeats(&model, operation, at, answers));
        let of_ours = &taken_once(of_ours, repeats[0]);
        let of_kernel = &taken_once(of_kernel, repeats[1]);
        let is_count = Clock::is_asked(&model, operation);
        let counts_are_right = [ours, kernel]
            .iter()
            .all(|answers| clock.allows(operation, at, answers));
        let explanation = DEVIATIONS
            .iter()
            .find(|deviation| deviation.explains(&model, operation, of_ours, of_kernel));
        let expected = model.execute(operation);
        let same_but_count = |outcome: &Outcome, other: &Outcome| {
            let value = if is_count { other.value } else { outcome.value };
            Outcome {
                value,
                ..outcome.clone()
            } == *other
        };
        let what = if is_count && !counts_are_right {
            Some("a count that the timer cannot have had")
        } else if untimely.is_some() {
            untimely
        } else if !same_but_count(of_ours, &expected) {
            Some("the machine is not as the model")
        } else if same_but_count(of_ours, of_kernel) {
            None
        } else if let Some(deviation) = explanation {
            *agreement.explained.entry(deviation.name).or_default() += 1;
            None
        } else {
            Some("the two APICs differ")
        };
        if let Some(what) = what {
            return Err(Box::new(Difference {
                at,
                operation: *operation,
                ours: of_ours.clone(),
                kernel: of_kernel.clone(),
                model: expected,
                expiries,
                what,
            }));
        }
    }
    match page_that_lies(script, &model, [ours, kernel]) {
        Some(lie) => Err(Box::new(lie)),
        None => Ok(agreement),
    }
}

/// An outcome without what periods that went by have added: each vector is taken once.
fn taken_once(outcome: &Outcome, repeats: Option<u8>) -> Outcome {
    let mut outcome = outcome.clone();
    let mut before = 0;
    outcome.interrupts.retain(|&vector| {
        before += usize::from(Some(vector) == repeats);
        Some(vector) != repeats || before == 1
    });
    outcome
}

/// A register that the page of KVM_GET_LAPIC shows otherwise than the guest read it last.
///
/// The guest's last reads have been compared, so the pages agree as far as those do.
fn page_that_lies(
    script: &[Operation],
    model: &Model,
    machines: [&Answers; 2],
) -> Option<Difference> {
    let reads = script
        .iter()
        .enumerate()
        .rev()
        .take_while(|(_, operation)| {
            matches!(
                operation.action,
                Action::ReadMsr(_) | Action::ReadPage(..) | Action::ReadCr8 | Action::Exit
            )
        });
    for (at, operation) in reads {
        let Some(access) = model.access(operation).filter(Access::is_whole) else {
            continue;
        };
        if access.register.is_none() || !is_in_page(access.index) {
            continue;
        }
        let [ours, kernel] = machines.map(|answers| &answers.outcomes[at]);
        let in_page = machines.map(|answers| {
            let page = answers.pages.get(usize::from(operation.processor))?;
            let value = in_page(page, access.index)?;
            // The 64 bits of the ICR are one MSR.
            let high = match (access.door, access.register) {
                (Door::Msr, Some(Register::InterruptCommand)) => in_page(page, access.index + 1)?,
                _ => 0,
            };
            Some(u64::from(high) << 32 | u64::from(value))
        });
        // What a deviation explains, KVM does not have in its page either: a hole reads as what its
        // emulator had in the buffer.
        let alike = ours == kernel;
        let read = [(ours, true), (kernel, alike)]
            .map(|(outcome, judged)| (judged && outcome.fault == 0).then_some(outcome.value));
        let lies = read
            .into_iter()
            .zip(in_page)
            .any(|(read, in_page)| read.is_some_and(|value| in_page != Some(value)));
        if lies {
            let shown = |value: Option<u64>| Outcome {
                value: value.unwrap_or(0),
                ..Outcome::default()
            };
            return Some(Difference {
                at,
                operation: *operation,
                ours: shown(in_page[0]),
                kernel: shown(in_page[1]),
                model: ours.clone(),
                expiries: [Expiry::Unknown; 2],
                what: "a page is not as the guest read it last (the model is what it read)",
            });
        }
    }
    None
}

/// The word of a register in the page of KVM_GET_LAPIC.
fn in_page(page: &ApicPage, index: u32) -> Option<u32> {
    let at = usize::try_from(index).ok()? << 4;
    let bytes = page.get(at..at + 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use vapic::snapshot::page;

    use super::*;
    use crate::differential::Traits;
    use crate::differential::setup::PAGE;

    const TPR: u32 = 0x08;

    /// A machine whose guest read its TPR so, and whose page says this.
    fn answers(read: u8, in_page: u8) -> Answers {
        let mut page = [0; page::SIZE];
        page[(TPR << 4) as usize] = in_page;
        Answers {
            outcomes: vec![Outcome {
                value: read.into(),
                ..Outcome::default()
            }],
            stamps: vec![0],
            pages: vec![page],
            tsc_khz: 1,
        }
    }

    #[test]
    fn a_page_that_differs_from_the_last_read_is_found() {
        let model = Model::new(1, Traits::PLAIN);
        let script = [Operation {
            processor: 0,
            action: Action::ReadPage(PAGE + (TPR << 4), 4),
        }];
        let lie = |ours, kernel| {
            let (ours, kernel) = (answers(0x35, ours), answers(0x35, kernel));
            page_that_lies(&script, &model, [&ours, &kernel]).is_some()
        };
        assert!(!lie(0x35, 0x35));
        assert!(lie(0x34, 0x35));
        assert!(lie(0x35, 0x34));
        // A read that differed has been explained, and says nothing of KVM's page.
        let page = |ours, kernel| page_that_lies(&script, &model, [&ours, &kernel]).is_some();
        assert!(!page(answers(0x35, 0x35), answers(0x99, 0x35)));
        assert!(page(answers(0x35, 0x34), answers(0x99, 0x35)));
    }
}
