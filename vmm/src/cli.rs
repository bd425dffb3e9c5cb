//! What the user can type: the commands, and the options of each.

mod offline;
mod run;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::compare::Workload;
pub use offline::{ExportArgs, ExportFormat, ReplayArgs, ReportArgs};
pub use run::{Apic, ApicMode, ReportFormat, RunArgs, Scenario, TracePolicy};
pub(crate) use value::parse_interval;
use value::parse_number;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
