//! The scenarios, one file each, and what they have in common.
//!
//! A scenario puts its targets into a known state, writes `begin`, sends, writes `end`. Between the
//! two only the IPIs of the measurement are under way, so that the VMM's counters for the phase
//! are those of the measurement.

#[cfg(target_os = "none")]
mod broadcast;
#[cfg(target_os = "none")]
mod nmi;
#[cfg(target_os = "none")]
mod ping;
#[cfg(target_os = "none")]
mod resched;
#[cfg(target_os = "none")]
mod script;
#[cfg(target_os = "none")]
mod self_ipi;
#[cfg(target_os = "none")]
pub(crate) mod shootdown;
#[cfg(target_os = "none")]
mod storm;
#[cfg(target_os = "none")]
mod tour;

#[cfg(target_os = "none")]
pub(crate) use run::{Measurement, Run};

/// What the guest can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// All of the others, briefly.
    Tour,
    /// Round trip to one target in four states.
    Ping,
    /// Remap, invalidate everywhere, go on.
    Shootdown,
    /// Non-maskable interrupts.
    Nmi,
    /// All-but-self and all-including-self.
    Broadcast,
    /// A processor interrupts itself.
    SelfIpi,
    /// Wake a halted processor.
    Resched,
    /// All to all for a set time.
    Storm,
    /// A list of accesses that the VMM's tests put into memory.
    Script,
}

impl Scenario {
    const ALL: [Self; 9] = [
        Self::Tour,
        Self::Ping,
        Self::Shootdown,
        Self::Nmi,
        Self::Broadcast,
        Self::SelfIpi,
        Self::Resched,
        Self::Storm,
        Self::Script,
    ];

    /// The scenario of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name)
    }

    /// Its name on the command line and in markers.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tour => "tour",
            Self::Ping => "ping",
            Self::Shootdown => "shootdown",
            Self::Nmi => "nmi",
            Self::Broadcast => "broadcast",
            Self::SelfIpi => "self",
            Self::Resched => "resched",
            Self::Storm => "storm",
            Self::Script => "script",
        }
    }
}

#[cfg(target_os = "none")]
mod run {
    use core::fmt;

    use super::Scenario;
    use crate::cmdline::Options;
    use crate::histogram::{Histogram, Summary};
    use crate::ipi::Mode;
    use crate::tsc::Micros;
    use crate::wait::Stuck;
    use crate::{console, cpu, marker, ring3};

    /// What a scenario is told.
    pub(crate) struct Run<'a> {
        /// Mode that all APICs are in.
        pub(crate) mode: Mode,
        /// The command line.
        pub(crate) options: &'a Options,
    }

    impl Run<'_> {
        /// Rounds of a measurement: as asked for, but no more than `most`, or the scenario's own.
        pub(crate) fn rounds(&self, own: u32, most: u32) -> u32 {
            self.options.iterations.map_or(own, |asked| asked.min(most))
        }
    }

    impl Scenario {
        /// Runs it; an error has been reported and means that the machine is in no state to go on.
        pub(crate) fn run(self, run: &Run<'_>) -> Result<(), Stuck> {
            let scenario = match self {
                Self::Tour => super::tour::run,
                Self::Ping => super::ping::run,
                Self::Shootdown => super::shootdown::run,
                Self::Nmi => super::nmi::run,
                Self::Broadcast => super::broadcast::run,
                Self::SelfIpi => super::self_ipi::run,
                Self::Resched => super::resched::run,
                Self::Storm => super::storm::run,
                Self::Script => super::script::run,
            };
            let needs_target = !matches!(self, Self::Tour | Self::SelfIpi);
            if needs_target && cpu::others().is_empty() {
                let (mode, name) = (run.mode, self.name());
                console::say(format_args!(
                    "{mode} {name}: skipped, it needs 2 processors"
                ));
                marker::result(name, format_args!("mode={mode} skipped=1"));
                return Ok(());
            }
            let outcome = scenario(run);
            if let (Err(stuck), true) = (&outcome, self != Self::Tour) {
                marker::fail(self.name(), format_args!("mode={} {stuck}", run.mode));
            }
            outcome
        }
    }

    /// Durations of the rounds of one phase, in cycles.
    pub(crate) struct Measurement(spin::Mutex<Histogram>);

    impl Measurement {
        /// Nothing measured.
        pub(crate) const fn new() -> Self {
            Self(spin::Mutex::new(Histogram::new()))
        }

        /// Forgets the phase before.
        pub(crate) fn restart(&self) {
            ring3::run(|| self.0.lock().clear());
        }

        /// Adds a round.
        pub(crate) fn record(&self, cycles: u64) {
            self.0.lock().record(cycles);
        }

        /// The figures.
        pub(crate) fn summary(&self) -> Summary {
            ring3::run(|| self.0.lock().summary())
        }
    }

    impl Summary {
        /// Tells people the figures.
        pub(crate) fn say(self, what: fmt::Arguments<'_>) {
            let [min, median, p99, max] = [self.min, self.median, self.p99, self.max].map(Micros);
            let count = self.count;
            let figures = format_args!("min {min}, p99 {p99}, max {max}, of {count}");
            console::say(format_args!("{what}: median {median}, {figures}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        let names = [
            "tour",
            "ping",
            "shootdown",
            "nmi",
            "broadcast",
            "self",
            "resched",
            "storm",
            "script",
        ];
        assert_eq!(Scenario::ALL.map(Scenario::name), names);
        assert!(
            Scenario::ALL
                .into_iter()
                .all(|s| Scenario::named(s.name()) == Some(s))
        );
        assert_eq!(Scenario::named("Ping"), None);
    }
}
