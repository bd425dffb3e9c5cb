//! The guest's marker lines in a trace, with what every vCPU had counted.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use serde::{Deserialize, Serialize};

use crate::observe::{Malformed, MarkerLine, Snapshot, Tsc};

/// Most lines that wait for the writer; one more holds up the vCPU that writes it.
const MOST_WAITING: usize = 64;

/// A marker line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The stamp of its newline.
    pub at: u64,
    /// The line; none was no marker.
    pub line: Option<String>,
    /// For each vCPU the counters that were not zero then, by place; empty unless the line begins
    /// or ends a phase.
    pub counters: Vec<Vec<(usize, u64)>>,
}

impl Mark {
    /// A line read at `at`, when the vCPUs had counted this.
    #[must_use]
    pub fn new(line: &Result<MarkerLine, Malformed>, at: Tsc, counted: &[Snapshot]) -> Self {
        let cells = |snapshot: &Snapshot| snapshot.nonzero().collect();
        Self {
            at: at.0,
            line: line.as_ref().ok().map(|line| line.text.clone()),
            counters: counted.iter().map(cells).collect(),
        }
    }

    /// The line, when it was read, and what the vCPUs had counted.
    pub fn parts(&self) -> (Result<MarkerLine, Malformed>, Tsc, Vec<Snapshot>) {
        let line = self.line.as_ref().ok_or(Malformed);
        let line = line.and_then(|line| MarkerLine::parse(line.as_bytes()));
        let snapshot = |cells: &Vec<_>| Snapshot::from_nonzero(cells.iter().copied());
        let counted = self.counters.iter().map(snapshot).collect();
        (line, Tsc(self.at), counted)
    }
}

/// The end at which lines are left for the writer; never one that is dropped.
#[derive(Clone, Debug)]
pub struct MarkSender(SyncSender<Mark>);

impl MarkSender {
    /// Both ends.
    #[must_use]
    pub fn channel() -> (Self, Receiver<Mark>) {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        (Self(sender), receiver)
    }

    /// Leaves a line for the writer.
    pub fn send(&self, mark: Mark) {
        // A writer that is gone has said why.
        let _ = self.0.send(mark);
    }
}
