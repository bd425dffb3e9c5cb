//! Process 1: from the first mount to power-off.

use std::fs;
use std::panic;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::kernel_log::KernelLog;
use crate::marker::Marker;
use crate::mount::mount;
use crate::options::Options;
use crate::phase::{NOT_OFFERED, Phase, TOLD, UNSETTLED};
use crate::system::{self, System};
use crate::workload::Workload;
use crate::{affinity, console, cpus, power};

/// Runs everything and switches the machine off. If anything failed, the VMM is told to end first.
pub(crate) fn run() -> ExitCode {
    panic::set_hook(Box::new(|panic| end(Err(panic.to_string()))));
    end(run_all().map_err(|error| format!("{error:#}")));
    // Process 1 must not end: the kernel panics, which nobody can miss.
    ExitCode::FAILURE
}

/// The end of the machine: `Ok` is whether all went well.
fn end(result: Result<bool, String>) {
    let marker = Marker::open();
    if let Err(text) = &result {
        console::print(&json!({ "failed": text }));
        if let Ok(marker) = &marker {
            marker.fail("init", text);
        }
    }
    if let (Ok(marker), false) = (marker, result == Ok(true)) {
        marker.exit(1);
    }
    let refusal = power::off();
    console::print(&json!({ "failed": format!("the machine does not power off: {refusal}") }));
}

/// How long a kernel that is not to complain is given to do so.
const WATCHED: Duration = Duration::from_secs(3);

/// Whether every workload went well.
fn run_all() -> Result<bool> {
    for (kind, at) in [
        (c"proc", c"/proc"),
        (c"sysfs", c"/sys"),
        (c"devtmpfs", c"/dev"),
    ] {
        mount(kind, at).with_context(|| format!("cannot mount {kind:?} at {at:?}"))?;
    }
    let online = cpus::listed("online")?;
    let &own = online.first().context("no processor is online")?;
    affinity::pin(affinity::SELF, own)?;
    let marker = Marker::open().context(
        "no access to the VMM's marker page by /dev/mem: boot with a kernel that is not locked down \
         (no lockdown= on the command line)",
    )?;

    let command_line = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    let mut log = KernelLog::open()?;
    let system = System::ask(command_line.trim_end(), &log.messages())?;
    console::print(&json!({ "system": system }));
    if let Some(fault) = system.fault() {
        bail!(fault);
    }
    marker.result("linux", format_args!("{}", system.for_marker()));
    let options = Options::parse(&command_line)?;

    let began = Instant::now();
    let (mut phases, mut failed) = (0, 0);
    let mut complaints = Vec::new();
    for workload in &options.only {
        for phase in sweep(*workload, &options, online.len()) {
            phases += 1;
            let outcome = outcome(phase, marker)?;
            failed += u32::from(outcome == Outcome::Failed);
            if outcome == Outcome::NotOffered {
                break;
            }
        }
        let messages = log.messages();
        // Stacks that were asked for are full of words about APICs and timers.
        if *workload != Workload::BacktraceNmi {
            complaints.extend(system::complaints(&messages));
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    if options.complaints_fail {
        // What watches timers and processors complains later.
        thread::sleep(WATCHED);
        complaints.extend(system::complaints(&log.messages()));
    }
    console::print(&json!({ "done": {
        "phases": phases, "failed": failed, "seconds": seconds, "complaints": complaints,
    }}));
    marker.result("init", format_args!("phases={phases} failed={failed}"));
    if let (true, Some(line)) = (
        options.complaints_fail,
        system.complaints.first().or(complaints.first()),
    ) {
        bail!("the kernel complains: {line}");
    }
    if options.complaints_fail && log.overwritten {
        bail!("the kernel's log is longer than its buffer: give log_buf_len=");
    }
    Ok(failed == 0)
}

/// One workload with every number of sharers and of pages.
fn sweep(workload: Workload, options: &Options, cpus: usize) -> Vec<Phase> {
    let pages: &[usize] = if workload.has_pages() {
        &options.pages
    } else {
        &[0]
    };
    let sharers = options.sharers(cpus).into_iter();
    sharers
        .filter(|&sharers| sharers >= workload.least_sharers())
        .flat_map(|sharers| pages.iter().map(move |&pages| (sharers, pages)))
        .map(|(sharers, pages)| Phase {
            workload,
            sharers,
            pages,
            iterations: options.iterations,
        })
        .collect()
}

/// How often a phase is tried before its kernel is found never to be quiet.
const MOST_TRIES: usize = 9;

/// What became of a phase.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Measured,
    NotOffered,
    Failed,
}

/// Runs a phase in a process of its own, again if it was unsettled.
fn outcome(phase: Phase, marker: Marker) -> Result<Outcome> {
    let start = || {
        let mut command = Command::new("/proc/self/exe");
        let status = command.args(phase.to_arguments()).status();
        status.context("cannot start a process")
    };
    let mut status = start()?;
    for _ in 1..MOST_TRIES {
        if status.code() == Some(UNSETTLED) {
            status = start()?;
        }
    }
    Ok(match status.code() {
        Some(0) => Outcome::Measured,
        Some(NOT_OFFERED) => Outcome::NotOffered,
        Some(TOLD) => Outcome::Failed,
        Some(UNSETTLED) => {
            let text = format!(
                "{} was interrupted by the kernel itself all the time",
                phase.labels()
            );
            phase.tell_failure(marker, &text);
            Outcome::Failed
        }
        _ => {
            let text = format!("{} ended with {status}", phase.labels());
            phase.tell_failure(marker, &text);
            Outcome::Failed
        }
    })
}
