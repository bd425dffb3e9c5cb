//! One workload with one number of sharers and pages, counted by the kernel and by the VMM.
//!
//! The order, so that both count the same time:
//!
//! 1. The sharers start, and the operation is done twice unmeasured.
//! 2. The beginning is marked: /proc/interrupts is read, `mark` to the VMM, and it is read again
//!    until 20 ms have passed. If anything but timer interrupts was counted meanwhile, this is done
//!    again; if not, nothing was injected or counted about the mark, and both count from one moment
//!    on. `begin` tells the VMM what begins there.
//! 3. The operation is prepared and done, as often as asked. Only doing it is timed, all is counted.
//!    Nothing here allocates memory, which the kernel would take back by IPIs of its own.
//! 4. `mark`, so that the VMM knows when the operations were over: what they cost is counted to
//!    there. Then the end is marked in the same way, and `end` has the difference of the readings.
//!
//! So the guest's counts and the VMM's are of the same time, and must be equal. A kernel that is not
//! quiet for long enough makes the phase unsettled, and it is done again.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::json;

use crate::interrupts::{Counts, Interrupts, Lists, Row};
use crate::latency::Latency;
use crate::marker::{self, LONGEST_LINE, Marker};
use crate::workload::{Place, Started, Workload};
use crate::{affinity, console, cpus, watchdog};

/// Exit code of a process whose workload this kernel does not offer.
pub(crate) const NOT_OFFERED: i32 = 4;

/// Exit code of a process that has told the VMM why it failed.
pub(crate) const TOLD: i32 = 1;

/// Exit code of a process whose kernel was not quiet for long enough to be counted.
pub(crate) const UNSETTLED: i32 = 5;

/// Half of the time that nothing may happen in after a mark: longer than a tick of any distribution's
/// kernel, and than a vCPU waits for a host processor.
const QUIET: Duration = Duration::from_millis(10);

/// How often a mark is tried: what disturbs it for longer has fallen into step with this process.
const MOST_MARKS: usize = 100;

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
    Unsettled,
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
            Ok(Outcome::Unsettled) => UNSETTLED,
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
        let [before, done, after, later] = &mut readings;

        if !mark(marker, &mut interrupts, before, later)? {
            return Ok(Outcome::Unsettled);
        }
        marker.begin(name, format_args!("{labels}"));
        for _ in 0..self.iterations {
            operation.prepare()?;
            let started = Instant::now();
            operation.perform()?;
            durations.push(started.elapsed());
        }
        marker.mark();
        interrupts.read(done)?;
        if !mark(marker, &mut interrupts, after, later)? {
            return Ok(Outcome::Unsettled);
        }
        // Flushes are a cost, so they end with the operations.
        after.replace(Row::Tlb, done);
        let latency = Latency::of(&mut durations).context("no iterations")?;
        let cost = done.since(before);
        self.end(marker, latency, &cost, after, before);

        let found_awake = operation.found_awake();
        // The sharers go before the console is busy: they would take part in what it causes.
        drop(operation);
        console::print(&Line {
            workload: name,
            sharers: self.sharers,
            pages: self.workload.has_pages().then_some(self.pages),
            iterations: self.iterations,
            latency_ns: latency,
            interrupts: &cost,
            found_awake,
        });
        Ok(Outcome::Measured)
    }

    /// Tells the VMM the end with its values. On very many processors not every row fits into the
    /// line: those that are compared with injections come first.
    fn end(
        self,
        marker: Marker,
        latency: Latency,
        cost: &Counts,
        later: &Counts,
        earlier: &Counts,
    ) {
        let iterations = self.iterations;
        let ipis: u64 = [Row::Res, Row::Cal]
            .into_iter()
            .flat_map(|row| cost.row(row))
            .sum();
        for rows in (0..=Row::ALL.len()).rev() {
            let lists = Lists {
                later,
                earlier,
                rows,
            };
            let values = format_args!("iterations={iterations} {latency} ipis={ipis}{lists}");
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
    #[serde(skip_serializing_if = "Option::is_none")]
    found_awake: Option<u64>,
}

/// Marks a moment about which nothing but timer interrupts happened, with a reading on each side;
/// whether there was one.
fn mark(
    marker: Marker,
    interrupts: &mut Interrupts,
    earlier: &mut Counts,
    later: &mut Counts,
) -> Result<bool> {
    'again: for attempt in 0..MOST_MARKS {
        interrupts.read(earlier)?;
        marker.mark();
        for _ in 0..2 {
            pause(attempt);
            interrupts.read(later)?;
            if !later.is_quiet_since(earlier) {
                continue 'again;
            }
        }
        return Ok(true);
    }
    Ok(false)
}

/// Lets time pass: asleep or awake in turn, since a kernel may send IPIs because of either.
fn pause(attempt: usize) {
    if attempt.is_multiple_of(2) {
        return thread::sleep(QUIET);
    }
    let began = Instant::now();
    while began.elapsed() < QUIET {
        std::hint::spin_loop();
    }
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
