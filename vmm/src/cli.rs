//! What the user can type.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::compare::Workload;
use crate::export::Format;
use crate::kvm::ApicModel;
use crate::trace::Policy;
use crate::vm::{CommandLine, MAX_VCPUS};

/// See every IPI of a guest: its targets, and what its exits cost.
#[derive(Debug, Parser)]
#[command(name = "vapic", version, args_conflicts_with_subcommands = true)]
pub struct Cli {
    /// What to do; `run` if nothing is named.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of `run`.
    #[command(flatten)]
    pub run: RunArgs,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a guest on the user-space Local APIC and report its IPIs.
    Run(RunArgs),
    /// Make the report of a recorded run again, from its trace.
    Report(ReportArgs),
    /// Turn a trace into a timeline for Perfetto or Chrome, or into CSV.
    Export(ExportArgs),
    /// Feed the accesses of a recorded run through fresh APICs, and compare every answer.
    Replay(ReplayArgs),
    /// Compare the user-space Local APIC with KVM's own: one workload on both, in turn.
    Compare(CompareArgs),
    /// Watch the IPIs and exits of a VM that runs with --control.
    Top(TopArgs),
    /// Say what a value of the interrupt command register means.
    Decode(DecodeArgs),
    /// Say what this host's KVM can do for us.
    Probe(ProbeArgs),
}

/// Options of `vapic run`.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Kernel to run: a Linux bzImage or vmlinux, an ELF64, or a multiboot image; the embedded guest
    /// if not given.
    #[arg(long, value_name = "PATH")]
    pub kernel: Option<PathBuf>,
    /// Run the kernel as Linux, with the workloads that come with this program.
    #[arg(long, requires = "kernel", conflicts_with = "scenario")]
    pub linux: bool,
    /// Initial ramdisk, or the multiboot module, for the kernel.
    #[arg(long, value_name = "PATH", requires = "kernel")]
    pub initramfs: Option<PathBuf>,
    /// What the embedded guest does; the tour if not given.
    #[arg(long, value_enum, value_name = "NAME")]
    pub scenario: Option<Scenario>,
    /// Number of vCPUs.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_VCPUS)))]
    pub cpus: u32,
    /// Guest memory: bytes, or a number with K, M or G; 128M, and 512M for Linux, if not given.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Whose Local APIC the guest has.
    #[arg(long, value_enum, default_value_t)]
    pub apic: Apic,
    /// Mode in which the guest uses it; one after the other if not given.
    #[arg(long, value_enum)]
    pub apic_mode: Option<ApicMode>,
    /// How to print the report.
    #[arg(long, value_enum, default_value_t)]
    pub report: ReportFormat,
    /// Write the report to this file instead of standard output.
    #[arg(long, value_name = "PATH")]
    pub report_file: Option<PathBuf>,
    /// Keep every event of the run in this file, for `report`, `export` and `replay`.
    #[arg(long, value_name = "PATH")]
    pub trace: Option<PathBuf>,
    /// What happens when events come faster than they are written.
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value_t,
        requires = "trace"
    )]
    pub trace_policy: TracePolicy,
    /// Largest size of the trace; what comes after that is lost.
    #[arg(long, value_name = "SIZE", default_value = "4G", requires = "trace", value_parser = parse_size)]
    pub trace_limit: u64,
    /// How long a timed scenario lasts, in seconds.
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub seconds: Option<f64>,
    /// End the run, as a failure, after so many seconds.
    #[arg(long, value_name = "N", value_parser = parse_seconds)]
    pub timeout: Option<f64>,
    /// Repetitions of each measurement; the scenario's own number if not given.
    #[arg(long, value_name = "N")]
    pub iterations: Option<u32>,
    /// Serve the running VM's counters at this path, to `vapic top` and as Prometheus text.
    #[arg(long, value_name = "SOCKET")]
    pub control: Option<PathBuf>,
    /// Further words for the guest's command line; for a kernel without --scenario and --linux, all
    /// of it.
    #[arg(long, value_name = "TEXT")]
    pub cmdline: Option<String>,
}

