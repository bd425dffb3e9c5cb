//! The events of all threads of a trace in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Origin;
use super::reader::{Events, Trace, TraceError};
use super::record::Stamped;

/// The events of all threads; see [`Trace::merged`].
pub struct Merged<'a> {
    streams: Vec<(Origin, Events<'a>)>,
    /// The next event of each stream, by the stamp it is sorted under.
    next: BinaryHeap<Reverse<Next>>,
    failed: Option<TraceError>,
}

/// An event that waits for its turn, sorted by stamp and then by stream.
struct Next {
    at: u64,
    stream: usize,
    stamped: Stamped,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.stream) == (other.at, other.stream)
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.stream).cmp(&(other.at, other.stream))
    }
}

impl<'a> Merged<'a> {
    pub(super) fn new(trace: &'a Trace) -> Self {
        let mut streams: Vec<_> = trace
            .origins()
            .map(|origin| (origin, trace.events(origin)))
            .collect();
        let mut next = BinaryHeap::new();
        let mut failed = None;
        for (stream, (_, events)) in streams.iter_mut().enumerate() {
            Self::advance(events, stream, 0, &mut next, &mut failed);
        }
        Self {
            streams,
            next,
            failed,
        }
    }

    /// Takes the next event of a stream, which is sorted no earlier than the one before it.
    fn advance(
        events: &mut Events<'_>,
        stream: usize,
        earliest: u64,
        next: &mut BinaryHeap<Reverse<Next>>,
        failed: &mut Option<TraceError>,
    ) {
        match events.next() {
            Some(Ok(stamped)) => next.push(Reverse(Next {
                at: stamped.at.0.max(earliest),
                stream,
                stamped,
            })),
            Some(Err(error)) => *failed = Some(error),
            None => {}
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<(Origin, Stamped), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.next.clear();
            return Some(Err(error));
        }
        let Reverse(Next {
            at,
            stream,
            stamped,
        }) = self.next.pop()?;
        let (origin, events) = &mut self.streams[stream];
        Self::advance(events, stream, at, &mut self.next, &mut self.failed);
        Some(Ok((*origin, stamped)))
    }
}
