//! One workload with one number of sharers and pages, counted by the kernel and by the VMM.
//!
//! The order, so that both count the same time:
//!
//! 1. The sharers start, and the operation is done twice unmeasured.
//! 2. /proc/interrupts is read, *outer before*; `mark` to the VMM; after 10 ms, by when what was under
//!    way has arrived, it is read again, *inner before*. This is repeated until the two are equal but
//!    for timer interrupts: then nothing was injected or counted about the mark, and both count from
//!    one moment on. `begin` to the VMM tells what begins there.
//! 3. The operation is prepared and done, as often as asked. Only doing it is timed, all is counted.
//!    Nothing here allocates memory, which the kernel would take back by IPIs of its own.
//! 4. The end in the same way: *inner after*, `mark`, *outer after*, until the two are equal; then
//!    `end` with the difference of the inner ones.
//!
//! On a kernel that is never quiet the repetition ends at some time. What was counted between an outer
//! and its inner reading is then the *edge*, which the VMM may or may not have counted in the phase: it
//! is told with a line `result edge`. Without one the two counts must be equal.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::interrupts::{Counts, Interrupts, Lists, Moved, Row};
use crate::latency::Latency;
use crate::marker::{self, LONGEST_LINE, Marker};
use crate::workload::{Place, Started, Workload};
use crate::{affinity, console, cpus, watchdog};

/// Exit code of a process whose workload this kernel does not offer.
pub(crate) const NOT_OFFERED: i32 = 4;

/// Exit code of a process that has told the VMM why it failed.
pub(crate) const TOLD: i32 = 1;

/// Longer than a tick of any distribution's kernel.
const QUIET: Duration = Duration::from_millis(10);

/// How often a mark is tried. After that the edge tells what was not quiet.
const MOST_MARKS: usize = 400;

/// Operations before the measured ones, by which the kernel has allocated what it needs.
const WARM_UP: usize = 2;

/// The first argument of a process that runs a phase.
const COMMAND: &str = "phase";

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phase {
    pub(crate) workload: Workload,
    pub(crate) sharers: usize,
    /// 0 if the workload has no region.
    pub(crate) pages: usize,
    pub(crate) iterations: usize,
}

/// How it ended.
enum Outcome {
    Measured,
    NotOffered,
}

impl Phase {
    /// As arguments of a process.
    pub(crate) fn to_arguments(self) -> [String; 5] {
        let Self {
            workload,
            sharers,
            pages,
            iterations,
        } = self;
        let [sharers, pages, iterations] = [sharers, pages, iterations].map(|n| n.to_string());
        let (command, workload) = (COMMAND.to_owned(), workload.name().to_owned());
        [command, workload, sharers, pages, iterations]
    }

    /// What the arguments of this process say.
    pub(crate) fn from_arguments(arguments: &[String]) -> Option<Self> {
        let [command, workload, sharers, pages, iterations] = arguments else {
            return None;
        };
        if command != COMMAND {
            return None;
        }
        Some(Self {
            workload: workload.parse().ok()?,
            sharers: sharers.parse().ok()?,
            pages: pages.parse().ok()?,
            iterations: iterations.parse().ok()?,
        })
    }

    /// What tells this phase from the others of its workload, for a marker line.
    pub(crate) fn labels(self) -> String {
        let Self { sharers, pages, .. } = self;
        if pages == 0 {
            format!("sharers={sharers}")
        } else {
            format!("sharers={sharers} pages={pages}")
        }
    }

    /// Measures, in this process.
    pub(crate) fn run(self) -> ExitCode {
        // Far longer than it takes, on the slowest host.
        let milliseconds = self.iterations.saturating_mul(100);
        watchdog::arm(u32::try_from(60 + milliseconds / 1000).unwrap_or(u32::MAX));
        let (marker, place) = match self.place() {
            Ok(place) => place,
            Err(error) => {
                console::print(&json!({ "failed": format!("{error:#}") }));
                return ExitCode::from(3);
            }
        };
        let code = match self.measure(marker, &place) {
            Ok(Outcome::Measured) => 0,
            Ok(Outcome::NotOffered) => NOT_OFFERED,
            Err(error) => {
                self.tell_failure(marker, &format!("{} {error:#}", self.labels()));
                TOLD
            }
        };
        ExitCode::from(code.to_le_bytes()[0])
    }

    /// Tells people and the VMM of a failure.
    pub(crate) fn tell_failure(self, marker: Marker, text: &str) {
        let name = self.workload.name();
        console::print(&json!({ "workload": name, "failed": text }));
        marker.fail(name, text);
    }

