//! `cargo xtask soak`: the oracles for hours, each on its own, to the last one whatever fails.

use std::process::{Command, ExitCode};
use std::time::{Duration, SystemTime};

use anyhow::Context;

use crate::logged::{self, Figures, Outcome};
use crate::oracles::Interpreted;
use crate::workspace::{self, cargo, must};
use crate::{oracles, setup};

/// Operations of guests that an hour stands for.
const OPERATIONS: f64 = 10_000_000.0;

/// Pings to a halted processor that an hour stands for.
const PINGS: f64 = 10_000_000.0;

/// Cases of each property that an hour stands for.
const CASES: f64 = 4_000_000.0;

/// The same under Miri.
const MIRI_CASES: f64 = 64.0;

/// How often a part says how far it is.
const PROGRESS: Duration = Duration::from_secs(60);

/// Options of `cargo xtask soak`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// How long each fuzz target and the storm last; what is counted in operations, pings or cases
    /// grows alike (ten million operations, ten million pings, four million cases an hour).
    #[arg(long, value_name = "H", default_value_t = 1.0, value_parser = parse_hours)]
    hours: f64,
    /// Where the operations of the guests begin; the time of day if it is not given.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Only these parts; all if none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Guests on the user-space APIC and on KVM's own.
    Differential,
    /// The storm scenario.
    Storm,
    /// The ping scenario: no wake-up may be lost.
    Ping,
    /// The properties, the model's among them.
    Properties,
    /// The protocols between threads, in every order there is.
    Loom,
    /// The tests of `vapic` under Miri.
    Miri,
    /// The fuzz targets.
    Fuzz,
}

/// A part with what it needs and what it shows.
struct Run {
    part: Part,
    name: String,
    needs: fn() -> anyhow::Result<()>,
    command: Command,
    figures: Figures,
}

/// Runs the parts one after another; the last line printed is `N passed, N failed`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let seed = args.seed.map_or_else(time_of_day, Ok)?;
    let mut closing = Vec::new();
    let (mut passed, mut failed) = (0, 0);
    for run in runs(args.hours, seed)? {
        if !args.parts.is_empty() && !args.parts.contains(&run.part) {
            continue;
        }
        println!("\n== {}\n   {:?}", run.name, run.command);
        let ended = (run.needs)()
            .and_then(|()| logged::run(&run.name, run.command, run.figures, Some(PROGRESS)));
        let line = match &ended {
            Ok(outcome) => describe(outcome),
            Err(error) => format!("failed: {error:#}"),
        };
        match ended.is_ok_and(|outcome| outcome.succeeded) {
            true => passed += 1,
            false => failed += 1,
        }
        println!("   {}: {line}", run.name);
        closing.push(format!("{}: {line}", run.name));
    }
    println!("\n{}", closing.join("\n"));
    println!("{passed} passed, {failed} failed");
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn describe(outcome: &Outcome) -> String {
    let verdict = match outcome.succeeded {
        true => "passed",
        false => "failed",
    };
    let minutes = outcome.took.as_secs_f64() / 60.0;
    let figures = outcome.figures.join("; ");
    format!("{verdict} in {minutes:.1} min. {figures}")
}

fn runs(hours: f64, seed: u64) -> anyhow::Result<Vec<Run>> {
    const TESTS: Figures = Figures::All(&["test result: "]);
    const VERDICT: Figures = Figures::All(&["PASSED", "FAILED", " lost."]);
    let duration = Duration::from_secs_f64(hours * 3600.0);
    let operations = count(OPERATIONS, hours).to_string();
    let mut differential = cargo(&["run", "--release", "--package", "tests"]);
    differential
        .args(["--example", "differential", "--"])
        .args([operations, seed.to_string()])
        .env("VAPIC_BIN", workspace::vapic_path());
    // It lasts so long in xAPIC mode and again in x2APIC mode.
    let seconds = (duration / 2).as_secs().max(1);
    let mut storm = Command::new(workspace::vapic_path());
    storm
        .args(["run", "--scenario", "storm", "--cpus", "4", "--seconds"])
        .arg(seconds.to_string());
    let mut ping = Command::new(workspace::vapic_path());
    ping.args(["run", "--scenario", "ping", "--cpus", "2", "--apic-mode"])
        .args(["x2apic", "--iterations"])
        .arg(count(PINGS, hours).to_string());
    let mut properties = cargo(&[
        "test",
        "--release",
        "--package",
        "vapic",
        "--lib",
        "--tests",
    ]);
    properties.env("PROPTEST_CASES", count(CASES, hours).to_string());
    let run = |part, name: &str, needs, command, figures| Run {
        part,
        name: name.to_owned(),
        needs,
        command,
        figures,
    };
    let nothing = || Ok(());
    let (_, mailbox) = oracles::loom("vapic", &["--test", "loom"]);
    let (_, kick) = oracles::loom("vmm", &["--lib", "kick::model"]);
    let (_, miri) = oracles::miri(Interpreted::All {
        cases: count(MIRI_CASES, hours),
    });
    let mut runs = vec![
        run(
            Part::Differential,
            "differential",
            release_build,
            differential,
            Figures::Last("operations in"),
        ),
        run(Part::Storm, "storm", release_build, storm, VERDICT),
        run(Part::Ping, "ping", release_build, ping, VERDICT),
        run(Part::Properties, "properties", nothing, properties, TESTS),
        run(Part::Loom, "loom: mailbox", nothing, mailbox, TESTS),
        run(Part::Loom, "loom: kick", nothing, kick, TESTS),
        run(Part::Miri, "miri", setup::miri, miri, TESTS),
    ];
    for target in oracles::FUZZ_TARGETS {
        runs.push(run(
            Part::Fuzz,
            &format!("fuzzing: {target}"),
            setup::fuzzer,
            oracles::fuzz(target, duration)?,
            oracles::FUZZ_FIGURES,
        ));
    }
    Ok(runs)
}

/// What the guests run on.
fn release_build() -> anyhow::Result<()> {
    setup::guest_targets()?;
    must(workspace::build_vapic())
}

/// How many for so many hours, one at least.
fn count(in_an_hour: f64, hours: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates, and a week of the largest fits"
    )]
    let count = (in_an_hour * hours) as u32;
    count.max(1)
}

fn time_of_day() -> anyhow::Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(since.context("the clock is before 1970")?.as_secs())
}

fn parse_hours(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(hours) if hours > 0.0 && hours <= 24.0 => Ok(hours),
        _ => Err("give hours above 0 and up to 24, such as 1 or 0.25".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_that_can_be_had() {
        assert_eq!(parse_hours("0.25"), Ok(0.25));
        assert_eq!(parse_hours("24"), Ok(24.0));
        for text in ["", "0", "-1", "25", "nan", "inf", "one"] {
            assert!(parse_hours(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_of_an_hour_is_that_part_of_the_work() {
        assert_eq!(count(OPERATIONS, 1.0), 10_000_000);
        assert_eq!(count(OPERATIONS, 0.25), 2_500_000);
        assert_eq!(count(MIRI_CASES, 0.001), 1);
    }
}
