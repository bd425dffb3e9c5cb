//! Scripts from a seed: steps of one or a few accesses, each kind as often as it is worth.
//!
//! A step is what the shrinker may take out as a whole. The generator follows its own script on the
//! [`Model`], so that accesses hit the states in which they mean something.

mod steps;

use vapic::Mode;
use vapic::spec::icr::Icr;
use vapic::spec::lvt::LvtSource;
use vapic::spec::message::DeliveryMode;
use vapic::spec::register::Register;

use super::clock::divisor;
use super::deviations;
use super::model::{Access, Model};
use super::operation::{Action, Operation};
use super::random::Random;
use super::setup::{PAGE, initialise};

/// A script, and how many processors it is for.
#[derive(Clone, Debug)]
pub struct Script {
    /// Number of processors.
    pub processors: u8,
    /// What brings all processors into a known state.
    pub start: Vec<Operation>,
    /// Operations that stay together.
    pub steps: Vec<Vec<Operation>>,
}

impl Script {
    /// The operations in their order.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        let all = self.start.iter().chain(self.steps.iter().flatten());
        all.copied().collect()
    }

    /// Whether every operation may be in a script where it stands, with what it needs after it: a
    /// part of a script need not be one.
    #[must_use]
    pub fn is_allowed(&self, mut model: Model) -> bool {
        let operations = self.operations();
        operations.iter().enumerate().all(|(at, operation)| {
            let after = deviations::mended(&model, operation);
            let allowed = is_allowed(&model, operation)
                && operations
                    .get(at + 1..)
                    .is_some_and(|rest| rest.starts_with(&after));
            model.execute(operation);
            allowed
        })
    }
}

/// Generates a script of about so many operations.
#[must_use]
pub fn generate(seed: u64, operations: usize, model: Model) -> Script {
    let processors = model.count();
    let mut generator = Generator {
        random: Random::new(seed),
        model,
        current: 0,
        steps: Vec::new(),
        step: Vec::new(),
        written: 0,
    };
    for processor in 0..processors {
        for operation in initialise(processor, PAGE) {
            generator.execute(operation);
        }
    }
    let start = std::mem::take(&mut generator.step);
    while generator.written < operations {
        generator.step();
        generator.end_step();
    }
    for processor in 0..processors {
        generator.read_everything(processor);
        generator.end_step();
    }
    Script {
        processors,
        start,
        steps: generator.steps,
    }
}

/// An unfinished script, and where it has brought the machine.
struct Generator {
    random: Random,
    model: Model,
    /// The processor whose turn it is.
    current: u8,
    steps: Vec<Vec<Operation>>,
    step: Vec<Operation>,
    written: usize,
}

impl Generator {
    /// Adds an operation with all that it needs after it, unless it is one to leave out.
    fn act(&mut self, action: Action) -> bool {
        self.act_on(self.current, action)
    }

    fn act_on(&mut self, processor: u8, action: Action) -> bool {
        let operation = Operation { processor, action };
        let allowed = is_allowed(&self.model, &operation);
        if allowed {
            let after = deviations::mended(&self.model, &operation);
            let is_nmi = self
                .model
                .command(&operation)
                .is_some_and(|icr| icr.delivery() == DeliveryMode::Nmi);
            self.execute(operation);
            for operation in after {
                self.execute(operation);
            }
            if is_nmi {
                // One at a time: how many wait inside KVM differs between hosts.
                for processor in 0..self.model.count() {
                    let action = Action::Exit;
                    self.execute(Operation { processor, action });
                }
            }
        }
        allowed
    }

    fn execute(&mut self, operation: Operation) {
        self.model.execute(&operation);
        self.step.push(operation);
    }

    fn end_step(&mut self) {
        if !self.step.is_empty() {
            self.written += self.step.len();
            self.steps.push(std::mem::take(&mut self.step));
        }
    }

    fn mode(&self) -> Mode {
        self.model.apic(self.current).mode()
    }

    /// The page of a processor in xAPIC mode, else where it is as a rule.
    fn page(&self, processor: u8) -> u32 {
        let page = self.model.apic(processor).page();
        page.and_then(|page| u32::try_from(page).ok())
            .unwrap_or(PAGE)
    }
}

fn is_allowed(model: &Model, operation: &Operation) -> bool {
    is_within_limits(model, operation) && deviations::avoided(model, operation).is_none()
}

/// Timers either expire within their own step or later than any script ends.
const NEVER_NS: u64 = 200_000_000_000;

/// What a timer that is to expire is set to: once, or with a period, which KVM does not have
/// shorter than 200 us. Both can be divided by 128.
const ONCE_NS: u64 = 40_960;
const PERIOD_NS: u64 = 1_024_000;

/// LVT timer, bits 18:17: the mode that is reserved.
const RESERVED_MODE: u64 = 3 << 17;

/// What this test cannot follow: processors that leave the script, and timers that expire when they
/// like.
fn is_within_limits(model: &Model, operation: &Operation) -> bool {
    let command = model.command(operation);
    if command.is_some_and(resets) || waits_in_vain(model, operation) {
        return false;
    }
    let Some(access) = model.access(operation).filter(Access::is_whole) else {
        return true;
    };
    let processor = operation.processor;
    let initial = model.register(processor, 0x38);
    let (count, divide) = match (access.register, access.written) {
        (Some(Register::TimerInitialCount), Some(value)) => {
            (value, model.register(processor, 0x3E))
        }
        (Some(Register::TimerDivide), Some(value)) => (
            initial.into(),
            u32::try_from(value & 0xB).expect("four bits"),
        ),
        (Some(Register::Lvt(LvtSource::Timer)), Some(value)) => {
            return value & RESERVED_MODE != RESERVED_MODE;
        }
        _ => return true,
    };
    let time = count.saturating_mul(divisor(divide));
    let at_once = [ONCE_NS, PERIOD_NS].contains(&time);
    count == 0 || time >= NEVER_NS || at_once && initial == 0
}

/// Whether it looks for a request where the APIC is not.
fn waits_in_vain(model: &Model, operation: &Operation) -> bool {
    let apic = model.apic(operation.processor);
    match operation.action {
        Action::Await(msr, _) if msr < 0x1000 => apic.mode() != Mode::X2apic,
        Action::Await(address, _) => apic.page().map(|page| page + 0x200) != Some(address.into()),
        _ => false,
    }
}

fn resets(icr: Icr) -> bool {
    match icr.delivery() {
        DeliveryMode::Init => !icr.level_triggered() || icr.assert(),
        DeliveryMode::Smi => true,
        _ => false,
    }
}
