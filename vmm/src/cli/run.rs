//! Options of `vapic run`, and what they tell the guest.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::value::{parse_seconds, parse_size};
use crate::kvm::ApicModel;
use crate::trace::Policy;
use crate::vm::{CommandLine, MAX_VCPUS};

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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

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
