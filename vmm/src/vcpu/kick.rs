//! The word that decides what it takes to make a vCPU thread look at its mailbox.
//!
//! # Protocol
//!
//! A poster first leaves its message in the mailbox, then calls [`Presence::kick`] and does what it
//! is told: nothing, unpark the thread, or signal it. The owner announces where it is about to go
//! with [`Presence::enter`], which fails if a kick has come since it last looked, and calls
//! [`Presence::leave`] when it is back, before it looks again.
//!
//! Every step is a read-modify-write of one word, so all steps of all threads have one order. A
//! kick that comes before the owner's `enter` makes it fail; one that comes after sees where the
//! owner went and calls it back. There is no third case, hence no lost wake-up and no fence.
//!
//! The signal may arrive between a successful `enter` and the `KVM_RUN` that follows: its handler
//! sets `immediate_exit`, which that `KVM_RUN` honours (see `signal.rs`).

#[cfg(not(loom))]
use std::sync::atomic::{AtomicU32, Ordering};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU32, Ordering};

use crate::observe::{Kick, Rest};

/// Where a vCPU thread can be that it must be called back from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Place {
    /// In `KVM_RUN`.
    Guest = 1,
    /// Asleep in the guest's HLT.
    Parked = 2,
    /// Asleep until a start-up IPI.
    WaitingForStartUp = 3,
}

impl From<Place> for Rest {
    fn from(place: Place) -> Self {
        match place {
            Place::Guest | Place::Parked => Self::Halted,
            Place::WaitingForStartUp => Self::WaitingForStartUp,
        }
    }
}

/// Where one vCPU thread is, and whether it has been kicked since it last looked.
#[derive(Debug)]
#[repr(align(128))]
pub struct Presence(AtomicU32);

/// The owner is handling an exit and will look before it goes anywhere.
const OUTSIDE: u32 = 0;
const KICKED: u32 = 4;

impl Presence {
    /// A thread that is outside the guest.
    #[must_use]
    pub fn new() -> Self {
        Self(AtomicU32::new(OUTSIDE))
    }

    /// Any thread: makes the owner look at its mailbox, and says what the caller must do for it.
    ///
    /// Sticky, and idempotent until the owner is back: only the first kick has something to do.
    #[must_use]
    pub fn kick(&self) -> Kick {
        match self.0.fetch_or(KICKED, Ordering::AcqRel) {
            place if place == Place::Guest as u32 => Kick::Signal,
            place if place == Place::Parked as u32 => Kick::Unpark,
            place if place == Place::WaitingForStartUp as u32 => Kick::Unpark,
            _ => Kick::None,
        }
    }

    /// The owner: goes to `place`, unless a kick has come since the last [`Self::leave`].
    #[must_use]
    pub fn enter(&self, place: Place) -> bool {
        let entered =
            self.0
                .compare_exchange(OUTSIDE, place as u32, Ordering::AcqRel, Ordering::Relaxed);
        entered.is_ok()
    }

    /// The owner: is back, and will look at its mailbox after this call; whether it was kicked.
    pub fn leave(&self) -> bool {
        self.0.swap(OUTSIDE, Ordering::AcqRel) & KICKED != 0
    }

    /// Whether a kick has come since the last [`Self::leave`].
    #[must_use]
    pub fn is_kicked(&self) -> bool {
        self.0.load(Ordering::Acquire) & KICKED != 0
    }

    /// The owner: sleeps at `place` until kicked; `park` sleeps once and may return early.
    pub fn sleep(&self, place: Place, mut park: impl FnMut()) {
        if self.enter(place) {
            while !self.is_kicked() {
                park();
            }
        }
        self.leave();
    }
}

impl Default for Presence {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, loom))]
mod model;
