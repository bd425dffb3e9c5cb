//! The same guest accesses on our Local APIC and on KVM's own: every value read, every fault and
//! every interrupt taken must agree, but for a list of [deviations].
//!
//! ```text
//! seed -> generate -> script -> guest on --apic userspace -> answers \
//!                            -> guest on --apic kernel    -> answers  > compare -> shrink
//!                            -> model (vapic alone)       -> answers /
//! ```
//!
//! A guest executes the script strictly in its order, across its processors, with interrupts off
//! but in windows, so that nothing depends on when an interrupt is injected.
//!
//! # What agreement does not show
//!
//! - What [`deviations::LIMITS`] leaves out, INIT of the bootstrap processor or of its own sender, and
//!   what happens between an INIT and the start-up that follows it at once.
//! - Where KVM's APIC keeps no interrupt in service (the deviation "in service", on kvm_pvm): nesting,
//!   a processor priority above the task priority, and which interrupt an EOI ends.
//! - The machine has neither IOAPIC nor anything on the pins: level-triggered interrupts with their
//!   TMR bits, EOI broadcasts and their suppression, LINT0 and LINT1.

mod access;
mod clock;
mod compare;
pub mod deviations;
mod execute;
mod expiry;
mod generate;
mod model;
mod operation;
mod random;
mod setup;
mod shrink;
#[path = "../../../guest/src/scenario/script/wire.rs"]
mod wire;

use std::fmt::{self, Write};

use vmm::kvm::ApicModel;

pub use access::{Access, Door, lvt_index};
pub use compare::{Agreement, Difference, Explained, compare};
pub use execute::{Answers, Bench, Interrupted};
pub use expiry::Punctuality;
pub use generate::{Script, generate};
pub use model::{Model, Traits};
pub use operation::{Action, End, Operation, Outcome};
pub use shrink::shrink;

/// Most runs that finding a smaller script may take.
const SHRINK_TRIES: usize = 200;

/// How often a script is run again whose timer was late: a host that stands still for a third of a
/// second does so now and then, a timer that is wrong is so each time.
const MOST_STALLS: u64 = 2;

/// How many scripts of a run may be run again, and in how many one more.
const FEW_STALLS: u64 = 2;
/// See [`FEW_STALLS`].
const SCRIPTS_A_STALL: u64 = 20;

/// What comparisons gave.
#[derive(Debug, Default)]
pub struct Tally {
    /// Scripts compared.
    pub scripts: u64,
    /// Operations compared.
    pub operations: u64,
    /// Runs of scripts whose timer was late, and then was not.
    pub stalls: u64,
    /// What agreed.
    pub agreement: Agreement,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.scripts += other.scripts;
        self.operations += other.operations;
        self.stalls += other.stalls;
        for (name, times) in &other.agreement.explained {
            *self.agreement.explained.entry(name).or_default() += times;
        }
        let timers = self.agreement.timers.iter_mut();
        for (timers, others) in timers.zip(&other.agreement.timers) {
            timers.add(others);
        }
    }

    /// What is wrong although each script has passed: timers of a kind that are late as a rule, or
    /// scripts run again too often for the host to be the reason.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.stalls > FEW_STALLS + self.scripts / SCRIPTS_A_STALL {
            let (stalls, scripts) = (self.stalls, self.scripts);
            return Some(format!("{stalls} late timers in {scripts} scripts"));
        }
        let machines = ["userspace", "kernel"].iter().zip(&self.agreement.timers);
        machines
            .flat_map(|(apic, timers)| timers.late().map(move |kind| (apic, kind)))
            .map(|(apic, kind)| format!("{apic}: timers {kind:?} are late as a rule"))
            .next()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Agreement { explained, timers } = &self.agreement;
        let (scripts, stalls) = (self.scripts, self.stalls);
        writeln!(
            f,
            "{} operations in {scripts} scripts, {stalls} run again",
            self.operations
        )?;
        let [ours, kernel] = timers;
        writeln!(
            f,
            "prompt timers, userspace:{ours}\nprompt timers, kernel:   {kernel}"
        )?;
        f.write_str("differences with a known reason:")?;
        let mut explained = explained.iter();
        explained.try_for_each(|(name, times)| write!(f, "\n{times:10} {name}"))
    }
}

