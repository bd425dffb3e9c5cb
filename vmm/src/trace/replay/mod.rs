//! The inputs of a recorded run, fed through fresh APICs: every output must be what it was.
//!
//! Each vCPU's thread recorded what its APIC was given, in order: accesses with their moment, what
//! the mailbox held, CR8, LINT0, and when an interrupt was taken. `vapic` is a function of these, so
//! the values read, the faults, the messages sent, the vectors acknowledged and ended, and the
//! registers at the end come out as they did, or something has changed.

mod processor;

use std::fmt;

use super::header::{ApicFacts, Page};
use super::{Origin, Trace, TraceError};
use crate::observe::{Clock, Tsc};
use processor::Processor;

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum NoReplay {
    /// It cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The APICs were KVM's.
    #[error(
        "the trace is of a run on KVM's own APIC, whose inputs nobody sees: record one with --apic \
         userspace"
    )]
    KernelApic,
    /// Some of its records are missing.
    #[error(
        "{0} records of the trace were lost, and without them nothing can be replayed: record it \
         again with --trace-policy wait"
    )]
    Lost(u64),
}

/// What came of a replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// vCPUs replayed.
    pub vcpus: usize,
    /// Inputs fed.
    pub inputs: u64,
    /// Outputs compared.
    pub outputs: u64,
    /// The trace has its end, and with it the registers that each vCPU left.
    pub whole: bool,
    /// The first difference of each vCPU that has one.
    pub differences: Vec<Difference>,
}

/// An output that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The vCPU.
    pub vcpu: usize,
    /// How manieth record of this vCPU, from 0.
    pub record: u64,
    /// Nanoseconds from the run's start.
    pub at_ns: u64,
    /// What is different.
    pub what: String,
}

impl Replay {
    /// Replays every vCPU of a trace.
    ///
    /// A trace without its end is replayed as far as it goes.
    ///
    /// # Errors
    ///
    /// [`NoReplay`].
    pub fn of(trace: &Trace) -> Result<Self, NoReplay> {
        let facts = trace.header.apic.ok_or(NoReplay::KernelApic)?;
        if trace.lost_records != 0 {
            return Err(NoReplay::Lost(trace.lost_records));
        }
        let mut replay = Self {
            whole: trace.end.is_some(),
            ..Self::default()
        };
        for vcpu in 0..trace.header.run.cpus {
            let page = trace
                .end
                .as_ref()
                .and_then(|end| end.pages.get(vcpu)?.as_ref());
            replay.vcpu(vcpu, facts, trace, page)?;
        }
        Ok(replay)
    }

    /// Whether every output was the same.
    #[must_use]
    pub const fn is_identical(&self) -> bool {
        self.differences.is_empty()
    }

    fn vcpu(
        &mut self,
        vcpu: usize,
        facts: ApicFacts,
        trace: &Trace,
        page: Option<&Page>,
    ) -> Result<(), TraceError> {
        let clock = trace.header.clock.clock();
        let mut processor = Processor::new(vcpu, facts, clock);
        let mut records = 0;
        let mut last = Tsc(trace.header.clock.start);
        self.vcpus += 1;
        for stamped in trace.events(Origin::Vcpu(vcpu)) {
            let stamped = stamped?;
            last = stamped.at;
            if let Err(what) = processor.step(&stamped) {
                self.differ(vcpu, records, last, &clock, what);
                return Ok(());
            }
            records += 1;
        }
        let mut same = processor.end_of_records(self.whole);
        if let Some(page) = page {
            same = same.and_then(|()| processor.registers(page));
        }
        if let Err(what) = same {
            self.differ(vcpu, records, last, &clock, what);
        }
        self.inputs += processor.inputs;
        self.outputs += processor.outputs;
        Ok(())
    }

    fn differ(&mut self, vcpu: usize, record: u64, at: Tsc, clock: &Clock, what: String) {
        self.differences.push(Difference {
            vcpu,
            record,
            at_ns: clock.time(at),
            what,
        });
    }
}

impl fmt::Display for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            vcpus,
            inputs,
            outputs,
            whole,
            differences,
        } = self;
        if *inputs == 0 && differences.is_empty() {
            return f.write_str("NOTHING: the trace has no input of an APIC.");
        }
        if differences.is_empty() {
            write!(
                f,
                "IDENTICAL: {inputs} inputs to the APICs of {vcpus} vCPU(s) gave the same {outputs} \
                 outputs."
            )?;
            if !whole {
                f.write_str(
                    "\nThe trace has no end: the registers that its run left were not compared.",
                )?;
            }
            return Ok(());
        }
        write!(
            f,
            "DIFFERENT: on {} of {vcpus} vCPU(s) an output is not what was recorded.",
            differences.len()
        )?;
        for difference in differences {
            let Difference {
                vcpu,
                record,
                at_ns,
                what,
            } = difference;
            write!(
                f,
                "\n  vCPU {vcpu}, record {record}, after {at_ns} ns: {what}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
