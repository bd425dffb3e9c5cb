//! What all threads of a running VM share: who to wake, the devices, and how the run ended.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use crate::chipset::{Chipset, Intr};
use crate::devices::{Console, SerialPort};
use crate::observe::Tsc;
use crate::seats::Seats;
use crate::vcpu::Fatal;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The guest ended it with this code; 0 means that it is content.
    Guest(u32),
    /// The guest switched the machine off.
    PowerOff,
    /// The guest reset the machine.
    Reset,
    /// The guest wrote to the debug-exit port, which asks for this exit code.
    DebugExit(u32),
    /// It took longer than it was given.
    TimedOut,
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
    /// Width of its code: 16, 32 or 64.
    pub bits: u32,
    /// Guest-physical address of the instruction, if its linear address has one.
    pub code: Option<u64>,
}

/// The shared part of a VM.
#[derive(Debug)]
pub struct Machine {
    seats: Arc<Seats>,
    /// The serial port.
    pub serial: SerialPort,
    chipset: Mutex<Chipset>,
    intr: Arc<Intr>,
    stopping: AtomicBool,
    ending: Mutex<Option<Ending>>,
    ended: EventFd,
}

impl Machine {
    /// The shared part of a VM.
    ///
    /// # Errors
    ///
    /// A file descriptor could not be had.
    pub fn new(
        seats: Arc<Seats>,
        console: Console,
        chipset: Chipset,
        intr: Arc<Intr>,
    ) -> io::Result<Self> {
        let ended = EventFd::new(EFD_NONBLOCK)?;
        Ok(Self {
            seats,
            serial: SerialPort::new(console, &ended)?,
            chipset: Mutex::new(chipset),
            intr,
            stopping: AtomicBool::new(false),
            ending: Mutex::new(None),
            ended,
        })
    }

    /// The threads of the vCPUs.
    #[must_use]
    pub fn seats(&self) -> &Seats {
        &self.seats
    }

    /// The devices, for as long as the answer is held.
    ///
    /// They are never on the way of an IPI. A message that they send may lock the map of identities,
    /// to read a new one; nothing that has that lock asks for this one.
    pub fn chipset(&self) -> MutexGuard<'_, Chipset> {
        self.chipset.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The 8259's output.
    #[must_use]
    pub fn intr(&self) -> &Intr {
        &self.intr
    }

    /// The serial port may ask for an interrupt after each access and each input.
    pub fn pass_on_serial_interrupt(&self) {
        if self.serial.take_interrupt() {
            self.chipset().serial_interrupt(Tsc::now());
        }
    }

    /// Ends the run; the first reason given counts.
    pub fn end(&self, ending: Ending) {
        self.ending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(ending);
        self.stopping.store(true, Ordering::Release);
        self.seats.kick_all();
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
