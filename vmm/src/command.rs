//! What each command does.

mod offline;
mod output;

use std::io::{self, IsTerminal};
use std::os::unix::fs::FileTypeExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use indicatif::ProgressBar;

use crate::boot::{Initramfs, Kernel};
use crate::cli::{Apic, ApicMode, DecodeArgs, ProbeArgs, ReportFormat, RunArgs, Scenario};
use crate::control::{About, Control, SocketError};
pub(crate) use output::Output;
use output::OutputFile;

use crate::devices::Console;
use crate::instruction;
use crate::kvm::{Host, probe};
use crate::linux::initramfs::INITRAMFS;
use crate::machine::Ending;
use crate::observe::report::{self, ApicKind, Report, TraceFacts, Waiting};
use crate::observe::{Kind, Tsc};
use crate::progress;
use crate::trace::{self, End, Finished, Options};
use crate::vcpu::{ApicPage, Fatal};
use crate::vm::{Run, Vm, VmConfig};
pub use offline::{export, replay, report};

/// What is said of a guest that reset the machine: those that panic do so.
const RESET: &str = "the guest reset the machine: see the end of its console";

/// Something that the user typed or gave cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The report file cannot be written.
    #[error("cannot write the report to {path:?}: give a path in an existing, writable folder")]
    ReportFile {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The trace cannot be written.
    #[error("cannot write the trace to {path:?}: give a path in an existing, writable folder")]
    TraceFile {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The trace would go to a pipe.
    #[error("{0:?} is a pipe: give the trace a file")]
    TraceToPipe(PathBuf),
    /// The report would take the place of the trace that it is made from.
    #[error("{0:?} is the trace itself: write the report to another file")]
    ReportOntoTrace(PathBuf),
    /// The export cannot be written.
    #[error("cannot write the export to {path:?}: give a path in an existing, writable folder")]
    ExportFile {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The export would take the place of the trace that it is made from.
    #[error("{0:?} is the trace itself: give another --output")]
    ExportOntoTrace(PathBuf),
    /// The export would fill the screen.
    #[error("standard output is a terminal: give --output PATH, or a pipe")]
    ExportToTerminal,
    /// More vCPUs than the host's KVM runs.
    #[error("{asked} vCPUs are more than this host's KVM runs: give --cpus 1 to {most}")]
    TooManyVcpus {
        /// What was asked for.
        asked: u32,
        /// What can be had.
        most: usize,
    },
}

/// `vapic run`.
///
/// # Errors
///
/// What keeps the guest from starting; once it runs, everything that happens is in the report.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let kernel = args.kernel.clone().map_or(Kernel::Embedded, Kernel::File);
    // Opened first: a report that cannot be written must not be found out after the run.
    let mut output = Output::open(args.report_file.clone())?;
    let control = control(args).inspect_err(|_| output.discard())?;
    // A reader that stalls would hold up the end of the run.
    let is_pipe = |path: &PathBuf| {
        let data = path.metadata();
        data.is_ok_and(|data| data.file_type().is_fifo())
    };
    if let Some(path) = args.trace.as_ref().filter(|path| is_pipe(path)) {
        output.discard();
        return Err(InputError::TraceToPipe(path.clone()).into());
    }
    let trace = match &args.trace {
        Some(path) => Some(
            OutputFile::open(path.clone())
                .map_err(|(path, source)| InputError::TraceFile { path, source })
                .inspect_err(|_| output.discard())?,
        ),
        None => None,
    };
    if let (Some(path), true) = (&args.trace, args.report_file.is_some())
        && output.is(path)
    {
        return Err(InputError::ReportOntoTrace(path.clone()).into());
    }
    let facts = facts(args);
    let vm = build(args, kernel, trace.as_ref(), &facts).inspect_err(|_| {
        output.discard();
        trace.iter().for_each(OutputFile::discard);
    })?;
    let progress = progress(args);
    let run = vm.controlled(control).run()?;
    progress.finish_and_clear();
    let report = collect(args, facts, run);
    output.write(&match args.report {
        ReportFormat::Table => report.to_table(),
        ReportFormat::Json => report.to_json(),
    })?;
    for reason in &report.outcome.reasons {
        eprintln!("vapic: {reason}");
    }
    Ok(ExitCode::from(report.outcome.exit_code()))
}

/// None where the guest's console is on the same terminal: they would garble each other.
fn progress(args: &RunArgs) -> ProgressBar {
    let to_terminal = match console(args) {
        Console::Stdout => io::stdout().is_terminal(),
        Console::Stderr => io::stderr().is_terminal(),
        Console::Nowhere => false,
    };
    match to_terminal {
        true => ProgressBar::hidden(),
        false => progress::spinner("the guest runs"),
    }
}

/// Standard output, unless the report alone is to be there.
fn console(args: &RunArgs) -> Console {
    match args.report == ReportFormat::Json && args.report_file.is_none() {
        true => Console::Stderr,
        false => Console::Stdout,
    }
}

fn build(
    args: &RunArgs,
    kernel: Kernel,
    trace: Option<&OutputFile>,
    facts: &report::Run,
) -> anyhow::Result<Vm> {
    let host = Host::open()?;
    if args.cpus as usize > host.max_vcpus() {
        return Err(InputError::TooManyVcpus {
            asked: args.cpus,
            most: host.max_vcpus(),
        }
        .into());
    }
    let config = VmConfig {
        kernel,
        initramfs: initramfs(args),
        command_line: args.command_line(),
        vcpus: args.cpus,
        memory: args.memory(),
        apic: args.apic.into(),
        console: console(args),
        blobs: Vec::new(),
        timeout: args.timeout.map(Duration::from_secs_f64),
        trace: trace.map(|trace| Options {
            file: Arc::clone(&trace.file),
            policy: args.trace_policy.into(),
            limit: args.trace_limit,
            run: facts.clone(),
        }),
    };
    Vm::new(&host, &config)
}

/// The socket, with what `vapic top` says of the VM.
fn control(args: &RunArgs) -> Result<Option<Control>, SocketError> {
    let Some(path) = &args.control else {
        return Ok(None);
    };
    let about = About {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        guest: match (scenario(args), kernel(args)) {
            (scenario, kernel) if kernel.is_empty() => scenario,
            (_, kernel) => kernel,
        },
        apic: apic(args),
        apic_mode: apic_mode(args),
    };
    Control::open(path, about).map(Some)
}

fn apic(args: &RunArgs) -> ApicKind {
    match args.apic {
        Apic::Userspace => ApicKind::Userspace,
        Apic::Kernel => ApicKind::Kernel,
    }
}

/// The embedded guest uses one mode after the other unless told; a kernel of the user's decides.
fn apic_mode(args: &RunArgs) -> String {
    let by_itself = || match args.kernel {
        None => "both".to_owned(),
        Some(_) => "guest".to_owned(),
    };
    let mode = args.apic_mode.and_then(|mode| mode.to_possible_value());
    mode.map_or_else(by_itself, |mode| mode.get_name().to_owned())
}

/// A kernel of the user's has no scenario unless one was named.
fn scenario(args: &RunArgs) -> String {
    args.scenario
        .or_else(|| args.kernel.is_none().then(Scenario::default))
        .and_then(|scenario| scenario.to_possible_value())
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

fn kernel(args: &RunArgs) -> String {
    let path = args.kernel.as_ref();
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// What the user gave, or for Linux what this program carries.
fn initramfs(args: &RunArgs) -> Option<Initramfs> {
    let own = || Initramfs::Bytes(INITRAMFS.into());
    let given = args.initramfs.clone().map(Initramfs::File);
    given.or_else(|| args.linux.then(own))
}

/// What is known of a run before it begins.
fn facts(args: &RunArgs) -> report::Run {
    report::Run {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        apic: apic(args),
        apic_mode: apic_mode(args),
        scenario: scenario(args),
        kernel: kernel(args),
        cpus: args.cpus as usize,
        memory_bytes: args.memory(),
        tsc_khz: 0,
        duration_ns: 0,
        host: report::Host::read(),
        trace: None,
        ending: report::Ending::default(),
        partial: false,
    }
}

fn collect(args: &RunArgs, facts: report::Run, mut run: Run) -> Report {
    let clock = run.observer.clock();
    let waiting: Vec<_> = run.waiting.iter().map(waiting).collect();
    let mut facts = report::Run {
        tsc_khz: clock.khz(),
        duration_ns: clock.time(run.ended),
        ending: ending(args, &run),
        ..facts
    };
    if let Some(trace) = run.trace.take() {
        facts.trace = Some(TraceFacts {
            records: trace.records,
            lost_records: trace.lost,
        });
        end_trace(trace, &run, &mut facts, &waiting);
    }
    Report::collect(facts, &run.observer, &run.ledgers, &waiting)
}

/// Writes the end of the trace; a trace that cannot be written spoils the run.
fn end_trace(trace: Finished, run: &Run, facts: &mut report::Run, waiting: &[Waiting]) {
    let page = |(page, left): (&Option<_>, &Tsc)| {
        page.as_ref()
            .map(|page: &ApicPage| trace::Page::new(*left, page))
    };
    let end = End {
        ending: facts.ending.clone(),
        duration_ns: facts.duration_ns,
        waiting: waiting.to_vec(),
        records: trace.records,
        lost_records: trace.lost,
        pages: run.apics.iter().zip(&run.left).map(page).collect(),
    };
    if let Err(error) = trace.end(&end) {
        facts.ending = report::Ending::Error(format!("cannot write the trace: {error}"));
    }
}

fn ending(args: &RunArgs, run: &Run) -> report::Ending {
    match &run.ending {
        Ending::Guest(_) | Ending::PowerOff => report::Ending::Guest,
        Ending::DebugExit(code) => report::Ending::Code(code.to_le_bytes()[0]),
        Ending::Reset => report::Ending::Error(RESET.to_owned()),
        Ending::TimedOut => report::Ending::Error(format!(
            "the guest did not end within {} s (--timeout)",
            args.timeout.unwrap_or_default()
        )),
        Ending::Interrupted => report::Ending::Interrupted,
        Ending::Failed {
            vcpu,
            position,
            fatal,
        } => report::Ending::Error(format!(
            "vCPU {vcpu} stopped at RIP {:#x} in {}: {fatal}{}",
            position.rip,
            position.mode,
            instruction::at(position, &run.memory)
                .filter(|_| *fatal == Fatal::InternalError)
                .map_or_else(String::new, |instruction| format!(" {instruction}"))
        )),
        Ending::Host(text) => report::Ending::Error(text.clone()),
    }
}

fn waiting(mailbox: &vapic::Waiting) -> Waiting {
    let vapic::Waiting {
        vectors,
        nmis,
        init,
        start_up,
        smi,
        ext_int,
        overtaken,
    } = *mailbox;
    let vapic::Overtaken {
        nmis: nmis_overtaken,
        start_ups,
        smis,
        ext_ints,
    } = overtaken;
    Waiting::default()
        .with(Kind::Vector, vectors.into())
        .with(Kind::Nmi, u64::from(nmis) + u64::from(nmis_overtaken))
        .with(Kind::Init, init.into())
        .with(Kind::StartUp, u64::from(start_up) + u64::from(start_ups))
        .with(Kind::Smi, u64::from(smi) + u64::from(smis))
        .with(Kind::Other, u64::from(ext_int) + u64::from(ext_ints))
}

/// `vapic decode`.
///
/// # Errors
///
/// None but a standard output that cannot be written.
pub fn decode(args: &DecodeArgs) -> anyhow::Result<ExitCode> {
    let format = match args.mode {
        ApicMode::Xapic => vapic::spec::icr::IcrFormat::Xapic,
        ApicMode::X2apic => vapic::spec::icr::IcrFormat::X2apic,
    };
    let decoded = crate::decode::Decoded::new(args.value, format);
    let text = if args.json {
        serde_json::to_string(&decoded)? + "\n"
    } else {
        decoded.to_string()
    };
    Output::Stdout.write(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// `vapic probe`.
///
/// # Errors
///
/// No usable KVM.
pub fn probe(args: &ProbeArgs) -> anyhow::Result<ExitCode> {
    let report = probe::full(&Host::open()?)?;
    let text = if args.json {
        serde_json::to_string(&report)? + "\n"
    } else {
        format!("{report}\n")
    };
    Output::Stdout.write(&text)?;
    Ok(ExitCode::SUCCESS)
}
