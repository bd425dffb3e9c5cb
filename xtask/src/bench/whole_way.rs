//! The whole way on KVM: user space, KVM's own APIC and the floor, in turn, so that what else the
//! host does falls on all of them alike.

use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::quotient::{Quotient, median};
use crate::workspace::{self, cargo, must};

/// Whose APIC a figure is of.
const APICS: [&str; 2] = ["userspace", "kernel"];
const MODES: [&str; 2] = ["x2apic", "xapic"];
/// What a round trip goes to.
const TARGETS: [&str; 2] = ["halt", "ring3"];

/// How much is measured.
#[derive(Clone, Copy)]
struct Size {
    turns: usize,
    pings: u32,
    shootdowns: u32,
}

impl Size {
    const fn new(quick: bool) -> Self {
        match quick {
            true => Self {
                turns: 3,
                pings: 500,
                shootdowns: 30,
            },
            false => Self {
                turns: 7,
                pings: 2000,
                shootdowns: 100,
            },
        }
    }
}

/// Figures of one kind, one a turn, in microseconds.
#[derive(Clone, Debug, Default)]
struct Series(Vec<f64>);

/// Measures and prints.
pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    let size = Size::new(quick);
    must(workspace::build_vapic())?;
    must(floor(&["--no-run"], &[]))?;
    round_trips(size)?;
    shootdowns(size)
}

fn round_trips(size: Size) -> anyhow::Result<()> {
    // By mode, target and APIC; and the floor, which is that of x2APIC.
    let mut figures: [[[Series; 2]; 2]; 2] = Default::default();
    let mut lowest = Series::default();
    for _turn in 0..size.turns {
        for (mode, by_target) in MODES.iter().zip(&mut figures) {
            for (number, apic) in APICS.iter().enumerate() {
                let iterations = size.pings.to_string();
                let report = vapic(&["ping", "2", mode, apic, &iterations])?;
                for (target, by_apic) in TARGETS.iter().zip(by_target.iter_mut()) {
                    by_apic[number].0.push(round_trip(&report, target)?);
                }
            }
        }
        lowest.0.push(floor_round_trip(size.pings)?);
    }
    let Size { turns, pings, .. } = size;
    println!(
        "\nRound trip of a ping, 2 vCPUs: median us of {turns} turns' medians (of {pings} each)\n"
    );
    let mut table = super::table(&[
        "mode",
        "target",
        "user space",
        "kernel",
        "user/kernel (spread)",
        "floor",
        "user/floor (spread)",
    ]);
    for (mode, by_target) in MODES.iter().zip(&figures) {
        for (target, [ours, kernels]) in TARGETS.iter().zip(by_target) {
            let has_floor = (*mode, *target) == ("x2apic", "halt");
            let or_dash = |text: String| if has_floor { text } else { "-".to_owned() };
            table.add_row([
                (*mode).to_owned(),
                (*target).to_owned(),
                ours.middle(),
                kernels.middle(),
                Quotient::new(&ours.0, &kernels.0).to_string(),
                or_dash(lowest.middle()),
                or_dash(Quotient::new(&ours.0, &lowest.0).to_string()),
            ]);
        }
    }
    println!("{}", table.trim_fmt());
    println!(
        "Floor: the same exits, wake-up and injection in a bare loop of two threads that spin \
         (tests/benches/floor.rs)."
    );
    Ok(())
}

fn shootdowns(size: Size) -> anyhow::Result<()> {
    let ways = ["unicast", "multicast"];
    let mut figures: [[Series; 2]; 2] = Default::default();
    for _turn in 0..size.turns {
        for (number, apic) in APICS.iter().enumerate() {
            let iterations = size.shootdowns.to_string();
            let report = vapic(&["shootdown", "4", "x2apic", apic, &iterations])?;
            for (way, by_apic) in ways.iter().zip(&mut figures) {
                by_apic[number].0.push(per_target(&report, way)?);
            }
        }
    }
    let Size {
        turns, shootdowns, ..
    } = size;
    println!(
        "\nShootdown of one page, x2APIC, 4 vCPUs: us for one more target, median of {turns} turns' \
         fits (1 to 3 targets, {shootdowns} rounds each)\n"
    );
    let mut table = super::table(&[
        "way",
        "user space",
        "kernel",
        "user/kernel (spread)",
        "rule of thumb",
    ]);
    for (way, [ours, kernels]) in ways.iter().zip(&figures) {
        table.add_row([
            (*way).to_owned(),
            ours.middle(),
            kernels.middle(),
            Quotient::new(&ours.0, &kernels.0).to_string(),
            "2".to_owned(),
        ]);
    }
    println!("{}", table.trim_fmt());
    if std::thread::available_parallelism().is_ok_and(|processors| processors.get() < 4) {
        println!("The vCPUs share the host's processors: the scheduler is part of these figures.");
    }
    Ok(())
}

impl Series {
    fn middle(&self) -> String {
        format!("{:.1}", median(&self.0))
    }
}

/// The report of a run of scenario, vCPUs, mode, APIC and iterations.
fn vapic(&[scenario, cpus, mode, apic, iterations]: &[&str; 5]) -> anyhow::Result<Value> {
    let mut vapic = Command::new(workspace::vapic_path());
    vapic.args([
        "run",
        "--report",
        "json",
        "--scenario",
        scenario,
        "--cpus",
        cpus,
    ]);
    vapic.args([
        "--apic-mode",
        mode,
        "--apic",
        apic,
        "--iterations",
        iterations,
    ]);
    let output = vapic
        .output()
        .with_context(|| format!("{vapic:?} does not start"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{vapic:?} failed: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The median round trip to a target in us.
fn round_trip(report: &Value, target: &str) -> anyhow::Result<f64> {
    let phases = report["phases"]
        .as_array()
        .context("no phases in the report")?;
    let phase = phases
        .iter()
        .find(|phase| phase["labels"]["target"] == target);
    let phase = phase.with_context(|| format!("no ping to {target} in the report"))?;
    microseconds(
        &phase["results"]["cycles_median"],
        &report["run"]["tsc_khz"],
    )
}

/// What one more target costs in us, by the guest's fit over one page.
fn per_target(report: &Value, way: &str) -> anyhow::Result<f64> {
    let results = report["results"]
        .as_array()
        .context("no results in the report")?;
    let mut fits = results.iter().map(|result| &result["results"]);
    let fit = fits.rfind(|fit| fit["way"] == way && fit["pages"] == 1);
    let fit = fit.with_context(|| format!("no fit of {way} in the report"))?;
    microseconds(&fit["per_target_cycles"], &report["run"]["tsc_khz"])
}

fn microseconds(cycles: &Value, khz: &Value) -> anyhow::Result<f64> {
    let number = |value: &Value| value.as_f64().context("a number is missing in the report");
    Ok(number(cycles)? * 1000.0 / number(khz)?)
}

fn floor(options: &[&str], arguments: &[&str]) -> Command {
    let mut command = cargo(&["bench", "--quiet", "--package", "tests", "--bench", "floor"]);
    command.args(options).arg("--").args(arguments);
    command
}

fn floor_round_trip(rounds: u32) -> anyhow::Result<f64> {
    let mut floor = floor(&[], &["--rounds", &rounds.to_string()]);
    let output = floor.stderr(Stdio::inherit()).output()?;
    ensure!(
        output.status.success(),
        "the floor failed: {}",
        output.status
    );
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text
        .lines()
        .find(|line| line.starts_with('{'))
        .context("the floor is silent")?;
    let floor: Value = serde_json::from_str(line)?;
    microseconds(&floor["cycles_median"], &floor["tsc_khz"])
}
