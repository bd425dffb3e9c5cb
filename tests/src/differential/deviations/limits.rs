//! What no script has although the two APICs may well agree on it: what the guest that executes
//! scripts could not live through, or what would let time decide the answers. Each with its reason
//! and an example, as narrow as the reason.
//!
//! It is to be read beside [the list of deviations](super::DEVIATIONS), which also leaves out
//! operations: what is in neither is compared.

use vapic::Mode;
use vapic::spec::message::DeliveryMode;
use vapic::spec::register::Register;

use super::super::access::Access;
use super::super::clock::{DEADLINE_MODE, LVT_TIMER, divisor};
use super::super::model::Model;
use super::super::operation::{Action, End, Operation};
use super::super::setup::{ABSENT, Accesses, START_PAGE, afresh, observe};

/// One thing that scripts do not have, or have in one form only.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// A name, for reports.
    pub name: &'static str,
    /// Why the test cannot follow it.
    pub reason: &'static str,
    /// Whether a script must not have the operation in this state.
    pub avoided: Option<fn(&Model, &Operation) -> bool>,
    /// What must follow the operation.
    pub mended: Option<fn(&Model, &Operation) -> Vec<Operation>>,
    /// A script of two processors with such an operation at its end.
    pub example: fn() -> Vec<Operation>,
}

impl Limit {
    const fn avoids(
        name: &'static str,
        reason: &'static str,
        avoided: fn(&Model, &Operation) -> bool,
        example: fn() -> Vec<Operation>,
    ) -> Self {
        Self {
            name,
            reason,
            avoided: Some(avoided),
            mended: None,
            example,
        }
    }

    const fn mends(
        name: &'static str,
        reason: &'static str,
        mended: fn(&Model, &Operation) -> Vec<Operation>,
        example: fn() -> Vec<Operation>,
    ) -> Self {
        Self {
            name,
            reason,
            avoided: None,
            mended: Some(mended),
            example,
        }
    }
}

/// All of them.
pub const LIMITS: &[Limit] = &[
    Limit::avoids(
        "INIT of processor 0",
        "It starts the bootstrap processor over at FFFF_FFF0H, where the machine has no code; and \
         processor 0 is no other, whatever its IA32_APIC_BASE says: the guest gives it no job.",
        initialises_bootstrap,
        || Accesses::of(1).send(0, INIT).list(),
    ),
    Limit::avoids(
        "INIT of its sender",
        "The sender would never write the outcome of the operation, for which the others wait.",
        initialises_itself,
        || Accesses::of(1).send(1, INIT).list(),
    ),
    Limit::mends(
        "INIT of another",
        "The sender starts its targets again, or the script ends there, and waits until they have \
         come up: neither INIT nor start-up is over when it has been sent, and a target that goes \
         on for a while would answer with what INIT has yet to clear. What INIT left is read by each \
         target before it is initialised, but for the registers that the guest writes when it \
         comes up, which the model writes too.",
        start_again,
        || Accesses::of(0).send(1, INIT).list(),
    ),
    Limit::avoids(
        "SMI where KVM has SMM",
        "Ours latches it and the VMM refuses it; KVM would enter SMM, for which the machine has no \
         code. Where KVM has none either, an SMI is compared as any other command.",
        enters_smm,
        || Accesses::of(0).send(1, SMI).list(),
    ),
    Limit::mends(
        "NMIs one at a time",
        "How many may wait inside KVM differs between hosts (lapic.md T21, T57), and when one is \
         taken is not the APIC's to decide: each is taken before the next.",
        take_nmis,
        || Accesses::of(0).send(1, NMI).list(),
    ),
    Limit::avoids(
        "timers that expire when they like",
        "A timer expires at once, within the operations that wait for it, or later than any script \
         ends: else the answers in between would tell how fast the host is.",
        expires_in_between,
        || {
            Accesses::of(0)
                .write(0x3E0, 0xB)
                .write(0x380, 1 << 30)
                .list()
        },
    ),
    Limit::avoids(
        "waiting and ending where no APIC is",
        "A wait looks at the word of the request, and a handler writes EOI, through the door of the \
         present mode: elsewhere the one lasts until its patience ends, and the other faults where \
         no fault is expected, or leaves its interrupt in service unasked.",
        misses_the_apic,
        || Accesses::of(0).act(Action::Await(0x820, 0x40)).list(),
    ),
];

const INIT: u64 = 5 << 8 | ASSERT;
const SMI: u64 = 2 << 8 | ASSERT;
const NMI: u64 = 4 << 8 | ASSERT;
const START_UP: u64 = 6 << 8 | ASSERT;
const ASSERT: u64 = 1 << 14;
const ALL_BUT_SENDER: u64 = 3 << 18;

/// Timers either expire within their own step or later than any script ends.
const NEVER_NS: u64 = 200_000_000_000;

/// What a timer that is to expire is set to: once, or with a period, which KVM does not have
/// shorter than 200 us. Both can be divided by 128.
pub(in crate::differential) const ONCE_NS: u64 = 163_840;
/// See [`ONCE_NS`].
pub(in crate::differential) const PERIOD_NS: u64 = 1_024_000;