    /// Goes to the first processor and gives the next ones to the sharers.
    fn place(self) -> Result<(Marker, Place)> {
        let online = cpus::listed("online")?;
        let (&own, others) = online.split_first().context("no processor is online")?;
        affinity::pin(affinity::SELF, own)?;
        let marker = Marker::open().context("no access to the marker port")?;
        let too_few = || format!("{} sharers need as many other processors", self.sharers);
        let (sharers, idle) = others
            .split_at_checked(self.sharers)
            .with_context(too_few)?;
        let place = Place {
            sharers: sharers.to_vec(),
            idle: idle.to_vec(),
            own,
            pages: self.pages,
        };
        Ok((marker, place))
    }

    fn measure(self, marker: Marker, place: &Place) -> Result<Outcome> {
        let (name, labels) = (self.workload.name(), self.labels());
        let mut operation = match self.workload.start(place)? {
            Started::Ready(operation) => operation,
            Started::NotOffered(reason) => {
                console::print(&json!({ "workload": name, "not_offered": reason }));
                marker.result(name, format_args!("not_offered=1"));
                return Ok(Outcome::NotOffered);
            }
        };
        for _ in 0..WARM_UP {
            operation.prepare()?;
            operation.perform()?;
        }
        let mut durations = Vec::with_capacity(self.iterations);
        let mut interrupts = Interrupts::open()?;
        let mut readings = <[Counts; 4]>::default();
        for counts in &mut readings {
            interrupts.read(counts)?;
        }
        let [outer_before, before, after, outer_after] = &mut readings;

        mark(marker, &mut interrupts, outer_before, before)?;
        marker.begin(name, format_args!("{labels}"));
        for _ in 0..self.iterations {
            operation.prepare()?;
            let started = Instant::now();
            operation.perform()?;
            durations.push(started.elapsed());
        }
        mark(marker, &mut interrupts, after, outer_after)?;
        let latency = Latency::of(&mut durations).context("no iterations")?;
        self.end(marker, latency, after, before);

        let edge = before.since(outer_before).and(&outer_after.since(after));
        let nothing = edge.since(&edge);
        if !edge.is_quiet_since(&nothing) {
            let lists = Lists {
                later: &edge,
                earlier: &nothing,
                // All but LOC.
                rows: Row::ALL.len() - 1,
            };
            marker.result("edge", format_args!("workload={name} {labels}{lists}"));
        }
        let found_awake = operation.found_awake();
        // The sharers go before the console is busy: they would take part in what it causes.
        drop(operation);
        console::print(&Line {
            workload: name,
            sharers: self.sharers,
            pages: self.workload.has_pages().then_some(self.pages),
            iterations: self.iterations,
            latency_ns: latency,
            interrupts: &after.since(before),
            edge: Moved(&edge),
            found_awake,
        });
        Ok(Outcome::Measured)
    }

    /// Tells the VMM the end with its values. On very many processors not every row fits into the
    /// line; those that are no IPIs are last.
    fn end(self, marker: Marker, latency: Latency, later: &Counts, earlier: &Counts) {
        let iterations = self.iterations;
        for rows in (0..=Row::ALL.len()).rev() {
            let lists = Lists {
                later,
                earlier,
                rows,
            };
            let values = format_args!("iterations={iterations} {latency}{lists}");
            if rows == 0 || "end ".len() + marker::length(values) <= LONGEST_LINE {
                marker.end(values);
                break;
            }
        }
    }
}

/// A phase as the console shows it.
#[derive(Serialize)]
struct Line<'a> {
    workload: &'static str,
    sharers: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pages: Option<usize>,
    iterations: usize,
    latency_ns: Latency,
    interrupts: &'a Counts,
    edge: Moved<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found_awake: Option<u64>,
}

/// Marks a moment about which nothing but timer interrupts happened, with a reading on each side.
fn mark(
    marker: Marker,
    interrupts: &mut Interrupts,
    earlier: &mut Counts,
    later: &mut Counts,
) -> Result<()> {
    for _ in 0..MOST_MARKS {
        interrupts.read(earlier)?;
        marker.mark();
        thread::sleep(QUIET);
        interrupts.read(later)?;
        if later.is_quiet_since(earlier) {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_what_a_phase_is() {
        let phase = Phase {
            workload: Workload::MadviseFree,
            sharers: 3,
            pages: 33,
            iterations: 20,
        };
        assert_eq!(Phase::from_arguments(&phase.to_arguments()), Some(phase));
        assert_eq!(Phase::from_arguments(&["phase".to_owned()]), None);
        assert_eq!(phase.labels(), "sharers=3 pages=33");
    }
}
