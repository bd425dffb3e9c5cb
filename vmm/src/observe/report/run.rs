//! What was run, where, and how it ended.

use std::fs;

use serde::{Deserialize, Serialize};

use super::agreement::Verdict;
use super::lost::Lost;
use super::phase::PhaseReport;
use crate::observe::Recorded;

/// Which APIC the guest had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApicKind {
    /// Ours.
    Userspace,
    /// KVM's own.
    Kernel,
}

/// The facts of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Version of this program.
    pub version: String,
    /// Which APIC the guest had.
    pub apic: ApicKind,
    /// The modes that the guest was told to use: `xapic`, `x2apic` or `both`; `guest` if it decides.
    pub apic_mode: String,
    /// The scenario; empty for a guest that has none.
    pub scenario: String,
    /// The guest's kernel; empty for the one inside this program.
    pub kernel: String,
    /// Number of vCPUs.
    pub cpus: usize,
    /// Guest memory.
    pub memory_bytes: u64,
    /// Rate of the TSC that stamps are taken from.
    pub tsc_khz: u64,
    /// From the first entry into the guest to the end.
    pub duration_ns: u64,
    /// The machine below.
    pub host: Host,
    /// What was kept of it in a trace, if one was recorded.
    pub trace: Option<TraceFacts>,
    /// What ended it.
    #[serde(skip)]
    pub ending: Ending,
    /// Only a part of it is booked, so that what is missing says nothing.
    #[serde(skip)]
    pub partial: bool,
}

/// What a trace has of its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFacts {
    /// Records in it.
    pub records: u64,
    /// Records that are not: their ring was full, or the file at its limit.
    pub lost_records: u64,
}

/// What ended a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// The guest: by its `exit` marker, or by switching itself off.
    #[default]
    Guest,
    /// The guest, with an exit code of its own for the command.
    Code(u8),
    /// The user.
    Interrupted,
    /// Something went wrong; the text names the vCPU and what it ran into.
    Error(String),
}

/// The machine that a run took place on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Model of its processors.
    pub cpu_model: String,
    /// Processors that this program may use.
    pub cpus: usize,
    /// Release of its kernel.
    pub kernel: String,
    /// Whether it is a virtual machine itself.
    pub virtualized: bool,
}

impl Host {
    /// Reads it from `/proc`; what cannot be read is left empty.
    #[must_use]
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = text("/proc/cpuinfo");
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            line.split_once(':')
                .map(|(_, value)| value.trim().to_owned())
        };
        Self {
            cpu_model: field("model name").unwrap_or_default(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: text("/proc/sys/kernel/osrelease").trim().to_owned(),
            virtualized: field("flags").is_some_and(|flags| {
                flags
                    .split_ascii_whitespace()
                    .any(|flag| flag == "hypervisor")
            }),
        }
    }
}

/// How a run is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The guest ended it, found nothing wrong, and nothing was lost.
    Passed,
    /// The guest found something wrong, or a delivery was lost.
    Failed,
    /// The user ended it, and nothing was wrong until then.
    Interrupted,
    /// It could not go on.
    Error,
}

/// The judgement and its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The judgement.
    pub status: Status,
    /// What is wrong, one sentence each.
    pub reasons: Vec<String>,
    /// The exit code that the guest asked for, if it did.
    pub guest_code: Option<u8>,
}

impl Outcome {
    pub(super) fn new(run: &Run, recorded: &Recorded, lost: &Lost, phases: &[PhaseReport]) -> Self {
        let ending = &run.ending;
        let mut reasons = Vec::new();
        if let Ending::Error(text) = ending {
            reasons.push(text.clone());
        }
        let failures = recorded.failures.len() as u64 + recorded.dropped_failures;
        if failures != 0 {
            let first = recorded.failures.first();
            let first = first.map_or_else(String::new, |failure| {
                format!(", the first: {} {}", failure.scenario, failure.text)
            });
            reasons.push(format!("the guest reported {failures} failure(s){first}"));
        }
        if let Some(status @ 1..) = recorded.exit {
            reasons.push(format!("the guest ended with status {status}"));
        }
        // Losses can cancel out in the sum, but not in every account.
        let accounts = lost.by_kind.iter().map(|(_, account)| account.lost);
        let any = accounts
            .chain(lost.by_vcpu.iter().copied())
            .any(|lost| lost != 0);
        if any && !run.partial {
            reasons.push(format!("{} deliveries are unaccounted for", lost.total));
        }
        let rows = phases.iter().flat_map(|phase| &phase.agreement);
        for (verdict, what) in [
            (
                Verdict::Different,
                "counted other interrupts than were injected in",
            ),
            (Verdict::Untold, "did not tell its counts of"),
        ] {
            let rows = rows.clone().filter(|row| row.verdict == verdict).count();
            if rows != 0 {
                reasons.push(format!(
                    "the guest {what} {rows} row(s) of /proc/interrupts"
                ));
            }
        }
        let status = match ending {
            Ending::Error(_) => Status::Error,
            _ if !reasons.is_empty() => Status::Failed,
            Ending::Interrupted => Status::Interrupted,
            Ending::Guest | Ending::Code(_) => Status::Passed,
        };
        let guest_code = match ending {
            Ending::Code(code) => Some(*code),
            Ending::Guest | Ending::Interrupted | Ending::Error(_) => None,
        };
        Self {
            status,
            reasons,
            guest_code,
        }
    }

    /// The command's exit code: the guest's own if it asked for one, else 0 if nothing is wrong,
    /// else 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match (self.status, self.guest_code) {
            (Status::Passed | Status::Failed, Some(code)) => code,
            (Status::Passed | Status::Interrupted, _) => 0,
            (Status::Failed | Status::Error, _) => 1,
        }
    }
}