fn initialises_bootstrap(model: &Model, op: &Operation) -> bool {
    model
        .initialised(op)
        .iter()
        .any(|&target| target == 0 || model.apic(target).base().bootstrap())
}

fn initialises_itself(model: &Model, op: &Operation) -> bool {
    model.initialised(op).contains(&op.processor)
}

/// To all others, so that no ID matters: those that are not waiting discard it.
fn start_again(model: &Model, op: &Operation) -> Vec<Operation> {
    let targets = model.initialised(op);
    if targets.is_empty() {
        return Vec::new();
    }
    let command = ALL_BUT_SENDER | START_UP | u64::from(START_PAGE);
    let mut accesses = match page(model, op.processor) {
        Some(page) => Accesses::of(op.processor)
            .page(page)
            .send(ABSENT.into(), command),
        None => Accesses::of(op.processor).wrmsr(0x830, command),
    }
    .list();
    accesses.extend(targets.iter().map(|&target| Operation {
        processor: op.processor,
        action: Action::AwaitStart(target),
    }));
    for target in targets {
        let page = page(model, target);
        accesses.extend(observe(target, page));
        accesses.extend(afresh(target, page));
    }
    accesses
}

/// Where a processor has its page, if it has one.
fn page(model: &Model, processor: u8) -> Option<u32> {
    let page = model.apic(processor).page()?;
    u32::try_from(page).ok()
}

fn enters_smm(model: &Model, op: &Operation) -> bool {
    let is_smi = |delivery| delivery == DeliveryMode::Smi;
    model.traits().smm && model.command(op).is_some_and(|icr| is_smi(icr.delivery()))
}

fn take_nmis(model: &Model, op: &Operation) -> Vec<Operation> {
    let is_nmi = model
        .command(op)
        .is_some_and(|icr| icr.delivery() == DeliveryMode::Nmi);
    let processors = if is_nmi { 0..model.count() } else { 0..0 };
    let exit = |processor| Operation {
        processor,
        action: Action::Exit,
    };
    processors.map(exit).collect()
}

fn expires_in_between(model: &Model, op: &Operation) -> bool {
    let Some(access) = model.access(op).filter(Access::is_whole) else {
        return false;
    };
    // In this mode there is no count to set, and leaving it clears what there was.
    if model.register(op.processor, LVT_TIMER) & DEADLINE_MODE != 0 {
        return false;
    }
    let initial = model.register(op.processor, 0x38);
    let (count, divide) = match (access.register, access.written) {
        (Some(Register::TimerInitialCount), Some(value)) => {
            (value, model.register(op.processor, 0x3E))
        }
        (Some(Register::TimerDivide), Some(value)) => (
            initial.into(),
            u32::try_from(value & 0xB).expect("four bits"),
        ),
        _ => return false,
    };
    let time = count.saturating_mul(divisor(divide));
    let at_once = [ONCE_NS, PERIOD_NS].contains(&time) && initial == 0;
    count != 0 && time < NEVER_NS && !at_once
}

fn misses_the_apic(model: &Model, op: &Operation) -> bool {
    let apic = model.apic(op.processor);
    match op.action {
        Action::Await(msr, _) if msr < 0x1000 => apic.mode() != Mode::X2apic,
        Action::Await(address, _) => apic.page().map(|page| page + 0x200) != Some(address.into()),
        Action::Window(End::Msr) => apic.mode() != Mode::X2apic,
        Action::Window(End::Page(page)) => apic.page() != Some(page.into()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Traits;
    use super::super::super::setup::PAGE;
    use super::*;

    fn model() -> Model {
        Model::new(
            2,
            Traits {
                smm: true,
                ..Traits::PLAIN
            },
        )
    }

    #[test]
    fn each_limit_is_recognised_in_its_example_and_by_its_last_operation() {
        for limit in LIMITS {
            let mut model = model();
            let script = (limit.example)();
            let (last, before) = script.split_last().expect("an operation");
            let applies = |model: &Model, operation: &Operation| {
                limit.avoided.is_some_and(|f| f(model, operation))
                    || limit
                        .mended
                        .is_some_and(|f| !f(model, operation).is_empty())
            };
            for operation in before {
                assert!(!applies(&model, operation), "{}: too wide", limit.name);
                model.execute(operation);
            }
            assert!(applies(&model, last), "{}", limit.name);
        }
    }

    #[test]
    fn an_init_is_followed_by_all_that_it_left() {
        let mut model = model();
        let leave = Accesses::of(1).write(0x80, 0x35).then(0);
        let script = leave.send(1, INIT).list();
        let (init, before) = script.split_last().expect("an operation");
        for operation in before {
            model.execute(operation);
        }
        let after = super::super::mended(&model, init);
        let tpr = Operation {
            processor: 1,
            action: Action::ReadPage(PAGE + 0x80, 4),
        };
        assert!(after.contains(&tpr));
        model.execute(init);
        let read = after.iter().find_map(|operation| {
            let outcome = model.execute(operation);
            (*operation == tpr).then_some(outcome.value)
        });
        assert_eq!(read, Some(0), "INIT clears what was 0x35");
    }
}
