//! The guest's measured phases: what every vCPU counted between `begin` and `end`.
//!
//! A guest can write markers without end, so everything kept is bounded and what is beyond the
//! bound is counted. The lock here is taken by markers alone, never on the way of an IPI.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::clock::Tsc;
use super::counters::{Counters, Snapshot};
use super::marker::{Fields, Line, Malformed, Marker};
use super::recorded::{Cells, Derived, Failure, Phase, Recorded};
use crate::trace::{Mark, MarkSender};

/// Most phases kept.
const MOST_PHASES: usize = 4096;
/// Most counters kept over all phases, zeros not counted: 64 MiB.
const MOST_COUNTERS: usize = 4 << 20;
/// Most results kept.
const MOST_RESULTS: usize = 4096;
/// Most failures kept.
const MOST_FAILURES: usize = 256;

/// What every vCPU had counted at a moment.
#[derive(Clone)]
struct Moment {
    at: Tsc,
    counted: Vec<Snapshot>,
}

/// The phase that is being measured.
struct Open {
    scenario: String,
    labels: Fields,
    began: Moment,
    /// The first mark since.
    done: Option<Moment>,
}

#[derive(Default)]
struct State {
    recorded: Recorded,
    open: Option<Open>,
    /// The last `mark`, if no phase has begun or ended since.
    mark: Option<Moment>,
    kept_counters: usize,
}

/// Where the markers of all vCPUs come together.
pub struct Phases {
    counters: Arc<[Arc<Counters>]>,
    state: Mutex<State>,
    marks: OnceLock<MarkSender>,
}

impl Phases {
    /// No phase yet, over the counters of these vCPUs.
    #[must_use]
    pub fn new(counters: Arc<[Arc<Counters>]>) -> Self {
        Self {
            counters,
            state: Mutex::default(),
            marks: OnceLock::new(),
        }
    }

    /// Takes note of a line, read at `now`; `Some` means that the guest wants to end with that
    /// status.
    pub fn apply(&self, line: Result<Line, Malformed>, now: Tsc) -> Option<u32> {
        let mut state = self.lock();
        let counted = match line.as_ref().map(|line| &line.marker) {
            Ok(Marker::Begin(..) | Marker::End(_) | Marker::Mark) => self.snapshots(),
            _ => Vec::new(),
        };
        if let Some(marks) = self.marks.get() {
            marks.send(Mark::new(&line, now, &counted));
        }
        state.apply(line, now, counted)
    }

    /// Keeps every line from now on.
    pub fn record_to(&self, marks: MarkSender) {
        // A trace is begun once.
        let _ = self.marks.set(marks);
    }

    /// Takes note of a line that was recorded.
    pub fn replay(&self, mark: &Mark) {
        let (line, at, counted) = mark.parts();
        let _ = self.lock().apply(line, at, counted);
    }

    /// What has been told so far; a phase still open counts as unfinished.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        let state = self.lock();
        let mut recorded = state.recorded.clone();
        recorded.unfinished_phases += u64::from(state.open.is_some());
        recorded
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        self.counters
            .iter()
            .map(|counters| counters.snapshot())
            .collect()
    }

    /// A thread that panicked left whole values behind, so its poison is of no concern.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn apply(
        &mut self,
        line: Result<Line, Malformed>,
        now: Tsc,
        counted: Vec<Snapshot>,
    ) -> Option<u32> {
        let moment = Moment { at: now, counted };
        match line.map(|line| line.marker) {
            Ok(Marker::Mark) => {
                if let Some(open) = &mut self.open {
                    open.done.get_or_insert_with(|| moment.clone());
                }
                self.mark = Some(moment);
            }
            Ok(Marker::Begin(scenario, labels)) => {
                self.recorded.unfinished_phases += u64::from(self.open.is_some());
                self.open = Some(Open {
                    scenario,
                    labels,
                    began: self.mark.take().unwrap_or(moment),
                    done: None,
                });
            }
            Ok(Marker::End(results)) => {
                let ended = self.mark.take().unwrap_or(moment);
                match self.open.take() {
                    Some(open) => self.close(open, results, &ended),
                    None => self.recorded.malformed_lines += 1,
                }
            }
            Ok(Marker::Result(scenario, results)) => {
                let Recorded {
                    results: kept,
                    dropped_results,
                    ..
                } = &mut self.recorded;
                keep(
                    kept,
                    MOST_RESULTS,
                    Derived { scenario, results },
                    dropped_results,
                );
            }
            Ok(Marker::Fail(scenario, text)) => {
                let Recorded {
                    failures,
                    dropped_failures,
                    ..
                } = &mut self.recorded;
                keep(
                    failures,
                    MOST_FAILURES,
                    Failure { scenario, text },
                    dropped_failures,
                );
            }
            Ok(Marker::Exit(status)) => {
                self.recorded.exit.get_or_insert(status);
                return Some(status);
            }
            Err(Malformed) => self.recorded.malformed_lines += 1,
        }
        None
    }

    fn close(&mut self, open: Open, results: Fields, ended: &Moment) {
        let since_began = |moment: &Moment| -> Cells {
            let pairs = moment.counted.iter().zip(&open.began.counted);
            pairs
                .map(|(after, before)| after.difference(before).nonzero().collect())
                .collect()
        };
        let done = open.done.as_ref().unwrap_or(ended);
        let counters = since_began(done);
        let settled = open.done.is_some().then(|| since_began(ended));
        let kept = counters.iter().chain(settled.iter().flatten());
        let cells: usize = kept.map(|cells| cells.len()).sum();
        if self.recorded.phases.len() >= MOST_PHASES || self.kept_counters + cells > MOST_COUNTERS {
            self.recorded.dropped_phases += 1;
            return;
        }
        self.kept_counters += cells;
        self.recorded.phases.push(Phase {
            ticks: done.at.since(open.began.at),
            scenario: open.scenario,
            labels: open.labels,
            results,
            counters,
            settled,
        });
    }
}

