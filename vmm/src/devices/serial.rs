//! The serial port: vm-superio's 16550 behind a lock, its output on a stream of the host.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};

/// Where the guest's console goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Console {
    /// Standard output.
    Stdout,
    /// Standard error, when standard output carries a report for a program.
    Stderr,
    /// Nowhere, for machines of which nobody reads it.
    Nowhere,
}

impl Write for Console {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A reader that went away must not end the guest.
        let _ = match self {
            Self::Stdout => io::stdout().write_all(bytes),
            Self::Stderr => io::stderr().write_all(bytes),
            Self::Nowhere => Ok(()),
        };
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = match self {
            Self::Stdout => io::stdout().flush(),
            Self::Stderr => io::stderr().flush(),
            Self::Nowhere => Ok(()),
        };
        Ok(())
    }
}

/// The interrupt that the port asks for until someone passes it on.
#[derive(Clone, Debug, Default)]
struct Request(Arc<AtomicBool>);

impl Trigger for Request {
    type E = Infallible;

    fn trigger(&self) -> Result<(), Infallible> {
        self.0.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// The serial port at 0x3F8, shared by all vCPUs.
///
/// Its lock is its own: printing may block, and the other devices must not wait for it.
pub struct SerialPort {
    port: Mutex<Serial<Request, NoEvents, Console>>,
    request: Request,
}

impl SerialPort {
    /// A port that prints to `console`.
    #[must_use]
    pub fn new(console: Console) -> Self {
        let request = Request::default();
        Self {
            port: Mutex::new(Serial::new(request.clone(), console)),
            request,
        }
    }

    /// The guest writes `data`, byte by byte, to the register at `offset`.
    pub fn write(&self, offset: u8, data: &[u8]) {
        let mut serial = self.lock();
        for &byte in data {
            // Only the trigger and the console can fail, and neither does.
            let _ = serial.write(offset, byte);
        }
    }

    /// The guest reads `data`, byte by byte, from the register at `offset`.
    pub fn read(&self, offset: u8, data: &mut [u8]) {
        let mut serial = self.lock();
        data.fill_with(|| serial.read(offset));
    }

    /// Bytes that the guest's receiver can still take.
    #[must_use]
    pub fn room(&self) -> usize {
        self.lock().fifo_capacity()
    }

    /// Whether the port has asked for an interrupt since this was last called.
    #[must_use]
    pub fn take_interrupt(&self) -> bool {
        self.request.0.load(Ordering::Relaxed) && self.request.0.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Serial<Request, NoEvents, Console>> {
        self.port.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Input for the guest; what does not fit into the receiver is dropped.
    pub fn receive(&self, bytes: &[u8]) {
        let mut serial = self.lock();
        let _ = serial.enqueue_raw_bytes(bytes);
    }
}

impl fmt::Debug for SerialPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SerialPort")
    }
}
