//! Chrome's format: an array of JSON objects, an object a line.
//!
//! The arrows of one delivery are written together when its end is known, so that each that begins
//! also ends. A point of an arrow belongs to the slice that it lies in; each lies a nanosecond behind
//! the beginning of its slice, so that no order within a moment matters.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::{Serialize, Serializer};

use super::counter::Counter;
use super::slice::{Arrow, Fact, Slice, Track, What, arrow_number};
use super::timeline::{Sink, title};
use crate::observe::report::Run;
use crate::observe::{Source, Value};
use crate::trace::Origin;

/// The VM stands as a process of this number.
const PROCESS: u64 = 1;

/// Writes objects.
pub(super) struct Chrome<W> {
    out: W,
    begun: bool,
}

/// One object; fields that do not apply are left out.
#[derive(Serialize)]
struct Object<'a> {
    name: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cat: Option<&'a str>,
    ph: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ts: Option<Microseconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dur: Option<Microseconds>,
    pid: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Where a point of an arrow belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    bp: Option<&'a str>,
    /// Whose moment it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<&'a str>,
    #[serde(skip_serializing_if = "Facts::is_empty")]
    args: Facts,
}

/// Nanoseconds, written in the format's unit.
struct Microseconds(u64);

struct Facts(Vec<(Cow<'static, str>, Fact)>);

impl<'a> Object<'a> {
    fn new(name: impl Into<Cow<'a, str>>, ph: &'a str) -> Self {
        Self {
            name: name.into(),
            cat: None,
            ph,
            ts: None,
            dur: None,
            pid: PROCESS,
            tid: None,
            id: None,
            bp: None,
            s: None,
            args: Facts(Vec::new()),
        }
    }
}

impl<W: Write> Chrome<W> {
    pub(super) const fn new(out: W) -> Self {
        Self { out, begun: false }
    }

    fn object(&mut self, object: &Object<'_>) -> io::Result<()> {
        let begun = std::mem::replace(&mut self.begun, true);
        self.out.write_all(if begun { b",\n" } else { b"[\n" })?;
        Ok(serde_json::to_writer(&mut self.out, object)?)
    }

    fn metadata(
        &mut self,
        name: &str,
        tid: Option<u64>,
        key: &'static str,
        fact: Fact,
    ) -> io::Result<()> {
        self.object(&Object {
            tid,
            args: Facts(vec![(key.into(), fact)]),
            ..Object::new(name, "M")
        })
    }

    fn thread(&mut self, track: Track, name: String) -> io::Result<()> {
        let tid = Some(thread(track));
        self.metadata("thread_name", tid, "name", Fact::Text(name.into()))?;
        let place = Fact::Number(thread(track));
        self.metadata("thread_sort_index", tid, "sort_index", place)
    }

    /// A delivery's arrow through these points.
    fn arrow(&mut self, arrow: Arrow, points: &[(&str, Track, u64)]) -> io::Result<()> {
        for &(ph, track, at) in points {
            self.object(&Object {
                cat: Some("ipi"),
                ts: Some(Microseconds(at.saturating_add(1))),
                tid: Some(thread(track)),
                id: Some(format!("{:#x}", arrow_number(arrow.id, arrow.target))),
                bp: Some("e"),
                ..Object::new("ipi", ph)
            })?;
        }
        Ok(())
    }
}

impl<W: Write> Sink for Chrome<W> {
    fn begin(&mut self, run: &Run, origins: &[Origin]) -> io::Result<()> {
        let name = Fact::Text(title(run).into());
        self.metadata("process_name", None, "name", name)?;
        self.thread(Track::Phases, "phases".to_owned())?;
        for &origin in origins {
            match origin {
                Origin::Devices => self.thread(Track::Devices, "devices".to_owned())?,
                Origin::Vcpu(vcpu) => {
                    self.thread(Track::Vcpu(vcpu), format!("vCPU {vcpu}"))?;
                    let name = format!("vCPU {vcpu} interrupts");
                    self.thread(Track::Interrupts(vcpu), name)?;
                }
            }
        }
        Ok(())
    }

    fn slice(&mut self, track: Track, slice: &Slice) -> io::Result<()> {
        let what = &slice.what;
        let shared = Object {
            cat: Some(what.category()),
            ts: Some(Microseconds(slice.from)),
            tid: Some(thread(track)),
            args: Facts(what.facts(slice.from)),
            ..Object::new(what.name(), "X")
        };
        self.object(&if what.is_moment() {
            Object {
                ph: "i",
                s: Some("t"),
                ..shared
            }
        } else {
            Object {
                dur: Some(Microseconds(slice.to - slice.from)),
                ..shared
            }
        })?;
        let sent = |arrow: Arrow| match arrow.id.source() {
            Source::Vcpu(vcpu) => ("s", Track::Vcpu(vcpu), arrow.sent),
            Source::Device => ("s", Track::Devices, arrow.sent),
        };
        match (what, track) {
            (
                &What::Service {
                    arrow: Some(arrow),
                    ended: true,
                    ..
                },
                Track::Interrupts(vcpu),
            ) => {
                let injected = ("t", track, slice.from);
                let ended = ("f", Track::Vcpu(vcpu), slice.to);
                self.arrow(arrow, &[sent(arrow), injected, ended])?;
            }
            (&What::Nmi(Some(arrow)), _) => {
                self.arrow(arrow, &[sent(arrow), ("f", track, slice.from)])?;
            }
            _ => {}
        }
        for inner in &slice.inner {
            self.slice(track, inner)?;
        }
        Ok(())
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number is written as one"
    )]
    fn counter(&mut self, counter: Counter, at: u64, value: f64) -> io::Result<()> {
        let (name, unit) = counter.name();
        let value = if value.fract() == 0.0 {
            Value::Whole(value as i64)
        } else {
            Value::Decimal(value)
        };
        self.object(&Object {
            ts: Some(Microseconds(at)),
            args: Facts(vec![(unit.into(), Fact::Guests(value))]),
            ..Object::new(name, "C")
        })
    }

    fn end(&mut self) -> io::Result<()> {
        self.out.write_all(b"\n]\n")
    }
}

/// The number of a track, which is also its place.
const fn thread(track: Track) -> u64 {
    match track {
        Track::Phases => 1,
        Track::Devices => 2,
        Track::Vcpu(vcpu) => 10 + 2 * vcpu as u64,
        Track::Interrupts(vcpu) => 11 + 2 * vcpu as u64,
    }
}

impl Serialize for Microseconds {
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for the first hundred days"
    )]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1000.0)
    }
}

impl Facts {
    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Facts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, fact)| (name, fact)))
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Truth(truth) => truth.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            // Readers of JSON keep 53 bits of a number.
            Self::Bits(bits) => serializer.collect_str(&format_args!("{bits:#x}")),
            Self::Text(text) => text.serialize(serializer),
            Self::Guests(value) => value.serialize(serializer),
        }
    }
}
