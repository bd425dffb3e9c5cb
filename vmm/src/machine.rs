//! What all threads of a running VM share: who to wake, the devices, and how the run ended.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread::Thread;

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::devices::{Console, SerialPort};
use crate::observe::Kick;
use crate::vcpu::{Fatal, Presence, ThreadId};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest ended it with this code; 0 means that it is content.
    Guest(u32),
    /// The user, or a supervisor, asked for it.
    Interrupted,
    /// A vCPU could not go on.
    Failed {
        /// The vCPU's number.
        vcpu: usize,
        /// Where its guest was.
        position: Position,
        /// Why.
        fatal: Fatal,
    },
    /// The host failed us.
    Host(String),
}

/// Where a guest was when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its instruction pointer.
    pub rip: u64,
    /// What its processor's control registers say it was executing.
    pub mode: &'static str,
}

/// One vCPU as the other threads know it.
#[derive(Debug, Default)]
struct Seat {
    presence: Presence,
    thread: OnceLock<(Thread, ThreadId)>,
}

/// The shared part of a VM.
#[derive(Debug)]
pub struct Machine {
    seats: Box<[Seat]>,
    /// The serial port.
    pub serial: SerialPort,
    stopping: AtomicBool,
    ending: Mutex<Option<Ending>>,
    ended: EventFd,
}

impl Machine {
    /// The shared part of a VM with `vcpus` processors.
    ///
    /// # Errors
    ///
    /// No event file descriptor could be had.
    pub fn new(vcpus: usize, console: Console) -> io::Result<Self> {
        Ok(Self {
            seats: (0..vcpus).map(|_| Seat::default()).collect(),
            serial: SerialPort::new(console),
            stopping: AtomicBool::new(false),
            ending: Mutex::new(None),
            ended: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    /// The calling thread runs vCPU `index` from now on and can be kicked; it says where it is
    /// with the word that is returned.
    ///
    /// # Panics
    ///
    /// If the machine has no such vCPU.
    pub fn take_seat(&self, index: usize) -> &Presence {
        let seat = &self.seats[index];
        seat.thread
            .get_or_init(|| (std::thread::current(), ThreadId::current()));
        &seat.presence
    }

    /// Makes vCPU `index` look at its mailbox, its timer and [`Self::is_stopping`].
    #[inline]
    pub fn kick(&self, index: usize) -> Kick {
        let Some(seat) = self.seats.get(index) else {
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

    /// Ends the run; the first reason given counts.
    pub fn end(&self, ending: Ending) {
        self.ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(ending);
        self.stopping.store(true, Ordering::Release);
        for index in 0..self.seats.len() {
            self.kick(index);
        }
        // Fails only when the counter is full, and then the reader is awake anyway.
        let _ = self.ended.write(1);
    }

    /// Whether the vCPU threads must end.
    #[inline]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Readable once the run has ended.
    #[must_use]
    pub const fn ended(&self) -> &EventFd {
        &self.ended
    }

    /// How the run ended, once all threads have.
    #[must_use]
    pub fn ending(&self) -> Option<Ending> {
        self.ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
