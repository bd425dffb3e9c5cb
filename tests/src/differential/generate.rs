//! Scripts from a seed: steps of one or a few accesses, each kind as often as it is worth.
//!
//! A step is what the shrinker may take out as a whole. The generator follows its own script on the
//! [`Model`], so that accesses hit the states in which they mean something.

mod commands;
mod steps;
mod timers;

use vapic::Mode;

use super::deviations;
use super::model::Model;
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
            let allowed = !deviations::avoided(&model, operation)
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
        let allowed = !deviations::avoided(&self.model, &operation);
        if allowed {
            let after = deviations::mended(&self.model, &operation);
            self.execute(operation);
            for operation in after {
                self.execute(operation);
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
