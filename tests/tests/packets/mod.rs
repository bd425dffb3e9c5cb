//! A reader of Perfetto's format that shares nothing with the writer: another crate takes the bytes
//! apart, and the numbers of fields are written down again, from Perfetto's `perfetto_trace.proto`.
//!
//! It is as strict as Perfetto's trace processor: a field of another wire type than its own is no
//! such field, and a number that is repeated must not be packed.

use std::collections::{BTreeMap, HashMap};

use protobuf::CodedInputStream;
use protobuf::rt::WireType;

/// A field's value.
#[derive(Debug)]
enum Field {
    Varint(u64),
    Fixed64(u64),
    Bytes(Vec<u8>),
}

/// A message: its fields by number, in their order.
#[derive(Debug)]
struct Message(Vec<(u32, Field)>);

impl Message {
    fn read(bytes: &[u8]) -> Self {
        let mut input = CodedInputStream::from_bytes(bytes);
        let mut fields = Vec::new();
        while let Some(tag) = input.read_raw_tag_or_eof().expect("a tag") {
            let wire = WireType::new(tag & 7).expect("a wire type");
            let field = match wire {
                WireType::Varint => input.read_uint64().map(Field::Varint),
                WireType::Fixed64 => input.read_fixed64().map(Field::Fixed64),
                WireType::LengthDelimited => input.read_bytes().map(Field::Bytes),
                wire => panic!("no field has wire type {wire:?}"),
            };
            fields.push((tag >> 3, field.expect("a value")));
        }
        Self(fields)
    }

    fn all(&self, number: u32) -> impl Iterator<Item = &Field> {
        let fields = self.0.iter();
        fields.filter_map(move |(own, field)| (*own == number).then_some(field))
    }

    fn varint(&self, number: u32) -> Option<u64> {
        self.all(number).next().map(|field| match field {
            Field::Varint(value) => *value,
            other => panic!("field {number} is {other:?}"),
        })
    }

    fn fixed64s(&self, number: u32) -> Vec<u64> {
        let fields = self.all(number).map(|field| match field {
            Field::Fixed64(value) => *value,
            other => panic!("field {number} is {other:?}"),
        });
        fields.collect()
    }

    fn messages(&self, number: u32) -> impl Iterator<Item = Self> {
        self.all(number).map(move |field| match field {
            Field::Bytes(bytes) => Self::read(bytes),
            other => panic!("field {number} is {other:?}"),
        })
    }

    fn message(&self, number: u32) -> Option<Self> {
        self.messages(number).next()
    }

    fn text(&self, number: u32) -> Option<String> {
        self.all(number).next().map(|field| match field {
            Field::Bytes(bytes) => String::from_utf8(bytes.clone()).expect("text"),
            other => panic!("field {number} is {other:?}"),
        })
    }
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Begin,
    End,
    Instant,
    Counter,
}

#[derive(Clone, Debug)]
struct Event {
    at: u64,
    track: u64,
    kind: Kind,
    name: String,
    category: String,
    arrows: Vec<u64>,
    last_of: Vec<u64>,
    value: Option<f64>,
}

/// A slice or, if it takes no time, perhaps a moment.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) track: u64,
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) name: String,
    pub(crate) category: String,
    /// Arrows that start here or pass through.
    pub(crate) arrows: Vec<u64>,
    /// Arrows that end here.
    pub(crate) last_of: Vec<u64>,
}

/// A file, read.
pub(crate) struct Packets {
    /// Each track's name and parent.
    tracks: BTreeMap<u64, (String, Option<u64>)>,
    events: Vec<Event>,
}

