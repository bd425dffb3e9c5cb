//! The threads of the vCPUs as other threads know them: whom to wake, and how.

use std::sync::OnceLock;
use std::thread::Thread;

use crate::observe::Kick;
use crate::vcpu::{Presence, ThreadId};

/// One vCPU's.
#[derive(Debug, Default)]
struct Seat {
    presence: Presence,
    thread: OnceLock<(Thread, ThreadId)>,
}

/// A seat for each vCPU.
#[derive(Debug)]
pub struct Seats(Box<[Seat]>);

impl Seats {
    /// Empty seats for `vcpus` threads.
    #[must_use]
    pub fn new(vcpus: usize) -> Self {
        Self((0..vcpus).map(|_| Seat::default()).collect())
    }

    /// The calling thread runs vCPU `index` from now on and can be kicked; it says where it is
    /// with the word that is returned.
    ///
    /// # Panics
    ///
    /// If the machine has no such vCPU.
    pub fn take(&self, index: usize) -> &Presence {
        let seat = &self.0[index];
        seat.thread
            .get_or_init(|| (std::thread::current(), ThreadId::current()));
        &seat.presence
    }

    /// Makes vCPU `index` look at its mailbox, its timer, its lines, and whether the machine stops.
    #[inline]
    pub fn kick(&self, index: usize) -> Kick {
        let Some(seat) = self.0.get(index) else {
            return Kick::None;
        };
        let kick = seat.presence.kick();
        // A thread goes nowhere before it has taken its seat.
        if let Some((thread, id)) = seat.thread.get() {
            match kick {
                Kick::None => {}
                Kick::Unpark => thread.unpark(),
                Kick::Signal => id.kick(),
            }
        }
        kick
    }

    /// Kicks every vCPU.
    pub fn kick_all(&self) {
        for index in 0..self.0.len() {
            self.kick(index);
        }
    }
}
