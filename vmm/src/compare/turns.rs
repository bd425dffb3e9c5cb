//! The runs in their turn.

use std::time::Instant;

use anyhow::Context;

use super::affinity::Affinity;
use super::child::{Ended, Runner};
use super::comparison::{Comparison, KIND, RunOutcome, SCHEMA, Subject, apic_name};
use super::figure::{Facts, RunReport};
use super::rows::Rows;
use super::workload::Workload;
use crate::observe::report::{ApicKind, Status};
use crate::progress;

/// What came of the runs.
pub(super) enum Gathered {
    /// Something to show.
    Comparison(Box<Comparison>),
    /// The first run had no report: there is nothing to compare, and what it said is the reason.
    Refused {
        /// The exit code that is due.
        code: u8,
        /// One line.
        said: String,
    },
}

/// The two runs of a pair in their order.
pub(super) const fn order(pair: usize) -> [ApicKind; 2] {
    match pair % 2 {
        0 => [ApicKind::Userspace, ApicKind::Kernel],
        _ => [ApicKind::Kernel, ApicKind::Userspace],
    }
}

/// Runs all pairs, or as many as the user lets it. A run that fails leaves the others.
pub(super) fn gather(workload: &Workload, pairs: usize) -> anyhow::Result<Gathered> {
    let mut runner = Runner::new(workload.arguments())?;
    let progress = progress::bar(2 * pairs as u64, "");
    let host_load = host_load();
    let started = Instant::now();
    let (mut rows, mut runs) = (Rows::new(pairs), Vec::new());
    let mut facts: Option<Facts> = None;
    let mut interrupted = false;
    for (pair, apic) in (0..pairs).flat_map(|pair| order(pair).map(|apic| (pair, apic))) {
        progress.set_message(format!("pair {}, {}", pair + 1, apic_name(apic)));
        let ended = match runner.run(apic) {
            // The figures of the runs before it are kept.
            Err(error) if facts.is_some() => Ended::Silent {
                code: None,
                said: format!("cannot be run: {error}"),
            },
            ended => ended.context("cannot start a run")?,
        };
        match ended {
            Ended::Reported(report) => {
                facts.get_or_insert_with(|| report.run.clone());
                if report.outcome.status == Status::Interrupted {
                    interrupted = true;
                    break;
                }
                if report.outcome.status == Status::Passed {
                    rows.add(pair, apic, report.figures());
                }
                runs.push(reported(pair, apic, *report));
            }
            Ended::Silent { said, .. } if facts.is_some() => runs.push(silent(pair, apic, &said)),
            Ended::Silent { code, said } => {
                let code = if code == Some(2) { 2 } else { 1 };
                return Ok(Gathered::Refused { code, said });
            }
            Ended::Interrupted => {
                interrupted = true;
                break;
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let Some(facts) = facts else {
        return Ok(Gathered::Refused {
            code: 1,
            said: "vapic: interrupted before the first run ended".to_owned(),
        });
    };
    let (rows, dropped_figures) = rows.conclude();
    let arguments = workload.arguments().iter();
    Ok(Gathered::Comparison(Box::new(Comparison {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        subject: Subject {
            arguments: arguments
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            scenario: facts.scenario,
            kernel: facts.kernel,
            apic_mode: facts.apic_mode,
            cpus: facts.cpus,
            memory_bytes: facts.memory_bytes,
        },
        host: facts.host,
        affinity: Affinity::read(),
        host_load,
        tsc_khz: facts.tsc_khz,
        pairs,
        duration_ns: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        interrupted,
        runs,
        rows,
        dropped_figures,
        against: None,
    })))
}

/// The first figure of `/proc/loadavg`.
fn host_load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

fn reported(pair: usize, apic: ApicKind, report: RunReport) -> RunOutcome {
    RunOutcome {
        pair,
        apic,
        status: report.outcome.status,
        reasons: report.outcome.reasons,
        duration_ns: Some(report.run.duration_ns),
    }
}

fn silent(pair: usize, apic: ApicKind, said: &str) -> RunOutcome {
    RunOutcome {
        pair,
        apic,
        status: Status::Error,
        reasons: vec![said.strip_prefix("vapic: ").unwrap_or(said).to_owned()],
        duration_ns: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_apic_is_first_as_often_as_last() {
        let first: Vec<_> = (0..4).map(|pair| order(pair)[0]).collect();
        let ours = |apic: &&ApicKind| **apic == ApicKind::Userspace;
        assert_eq!(first.iter().filter(ours).count(), 2);
        assert!((0..4).all(|pair| order(pair)[0] != order(pair)[1]));
    }
}
