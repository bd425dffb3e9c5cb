//! One part of `cargo xtask test`: a command, and what it counts as.

use std::process::Command;

use crate::counted::{self, Count, Runner};
use crate::logged::{self, Figures};

/// One part of the whole.
pub(crate) struct Step {
    /// What it is called.
    pub(crate) name: String,
    /// Whether it is left out by `--fast`.
    pub(crate) takes_minutes: bool,
    kind: Kind,
    command: Command,
    needs: fn() -> anyhow::Result<()>,
}

/// What a step counts as.
enum Kind {
    /// One test: whether the command succeeds.
    Check,
    /// One test, of whose output only these are shown.
    Logged(Figures),
    /// As many tests as its runner says.
    Tests(Runner),
}

impl Step {
    /// A command that must succeed.
    pub(crate) fn check(name: impl Into<String>, command: Command) -> Self {
        Self::new(name, Kind::Check, command)
    }

    /// A command that must succeed, and says much besides these.
    pub(crate) fn logged(name: impl Into<String>, figures: Figures, command: Command) -> Self {
        Self::new(name, Kind::Logged(figures), command)
    }

    /// A runner of tests.
    pub(crate) fn tests(name: impl Into<String>, (runner, command): (Runner, Command)) -> Self {
        Self::new(name, Kind::Tests(runner), command)
    }

    fn new(name: impl Into<String>, kind: Kind, command: Command) -> Self {
        Self {
            name: name.into(),
            takes_minutes: false,
            kind,
            command,
            needs: || Ok(()),
        }
    }

    /// Left out by `--fast`.
    pub(crate) fn taking_minutes(mut self) -> Self {
        self.takes_minutes = true;
        self
    }

    /// What must be set up for it; if it cannot be, the step has failed.
    pub(crate) fn needing(mut self, needs: fn() -> anyhow::Result<()>) -> Self {
        self.needs = needs;
        self
    }

    /// Sets up, runs and counts.
    pub(crate) fn run(mut self) -> Count {
        if let Err(error) = (self.needs)() {
            println!("   {}: not run: {error:#}", self.name);
            return one(false);
        }
        match self.kind {
            Kind::Check => one(self.command.status().is_ok_and(|status| status.success())),
            Kind::Logged(figures) => match logged::run(&self.name, self.command, figures, None) {
                Ok(outcome) => one(outcome.succeeded),
                Err(error) => {
                    println!("   {}: {error:#}", self.name);
                    one(false)
                }
            },
            Kind::Tests(runner) => counted::tests(runner, self.command),
        }
    }
}

fn one(passed: bool) -> Count {
    Count {
        passed: u64::from(passed),
        failed: u64::from(!passed),
        skipped: 0,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;

    #[test]
    fn a_step_whose_tool_cannot_be_had_has_failed() {
        let step = Step::check("step test", Command::new("true"));
        assert_eq!(step.run(), one(true));
        let step = Step::check("step test", Command::new("true")).needing(|| bail!("no tool"));
        assert_eq!(step.run(), one(false));
    }

    #[test]
    fn a_step_that_fails_or_does_not_start_has_failed() {
        let step = |program| Step::check("step test", Command::new(program));
        assert_eq!(step("false").run(), one(false));
        assert_eq!(step("/nowhere/command").run(), one(false));
        let step = Step::logged(
            "step test nowhere",
            Figures::All(&[]),
            Command::new("/nowhere/command"),
        );
        assert_eq!(step.run(), one(false));
    }
}
