//! The account of a recorded run: its events are booked again, by the books that booked them live.

use super::{Origin, Trace, TraceError};
use crate::observe::report::{Ending, Report, TraceFacts};
use crate::observe::{Ledger, Observer, Tsc};

/// What is said of a run whose trace has no end.
const NO_END: &str = "the trace has no end: the run was killed, and this is what it left behind";

/// The books of a recorded run.
pub struct Account {
    observer: Observer,
    ledgers: Vec<Ledger>,
    /// The latest stamp of all.
    last: Tsc,
}

impl Account {
    /// Books every event of the trace.
    ///
    /// # Errors
    ///
    /// A damaged trace.
    pub fn of(trace: &Trace) -> Result<Self, TraceError> {
        let vcpus = trace.header.run.cpus;
        let observer = Observer::new(vcpus, trace.header.clock.clock());
        let mut devices = observer.device_ledger();
        let mut last = observer.clock().start();
        for stamped in trace.events(Origin::Devices) {
            let stamped = stamped?;
            last = last.max(stamped.at);
            devices.book(&stamped.event);
        }
        let mut ledgers = Vec::new();
        for vcpu in 0..vcpus {
            let mut ledger = observer.ledger(vcpu);
            for stamped in trace.events(Origin::Vcpu(vcpu)) {
                let stamped = stamped?;
                last = last.max(stamped.at);
                ledger.book(&stamped.event);
            }
            ledgers.push(ledger);
        }
        for mark in &trace.marks {
            observer.mark(mark);
        }
        Ok(Self {
            observer,
            ledgers,
            last,
        })
    }

    /// The books of the vCPUs, in order.
    #[must_use]
    pub fn ledgers(&self) -> &[Ledger] {
        &self.ledgers
    }

    /// The run's report: the one that was given when it ended, if nothing was lost.
    #[must_use]
    pub fn report(&self, trace: &Trace) -> Report {
        let mut run = trace.header.run.clone();
        let waiting = match &trace.end {
            Some(end) => {
                run.ending = end.ending.clone();
                run.duration_ns = end.duration_ns;
                end.waiting.clone()
            }
            None => {
                run.ending = Ending::Error(NO_END.to_owned());
                let clock = self.observer.clock();
                run.duration_ns = clock.time(self.last);
                Vec::new()
            }
        };
        run.partial = trace.end.is_none() || trace.lost_records != 0;
        run.trace = Some(TraceFacts {
            records: trace.record_count(),
            lost_records: trace.lost_records,
        });
        Report::collect(run, &self.observer, &self.ledgers, &waiting)
    }
}
