//! Perfetto's format: packets with track events, all of one sequence.
//!
//! Timestamps are nanoseconds from the run's start on the clock that Perfetto takes if none is named
//! (`docs/getting-started/converting.md` in Perfetto); it sorts packets itself, those of one moment
//! stay as they are in the file.

mod message;
mod names;

use std::io::{self, Write};

use prost::Message;

use super::counter::Counter;
use super::slice::{Fact, Slice, Track};
use super::timeline::Sink;
use crate::observe::Value;
use crate::observe::report::Run;
use crate::trace::Origin;
use message::{
    AnnotationValue, CounterDescriptor, Data, DebugAnnotation, InternedData, ProcessDescriptor,
    SEQ_INCREMENTAL_STATE_CLEARED, SEQ_NEEDS_INCREMENTAL_STATE, ThreadDescriptor, Trace,
    TracePacket, TrackDescriptor, TrackEvent, Type,
};
use names::Names;

/// The VM stands as a process of this number, and its track has it too.
const PROCESS: i32 = 1;

/// Writes packets.
pub(super) struct Perfetto<W> {
    out: W,
    buffer: Vec<u8>,
    begun: bool,
    categories: Names,
    names: Names,
    facts: Names,
}

impl<W: Write> Perfetto<W> {
    pub(super) fn new(out: W) -> Self {
        Self {
            out,
            buffer: Vec::new(),
            begun: false,
            categories: Names::default(),
            names: Names::default(),
            facts: Names::default(),
        }
    }

    fn packet(&mut self, timestamp: Option<u64>, data: Data) -> io::Result<()> {
        let mut flags = SEQ_NEEDS_INCREMENTAL_STATE;
        if !std::mem::replace(&mut self.begun, true) {
            flags |= SEQ_INCREMENTAL_STATE_CLEARED;
        }
        let interned = InternedData {
            event_categories: std::mem::take(&mut self.categories.new),
            event_names: std::mem::take(&mut self.names.new),
            debug_annotation_names: std::mem::take(&mut self.facts.new),
        };
        let packet = TracePacket {
            timestamp,
            trusted_packet_sequence_id: Some(1),
            interned_data: (interned != InternedData::default()).then_some(interned),
            sequence_flags: Some(flags),
            data: Some(data),
        };
        let trace = Trace {
            packet: vec![packet],
        };
        self.buffer.clear();
        trace.encode(&mut self.buffer)?;
        self.out.write_all(&self.buffer)
    }

    fn track(&mut self, track: TrackDescriptor) -> io::Result<()> {
        self.packet(None, Data::TrackDescriptor(track))
    }

    fn event(&mut self, at: u64, event: TrackEvent) -> io::Result<()> {
        self.packet(Some(at), Data::TrackEvent(event))
    }

    fn described(&mut self, track: Track, kind: Type, slice: &Slice) -> TrackEvent {
        let what = &slice.what;
        let facts = what.facts(slice.from).into_iter();
        let debug_annotations = facts
            .map(|(name, fact)| DebugAnnotation {
                name_iid: Some(self.facts.number(name)),
                value: Some(annotation(fact)),
            })
            .collect();
        TrackEvent {
            r#type: Some(kind.into()),
            track_uuid: Some(uuid(track)),
            category_iids: vec![self.categories.number(what.category().into())],
            name_iid: Some(self.names.number(what.name())),
            debug_annotations,
            flow_ids: what.arrows(),
            terminating_flow_ids: what.last_of().into_iter().collect(),
            ..TrackEvent::default()
        }
    }
}

impl<W: Write> Sink for Perfetto<W> {
    fn begin(&mut self, run: &Run, origins: &[Origin]) -> io::Result<()> {
        self.track(TrackDescriptor {
            uuid: Some(PROCESS as u64),
            process: Some(ProcessDescriptor {
                pid: Some(PROCESS),
                process_name: Some(super::timeline::title(run)),
            }),
            ..TrackDescriptor::default()
        })?;
        let named = |track, parent, name: String| TrackDescriptor {
            uuid: Some(uuid(track)),
            parent_uuid: Some(parent),
            name: Some(name),
            ..TrackDescriptor::default()
        };
        self.track(named(Track::Phases, PROCESS as u64, "phases".into()))?;
        for counter in Counter::ALL {
            let (name, unit) = counter.name();
            self.track(TrackDescriptor {
                uuid: Some(counter_uuid(counter)),
                parent_uuid: Some(PROCESS as u64),
                name: Some(name.to_owned()),
                counter: Some(CounterDescriptor {
                    unit_name: Some(unit.to_owned()),
                }),
                ..TrackDescriptor::default()
            })?;
        }
        for &origin in origins {
            let Origin::Vcpu(vcpu) = origin else {
                self.track(named(Track::Devices, PROCESS as u64, "devices".into()))?;
                continue;
            };
            let thread = uuid(Track::Vcpu(vcpu));
            self.track(TrackDescriptor {
                uuid: Some(thread),
                parent_uuid: Some(PROCESS as u64),
                thread: Some(ThreadDescriptor {
                    pid: Some(PROCESS),
                    tid: i32::try_from(thread).ok(),
                    thread_name: Some(format!("vCPU {vcpu}")),
                }),
                ..TrackDescriptor::default()
            })?;
            let name = format!("vCPU {vcpu} interrupts");
            self.track(named(Track::Interrupts(vcpu), thread, name))?;
        }
        Ok(())
    }

    fn slice(&mut self, track: Track, slice: &Slice) -> io::Result<()> {
        if slice.what.is_moment() {
            let event = self.described(track, Type::Instant, slice);
            return self.event(slice.from, event);
        }
        let begin = self.described(track, Type::SliceBegin, slice);
        self.event(slice.from, begin)?;
        for inner in &slice.inner {
            self.slice(track, inner)?;
        }
        let end = TrackEvent {
            r#type: Some(Type::SliceEnd.into()),
            track_uuid: Some(uuid(track)),
            ..TrackEvent::default()
        };
        self.event(slice.to, end)
    }

    fn counter(&mut self, counter: Counter, at: u64, value: f64) -> io::Result<()> {
        let event = TrackEvent {
            r#type: Some(Type::Counter.into()),
            track_uuid: Some(counter_uuid(counter)),
            double_counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.event(at, event)
    }

    fn end(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Small numbers take few bytes, and each event has one.
const fn uuid(track: Track) -> u64 {
    match track {
        Track::Phases => 2,
        Track::Devices => 3,
        Track::Vcpu(vcpu) => 10 + 2 * vcpu as u64,
        Track::Interrupts(vcpu) => 11 + 2 * vcpu as u64,
    }
}

const fn counter_uuid(counter: Counter) -> u64 {
    match counter {
        Counter::Sent => 4,
        Counter::Pending => 5,
        Counter::InGuest => 6,
    }
}

fn annotation(fact: Fact) -> AnnotationValue {
    match fact {
        Fact::Truth(truth) => AnnotationValue::Bool(truth),
        Fact::Number(number) => AnnotationValue::Uint(number),
        Fact::Bits(bits) => AnnotationValue::Pointer(bits),
        Fact::Text(text) => AnnotationValue::String(text.into_owned()),
        Fact::Guests(Value::Whole(number)) => AnnotationValue::Int(number),
        Fact::Guests(Value::Large(number)) => AnnotationValue::Uint(number),
        Fact::Guests(Value::Decimal(number)) => AnnotationValue::Double(number),
        Fact::Guests(Value::Text(text)) => AnnotationValue::String(text),
    }
}