/// What the embedded guest can do.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Scenario {
    /// A short tour of all.
    #[default]
    Tour,
    /// Round trips to a target that halts, spins in ring 3 or 0, or has interrupts off.
    Ping,
    /// TLB shootdowns by targets, pages and way of addressing.
    Shootdown,
    /// An NMI to a target whose interrupts are off.
    Nmi,
    /// To all, with and without the sender.
    Broadcast,
    /// To itself.
    #[value(name = "self")]
    SelfIpi,
    /// Waking a halted processor.
    Resched,
    /// All to all, for a set time.
    Storm,
}

/// Whose Local APIC.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum Apic {
    /// Ours, in user space.
    #[default]
    Userspace,
    /// KVM's own, for comparison.
    Kernel,
}

impl From<Apic> for ApicModel {
    fn from(apic: Apic) -> Self {
        match apic {
            Apic::Userspace => Self::Userspace,
            Apic::Kernel => Self::Kernel,
        }
    }
}

/// Mode of the guest's APICs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ApicMode {
    /// Memory-mapped registers.
    Xapic,
    /// MSRs.
    X2apic,
}

/// Format of the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// Tables for people.
    #[default]
    Table,
    /// JSON for programs; the guest's console then goes to standard error.
    Json,
}

/// What happens when events come faster than they are written.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub enum TracePolicy {
    /// Whole records are dropped and counted.
    #[default]
    Drop,
    /// The guest waits.
    Wait,
}

impl From<TracePolicy> for Policy {
    fn from(policy: TracePolicy) -> Self {
        match policy {
            TracePolicy::Drop => Self::Drop,
            TracePolicy::Wait => Self::Wait,
        }
    }
}

/// Options of `vapic report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print CSV: a line for each value, with its key in the JSON report.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Write the report to this file as an HTML page with pictures, which needs nothing but a
    /// browser.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["json", "csv", "report_file"])]
    pub html: Option<PathBuf>,
    /// How many of the slowest IPIs to tell the story of.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub slowest: usize,
    /// Write the report to this file instead of standard output.
    #[arg(long, value_name = "PATH")]
    pub report_file: Option<PathBuf>,
}

/// Options of `vapic export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// Into what.
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Write it to this file instead of standard output.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

/// What a trace can be turned into.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExportFormat {
    /// Perfetto's protobuf, for <https://ui.perfetto.dev> and its trace processor.
    Perfetto,
    /// Chrome's JSON, for older viewers.
    Chrome,
    /// A row for each event.
    Csv,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Perfetto => Self::Perfetto,
            ExportFormat::Chrome => Self::Chrome,
            ExportFormat::Csv => Self::Csv,
        }
    }
}

/// Options of `vapic replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
}

/// Options of `vapic compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// What is run.
    #[command(flatten)]
    pub workload: Workload,
    /// Runs on each APIC.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: u32,
    /// Compare with an earlier comparison, a file that --json wrote.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Write the comparison to this file instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub report_file: Option<PathBuf>,
}

/// Options of `vapic top`.
#[derive(Args, Clone, Debug)]
pub struct TopArgs {
    /// The path that `vapic run --control` was given.
    #[arg(value_name = "SOCKET")]
    pub socket: PathBuf,
    /// Seconds between two looks.
    #[arg(long, short, value_name = "SECONDS", default_value = "0.25", value_parser = parse_interval)]
    pub interval: Duration,
    /// Print one interval as tables and end.
    #[arg(long, short = '1', conflicts_with = "raw")]
    pub once: bool,
    /// Print a JSON object on a line of its own for each interval.
    #[arg(long)]
    pub raw: bool,
    /// End after so many intervals.
    #[arg(long, short, value_name = "N", requires = "raw", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
}