impl Bench {
    /// Generates a script, runs it on both APICs and compares.
    ///
    /// # Errors
    ///
    /// A difference without a known reason, with the smallest script found that shows it; or the
    /// host refuses a machine.
    pub fn differ(&self, seed: u64, operations: usize, processors: u8) -> anyhow::Result<Tally> {
        let script = generate(seed, operations, self.model(processors)?);
        let operations = script.operations().len() as u64;
        let mut stalls = 0;
        loop {
            match self.compared(&script)? {
                Ok(agreement) => {
                    return Ok(Tally {
                        scripts: 1,
                        operations,
                        stalls,
                        agreement,
                    });
                }
                Err(late) if late.what == expiry::TOO_LATE && stalls < MOST_STALLS => {
                    stalls += 1;
                    eprintln!("seed {seed:#x}, {processors} processors, run again: {late}");
                }
                Err(first) => return Err(self.failure(seed, script, &first)),
            }
        }
    }

    /// The pure model of a machine on this host.
    ///
    /// # Errors
    ///
    /// KVM does not tell its CPUID.
    pub fn model(&self, processors: u8) -> anyhow::Result<Model> {
        Ok(Model::new(processors, self.traits()?))
    }

    fn compared(&self, script: &Script) -> anyhow::Result<Result<Agreement, Box<Difference>>> {
        let operations = script.operations();
        let ours = self.run(&operations, script.processors, ApicModel::Userspace)?;
        let kernel = self.run(&operations, script.processors, ApicModel::Kernel)?;
        let model = self.model(script.processors)?;
        Ok(compare(&operations, model, &ours, &kernel))
    }

    fn failure(&self, seed: u64, script: Script, first: &Difference) -> anyhow::Error {
        let processors = script.processors;
        // A difference that hangs on the moment may not come again, and the search takes minutes.
        eprintln!("seed {seed:#x}, {processors} processors: {first}\nlooking for a smaller script");
        let mut shown = first.clone();
        let small = shrink(script, SHRINK_TRIES, |smaller| {
            let allowed = self
                .model(processors)
                .is_ok_and(|model| smaller.is_allowed(model));
            match allowed.then(|| self.compared(smaller)) {
                Some(Ok(Err(difference))) if difference.what == first.what => {
                    shown = *difference;
                    true
                }
                _ => false,
            }
        });
        let mut text = format!(
            "seed {seed:#x}, {processors} processors: first {first}\n\nthe smallest script found \
             that fails so, after the usual start: {shown}\n"
        );
        let operations = small.operations();
        let listed = operations.iter().take(shown.at + 1).enumerate();
        for (at, operation) in listed.skip(small.start.len()) {
            let _ = write!(text, "\n{at:5} {operation}");
        }
        anyhow::Error::msg(text)
    }
}

#[cfg(test)]
mod tests {
    use super::expiry::{Expiry, Kind};
    use super::*;

    #[test]
    fn many_late_scripts_are_a_fault_and_so_is_a_timer_that_is_late_as_a_rule() {
        let late = |stalls| Tally {
            scripts: 40,
            stalls,
            ..Tally::default()
        };
        assert_eq!(late(4).fault(), None);
        assert_eq!(
            late(5).fault().as_deref(),
            Some("5 late timers in 40 scripts")
        );

        let mut one = Tally::default();
        one.agreement.timers[1].note(Expiry::Due {
            late: 1_000_000,
            kind: Kind::Again,
            prompt: false,
        });
        let mut total = Tally::default();
        (0..50).for_each(|_| total.add(&one));
        let fault = total.fault();
        assert_eq!(
            fault.as_deref(),
            Some("kernel: timers Again are late as a rule")
        );
    }
}