impl Packets {
    /// Reads a file.
    ///
    /// # Panics
    ///
    /// If Perfetto would not take it as it is meant.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut tracks = BTreeMap::new();
        let mut events = Vec::new();
        let mut interned = HashMap::new();
        for (place, packet) in Message::read(bytes).messages(1).enumerate() {
            assert_eq!(packet.varint(10), Some(1), "one sequence");
            let flags = packet.varint(13).expect("flags");
            assert_eq!(flags, if place == 0 { 3 } else { 2 });
            if let Some(data) = packet.message(12) {
                for kind in [1, 2, 3] {
                    for name in data.messages(kind) {
                        let iid = name.varint(1).expect("a number");
                        let name = name.text(2).expect("a name");
                        assert_eq!(interned.insert((kind, iid), name), None);
                    }
                }
            }
            if let Some(track) = packet.message(60) {
                let process = track.message(3).and_then(|process| process.text(6));
                let thread = track.message(4).and_then(|thread| thread.text(5));
                let name = track.text(2).or(process).or(thread).expect("a name");
                let uuid = track.varint(1).expect("a uuid");
                let known = tracks.insert(uuid, (name, track.varint(5)));
                assert_eq!(known, None, "a track is described once");
            } else if let Some(event) = packet.message(11) {
                let at = packet.varint(8).expect("a timestamp");
                events.push(Self::event(at, &event, &interned));
            } else {
                panic!("a packet of another kind: {packet:?}");
            }
        }
        let known = |event: &Event| tracks.contains_key(&event.track);
        assert!(events.iter().all(known), "an event on no track");
        Self { tracks, events }
    }

    fn event(at: u64, event: &Message, interned: &HashMap<(u32, u64), String>) -> Event {
        let name = |kind, number: u32| {
            let iid = event.varint(number);
            iid.map_or_else(String::new, |iid| interned[&(kind, iid)].clone())
        };
        for annotation in event.messages(4) {
            let iid = annotation.varint(1).expect("a name");
            assert!(interned.contains_key(&(3, iid)), "annotation {iid}");
        }
        Event {
            at,
            track: event.varint(11).expect("a track"),
            kind: match event.varint(9) {
                Some(1) => Kind::Begin,
                Some(2) => Kind::End,
                Some(3) => Kind::Instant,
                Some(4) => Kind::Counter,
                other => panic!("no such type: {other:?}"),
            },
            name: name(2, 10),
            category: name(1, 3),
            arrows: event.fixed64s(47),
            last_of: event.fixed64s(48),
            value: event.fixed64s(44).first().map(|&bits| f64::from_bits(bits)),
        }
    }

    /// The track of this name.
    pub(crate) fn track(&self, name: &str) -> Option<u64> {
        let mut tracks = self.tracks.iter();
        tracks.find_map(|(&uuid, (own, _))| (own == name).then_some(uuid))
    }

    /// The track around a track.
    pub(crate) fn parent(&self, track: u64) -> Option<u64> {
        self.tracks.get(&track).and_then(|&(_, parent)| parent)
    }

    /// The values of a counter.
    pub(crate) fn counter(&self, name: &str) -> Vec<(u64, f64)> {
        let track = self.track(name).expect("a counter");
        let events = self.events.iter().filter(|event| event.track == track);
        events
            .map(|event| (event.at, event.value.expect("a value")))
            .collect()
    }

    /// All slices and moments.
    ///
    /// # Panics
    ///
    /// If what Perfetto takes for the end of a slice, having sorted the events of a track by time,
    /// is not what was written as its end; so no two overlap, and none is left open.
    pub(crate) fn slices(&self) -> Vec<Slice> {
        let in_file = self.ends(0..self.events.len());
        let mut by_time: Vec<_> = (0..self.events.len()).collect();
        by_time.sort_by_key(|&event| self.events[event].at);
        let by_time = self.ends(by_time);
        let ends = in_file.iter().map(|(begin, &end)| {
            let (meant, taken) = (self.events[end].at, self.events[by_time[begin]].at);
            assert_eq!(meant, taken, "{:?}", self.events[*begin]);
            (begin, end)
        });
        let ends: HashMap<_, _> = ends.collect();
        let slice = |(place, event): (usize, &Event)| {
            let to = match event.kind {
                Kind::Begin => self.events[ends[&place]].at,
                Kind::Instant => event.at,
                Kind::End | Kind::Counter => return None,
            };
            Some(Slice {
                track: event.track,
                from: event.at,
                to,
                name: event.name.clone(),
                category: event.category.clone(),
                arrows: event.arrows.clone(),
                last_of: event.last_of.clone(),
            })
        };
        self.events.iter().enumerate().filter_map(slice).collect()
    }

    /// The end of each beginning, if events come in this order.
    fn ends(&self, order: impl IntoIterator<Item = usize>) -> HashMap<usize, usize> {
        let mut open = HashMap::<u64, Vec<usize>>::new();
        let mut ends = HashMap::new();
        for place in order {
            let event = &self.events[place];
            let open = open.entry(event.track).or_default();
            match event.kind {
                Kind::Begin => open.push(place),
                Kind::End => {
                    let begin = open.pop().expect("an end has a beginning");
                    ends.insert(begin, place);
                }
                Kind::Instant | Kind::Counter => {}
            }
        }
        assert!(open.values().all(Vec::is_empty), "a slice is left open");
        ends
    }
}
