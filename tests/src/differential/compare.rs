//! Our answers against KVM's, and against the pure model's.

use std::collections::BTreeMap;
use std::fmt;

use super::clock::Clock;
use super::deviations::DEVIATIONS;
use super::execute::Answers;
use super::model::Model;
use super::operation::{Operation, Outcome};

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
            what,
        } = self;
        write!(
            f,
            "{what}: operation {at}, {operation}\n  userspace: {ours}\n  kernel:    {kernel}\n  \
             model:     {model}"
        )
    }
}

/// How often each deviation explained a difference.
pub type Explained = BTreeMap<&'static str, u64>;

/// Compares the answers to a script.
///
/// # Errors
///
/// The first difference that no deviation explains.
pub fn compare(
    script: &[Operation],
    mut model: Model,
    tsc_khz: u64,
    ours: &Answers,
    kernel: &Answers,
) -> Result<Explained, Box<Difference>> {
    let mut explained = Explained::new();
    let mut clock = Clock::default();
    for (at, operation) in script.iter().enumerate() {
        let (of_ours, of_kernel) = (&ours.outcomes[at], &kernel.outcomes[at]);
        clock.follow(&model, operation, at);
        let is_count = Clock::is_asked(&model, operation);
        let counts_are_right = [ours, kernel]
            .iter()
            .all(|answers| clock.allows(operation, at, answers, tsc_khz));
        let explanation = DEVIATIONS
            .iter()
            .find(|deviation| deviation.explains(&model, operation, of_ours, of_kernel));
        let expected = model.execute(operation);
        let what = if is_count && !counts_are_right {
            Some("a count that the timer cannot have had")
        } else if !is_count && *of_ours != expected {
            Some("the machine is not as the model")
        } else if is_count || of_ours == of_kernel {
            None
        } else if let Some(deviation) = explanation {
            *explained.entry(deviation.name).or_default() += 1;
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
                what,
            }));
        }
    }
    Ok(explained)
}
