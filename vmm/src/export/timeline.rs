//! A trace as a timeline: its slices and counters, in whatever format.

use std::collections::BTreeMap;
use std::io;

use super::ExportError;
use super::counter::Counter;
use super::lane::{Lane, Stage};
use super::phase::phases;
use super::slice::{Slice, Track};
use crate::observe::report::{ApicKind, Run};
use crate::trace::{Origin, Trace};

/// A format that timelines are written in.
///
/// Slices of a track come in no order of time, since an exit is known only when it is over; what
/// lies within a slice comes with it.
pub(super) trait Sink {
    /// What is run, and the threads that the trace has.
    fn begin(&mut self, run: &Run, origins: &[Origin]) -> io::Result<()>;

    /// A slice with all that lies within it.
    fn slice(&mut self, track: Track, slice: &Slice) -> io::Result<()>;

    /// A counter has this value from now on; each comes in the order of time.
    fn counter(&mut self, counter: Counter, at: u64, value: f64) -> io::Result<()>;

    /// All has been said.
    fn end(&mut self) -> io::Result<()>;
}

/// Writes a trace into a sink.
pub(super) fn write(trace: &Trace, mut sink: impl Sink) -> Result<(), ExportError> {
    let clock = trace.header.clock.clock();
    let origins: Vec<_> = trace.origins().collect();
    sink.begin(&trace.header.run, &origins)?;
    let mut lanes: BTreeMap<_, _> = origins
        .iter()
        .map(|&origin| (origin, Lane::new(origin, clock)))
        .collect();
    let mut stage = Stage::default();
    let mut end = trace.end.as_ref().map_or(0, |end| end.duration_ns);
    let mut result = Ok(());
    for event in trace.merged() {
        let (origin, stamped) = match event {
            Ok(event) => event,
            Err(error) => {
                result = Err(error.into());
                break;
            }
        };
        end = end.max(clock.time(stamped.at));
        if let Some(lane) = lanes.get_mut(&origin) {
            lane.follow(&stamped, &mut stage);
        }
        show(&mut stage, &mut sink)?;
    }
    // What there was before the damage is shown to its end.
    for lane in lanes.values_mut() {
        lane.finish(end, &mut stage);
    }
    show(&mut stage, &mut sink)?;
    for phase in phases(&trace.marks, clock, end) {
        sink.slice(Track::Phases, &phase)?;
    }
    for counter in Counter::ALL {
        for (at, value) in stage.counters.values(counter) {
            sink.counter(counter, at, value)?;
        }
    }
    sink.end()?;
    result
}

fn show(stage: &mut Stage, sink: &mut impl Sink) -> io::Result<()> {
    for (track, slice) in stage.slices.drain(..) {
        sink.slice(track, &slice)?;
    }
    Ok(())
}

/// What the VM is called.
pub(super) fn title(run: &Run) -> String {
    let what = if run.kernel.is_empty() {
        &run.scenario
    } else {
        &run.kernel
    };
    let apic = match run.apic {
        ApicKind::Userspace => "user-space APIC",
        ApicKind::Kernel => "KVM's APIC",
    };
    format!("vapic: {what}, {apic}")
}