fn keep<T>(kept: &mut Vec<T>, most: usize, item: T, dropped: &mut u64) {
    if kept.len() < most {
        kept.push(item);
    } else {
        *dropped += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::cause::Cause;
    use crate::observe::count::Count;
    use crate::observe::marker_port::MarkerPort;

    fn machine(vcpus: usize) -> (Arc<[Arc<Counters>]>, Arc<Phases>) {
        let counters: Arc<[_]> = (0..vcpus).map(|_| Arc::new(Counters::new(vcpus))).collect();
        (Arc::clone(&counters), Arc::new(Phases::new(counters)))
    }

    #[test]
    fn a_phase_has_what_every_vcpu_counted_in_it() {
        let (counters, phases) = machine(2);
        let icr = Count::Exits(Cause::ApicIcr);
        let mut port = MarkerPort::new(Arc::clone(&phases));
        counters[0].add(icr, 10);
        assert_eq!(
            port.write(b"begin shootdown way=unicast targets=1\nen"),
            None
        );
        counters[0].add(icr, 3);
        counters[1].add(Count::Ended, 3);
        assert_eq!(port.write(b"d cycles_mean=1500.5\n"), None);
        counters[0].add(icr, 100);
        assert_eq!(port.write(b"exit 0\nexit 1\n"), Some(0));

        let recorded = phases.recorded();
        assert!(recorded.passed());
        let [phase] = recorded.phases.as_slice() else {
            panic!("one phase")
        };
        assert_eq!(phase.scenario, "shootdown");
        assert!(
            phase.labels.get("targets").is_some() && phase.results.get("cycles_mean").is_some()
        );
        let vcpus: Vec<_> = phase.vcpus().collect();
        assert_eq!([vcpus[0].get(icr), vcpus[1].get(icr)], [3, 0]);
        assert_eq!(
            [vcpus[0].get(Count::Ended), vcpus[1].get(Count::Ended)],
            [0, 3]
        );
    }

    #[test]
    fn a_mark_is_the_moment_of_what_follows_it() {
        let (counters, phases) = machine(1);
        let count = |amount| counters[0].add(Count::Ended, amount);
        let mut port = MarkerPort::new(Arc::clone(&phases));
        count(1);
        port.write(b"mark\n");
        count(10);
        // The later mark counts.
        port.write(b"mark\n");
        count(100);
        port.write(b"begin munmap\n");
        count(1_000);
        port.write(b"mark\n");
        count(10_000);
        port.write(b"end\nbegin munmap\n");
        count(100_000);
        port.write(b"end\n");
        let recorded = phases.recorded();
        let ended = |phase: &Phase| {
            phase
                .vcpus()
                .map(|vcpu| vcpu.get(Count::Ended))
                .sum::<u64>()
        };
        let ended: Vec<_> = recorded.phases.iter().map(ended).collect();
        assert_eq!(ended, [1_100, 100_000]);
    }

    #[test]
    fn lines_of_different_vcpus_do_not_mix() {
        let (_, phases) = machine(1);
        let mut ports = [0, 1].map(|_| MarkerPort::new(Arc::clone(&phases)));
        for byte in b"fail nmi late\n" {
            ports
                .iter_mut()
                .for_each(|port| assert_eq!(port.write(&[*byte]), None));
        }
        assert_eq!(phases.recorded().failures.len(), 2);
        assert!(!phases.recorded().passed());
    }

    #[test]
    fn marks_out_of_order_are_counted() {
        let (_, phases) = machine(1);
        let mut port = MarkerPort::new(Arc::clone(&phases));
        port.write(b"end\nbegin ping\nbegin ping\nnonsense\n");
        let recorded = phases.recorded();
        assert_eq!(
            (recorded.malformed_lines, recorded.unfinished_phases),
            (2, 2)
        );
        assert!(recorded.phases.is_empty() && !recorded.passed());
    }

    #[test]
    fn a_guest_cannot_make_the_record_grow_without_end() {
        let (_, phases) = machine(1);
        let mut port = MarkerPort::new(Arc::clone(&phases));
        for _ in 0..MOST_PHASES + 5 {
            port.write(b"begin ping\nend\nresult ping a=1\nfail ping x\n");
        }
        let recorded = phases.recorded();
        assert_eq!(
            (recorded.phases.len(), recorded.dropped_phases),
            (MOST_PHASES, 5)
        );
        assert_eq!(
            (recorded.results.len(), recorded.dropped_results),
            (MOST_RESULTS, 5)
        );
        assert_eq!(recorded.failures.len(), MOST_FAILURES);
        assert_eq!(
            recorded.dropped_failures,
            (MOST_PHASES + 5 - MOST_FAILURES) as u64
        );
    }
}
