//! One run: `vapic run` as a process of its own.
//!
//! A process starts with nothing of the run before it: its memory, threads and signal handlers are
//! those of any `vapic run`, so a figure here is one that a user can get alone. And what ends the
//! process of one run leaves the figures of the others.

use std::env;
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::figure::RunReport;
use crate::observe::report::ApicKind;

/// Most that is kept of the end of what a run says; its guest can say any amount.
const MOST_KEPT: usize = 4096;

/// How a run ended.
pub(super) enum Ended {
    /// With its report.
    Reported(Box<RunReport>),
    /// Without one.
    Silent {
        /// Its exit code, if no signal ended it.
        code: Option<i32>,
        /// What it said last, in one line.
        said: String,
    },
    /// By the wish of the user, who wants no more runs either.
    Interrupted,
}

/// Starts runs, one after the other.
pub(super) struct Runner {
    program: PathBuf,
    workload: Vec<OsString>,
    signals: Signals,
}

impl Runner {
    /// Takes over the signals by which a user ends the comparison, until the program ends.
    pub(super) fn new(workload: &[OsString]) -> io::Result<Self> {
        Ok(Self {
            program: env::current_exe()?,
            workload: workload.to_vec(),
            signals: Signals::new([SIGINT, SIGTERM, SIGCHLD])?,
        })
    }

    /// Runs the workload to its end.
    pub(super) fn run(&mut self, apic: ApicKind) -> io::Result<Ended> {
        let apic = match apic {
            ApicKind::Userspace => "--apic=userspace",
            ApicKind::Kernel => "--apic=kernel",
        };
        let mut child = Command::new(&self.program)
            .args(["run", "--report=json", apic])
            .args(&self.workload)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (status, report, said) = thread::scope(|scope| {
            let report = scope.spawn(|| all(stdout));
            let said = scope.spawn(|| end(stderr));
            let status = self.wait(&mut child);
            (status, report.join(), said.join())
        });
        let Some(status) = status? else {
            return Ok(Ended::Interrupted);
        };
        let report = report.unwrap_or_default();
        let said = said.unwrap_or_default();
        Ok(match serde_json::from_slice(&report) {
            Ok(report) => Ended::Reported(Box::new(report)),
            Err(_) => Ended::Silent {
                code: status.code(),
                said: last_line(&said, status),
            },
        })
    }

    /// `None` if the user ended it.
    fn wait(&mut self, child: &mut Child) -> io::Result<Option<ExitStatus>> {
        let mut interrupted = false;
        loop {
            for signal in self.signals.wait() {
                if signal != SIGCHLD {
                    interrupted = true;
                    child.kill()?;
                }
            }
            if let Some(status) = child.try_wait()? {
                return Ok((!interrupted).then_some(status));
            }
        }
    }
}

fn all(stream: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What came before an error is no whole report, and that is noticed.
    let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
    bytes
}

fn end(stream: Option<impl Read>) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; MOST_KEPT]);
    let Some(mut stream) = stream else {
        return kept;
    };
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..length]);
        kept.drain(..kept.len().saturating_sub(MOST_KEPT));
    }
    kept
}

/// The last line that says something; it may be the guest's, so without control characters.
fn last_line(said: &[u8], status: ExitStatus) -> String {
    let said = String::from_utf8_lossy(said);
    let mut lines = said.lines().rev().map(str::trim);
    lines.find(|line| !line.is_empty()).map_or_else(
        || format!("vapic: the run ended with {status} and without a report"),
        |line| line.replace(char::is_control, ""),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_what_is_said_is_kept() {
        let long = vec![b'x'; 3 * MOST_KEPT + 5];
        let said = [&long[..], b"\nvapic: \x1b[2Jno /dev/kvm\n\n"].concat();
        let kept = end(Some(&said[..]));
        assert_eq!(kept.len(), MOST_KEPT);
        assert_eq!(
            last_line(&kept, ExitStatus::default()),
            "vapic: [2Jno /dev/kvm"
        );
        assert!(last_line(b"", ExitStatus::default()).contains("without a report"));
    }
}
