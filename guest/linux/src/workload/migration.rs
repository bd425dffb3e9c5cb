//! Thread migration: running threads are moved to other processors.
//!
//! Each sharer moves to the processor of the next; the last one to a processor that is idle, or, if
//! none is, to that of the first. `sched_setaffinity` returns when the thread has been moved.

use anyhow::{Context, Result};

use super::{Operation, Place};
use crate::affinity;
use crate::sharers::Sharers;

/// One step of every sharer.
pub(super) struct Migration {
    sharers: Sharers,
    /// The processors that the sharers go round.
    cpus: Vec<usize>,
    /// How many steps were made: sharer `i` is on processor `i + steps` of those.
    steps: usize,
}

impl Migration {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let mut cpus = place.sharers.clone();
        // A single sharer with no idle processor shares the one that acts.
        let spare = place
            .idle
            .first()
            .or((cpus.len() == 1).then_some(&place.own));
        cpus.extend(spare);
        Ok(Self {
            sharers: Sharers::start(&place.sharers, false)?,
            cpus,
            steps: 0,
        })
    }

    fn cpu(&self, sharer: usize) -> usize {
        self.cpus[(sharer + self.steps) % self.cpus.len()]
    }
}

impl Operation for Migration {
    fn prepare(&mut self) -> Result<()> {
        for sharer in 0..self.sharers.count() {
            self.sharers.wait_for(sharer, self.cpu(sharer));
        }
        self.steps += 1;
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        // The last one first: it goes to the idle processor and leaves its own to the one before.
        for (sharer, thread) in self.sharers.threads().enumerate().rev() {
            affinity::pin(thread, self.cpu(sharer)).context("a thread does not move")?;
        }
        Ok(())
    }
}