/// Options of `vapic decode`.
#[derive(Args, Clone, Debug)]
pub struct DecodeArgs {
    /// The value, decimal or with 0x; in xAPIC mode the high register is its upper half.
    #[arg(value_name = "VALUE", value_parser = parse_number)]
    pub value: u64,
    /// Mode of the sender.
    #[arg(long, value_enum, default_value = "x2apic")]
    pub mode: ApicMode,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Options of `vapic probe`.
#[derive(Args, Clone, Debug)]
pub struct ProbeArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

impl RunArgs {
    /// Guest memory in bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let default = if self.linux { 512 << 20 } else { 128 << 20 };
        self.memory.unwrap_or(default)
    }

    /// What the guest is told.
    #[must_use]
    pub fn command_line(&self) -> CommandLine {
        let more = self.cmdline.clone().unwrap_or_default();
        if self.linux {
            return CommandLine::AsGiven(self.linux_words(&more));
        }
        if self.kernel.is_some() && self.scenario.is_none() {
            return CommandLine::AsGiven(more);
        }
        CommandLine::WithFacts(self.scenario_words())
    }

    /// A console, an end instead of a halt after a panic, and the mode of the APICs.
    fn linux_words(&self, more: &str) -> String {
        let mut words = vec!["console=ttyS0 panic=-1 quiet"];
        if matches!(self.apic_mode, Some(ApicMode::Xapic)) {
            words.push("nox2apic");
        }
        words.push(more);
        words.join(" ").trim_end().to_owned()
    }

    fn scenario_words(&self) -> String {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value.map_or_else(String::new, |value| value.get_name().to_owned())
        };
        let mut words = vec![format!(
            "scenario={}",
            name(self.scenario.unwrap_or_default().to_possible_value())
        )];
        let mode = self.apic_mode.and_then(|mode| mode.to_possible_value());
        words.push(format!(
            "mode={}",
            mode.map_or("both".to_owned(), |mode| name(Some(mode)))
        ));
        words.extend(self.seconds.map(|seconds| format!("seconds={seconds:.6}")));
        words.extend(self.iterations.map(|count| format!("iterations={count}")));
        words.extend(self.cmdline.clone());
        words.join(" ")
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("give bytes, or a number with K, M or G, such as 128M".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "give a size such as 128M".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "that is more than 64 bits".to_owned())
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("give seconds from 0 to 86400, such as 30 or 0.5".to_owned()),
    }
}

/// Time between two looks at a VM.
pub(crate) fn parse_interval(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("give seconds from 0.1 to 3600, such as 0.25".to_owned()),
    }
}

fn parse_number(text: &str) -> Result<u64, String> {
    let digits = text.replace('_', "");
    let parsed = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        None => digits.parse(),
    };
    parsed.map_err(|_| "give a number of up to 64 bits, such as 0x1000040fd".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_and_numbers() {
        assert_eq!(parse_size("128M"), Ok(128 << 20));
        assert_eq!(parse_size("4096"), Ok(4096));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        for wrong in ["", "M", "12Q", "-1", "99999999999G", "1.5G", "é"] {
            assert!(parse_size(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(parse_number("0x1_0000_40fd"), Ok(0x1_0000_40fd));
        assert_eq!(parse_number("253"), Ok(253));
        assert!(parse_number("0x1_0000_0000_0000_0000").is_err());
    }

    #[test]
    fn the_guest_is_told_what_was_asked() {
        let cli = Cli::try_parse_from([
            "vapic",
            "run",
            "--scenario",
            "self",
            "--apic-mode",
            "xapic",
            "--seconds",
            "0.5",
        ]);
        let Some(Command::Run(args)) = cli.unwrap().command else {
            panic!("run was asked for")
        };
        assert_eq!(
            args.command_line(),
            CommandLine::WithFacts("scenario=self mode=xapic seconds=0.500000".into())
        );
    }
}
