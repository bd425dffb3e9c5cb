//! The serial port: vm-superio's 16550 behind a lock, its output on a stream of the host.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fmt, io, mem};

use vm_superio::serial::NoEvents;
use vm_superio::{Serial, Trigger};
use vmm_sys_util::eventfd::{EFD_NONBLOCK, EventFd};

use super::console::{Console, Printer};

/// Bytes of input that wait for the guest, as many as a 16750's receiver holds.
const INPUT: usize = 64;

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

/// The port's registers, and what is on its way to them.
struct Registers {
    /// Prints into memory, so that no one waits for the host with the lock held.
    uart: Serial<Request, NoEvents, Vec<u8>>,
    /// What `uart` says of its receiver when that is empty.
    empty: usize,
    input: VecDeque<u8>,
    /// Whoever has input waits for room.
    awaited: bool,
}

impl Registers {
    /// Moves input to the receiver, one byte at a time: it asks for an interrupt as a byte comes, and
    /// not again for those that are left when one has been read.
    fn feed(&mut self) {
        if self.uart.fifo_capacity() == self.empty
            && let Some(&byte) = self.input.front()
            // In loopback mode it takes nothing.
            && matches!(self.uart.enqueue_raw_bytes(&[byte]), Ok(1))
        {
            self.input.pop_front();
        }
    }
}

/// The serial port at 0x3F8, shared by all vCPUs.
///
/// Its lock is its own and never held for long; printing, which may take long, has another.
pub struct SerialPort {
    registers: Mutex<Registers>,
    printer: Mutex<Printer>,
    request: Request,
    drained: EventFd,
}

impl SerialPort {
    /// A port that prints to `console`, in a run that has ended once `ended` is readable.
    ///
    /// # Errors
    ///
    /// No file descriptor could be had.
    pub fn new(console: Console, ended: &EventFd) -> io::Result<Self> {
        let request = Request::default();
        let uart = Serial::new(request.clone(), Vec::new());
        Ok(Self {
            registers: Mutex::new(Registers {
                empty: uart.fifo_capacity(),
                uart,
                input: VecDeque::with_capacity(INPUT),
                awaited: false,
            }),
            printer: Mutex::new(Printer::new(console, ended)?),
            request,
            drained: EventFd::new(EFD_NONBLOCK)?,
        })
    }

    /// The guest writes `data`, byte by byte, to the register at `offset`. What it prints has been
    /// printed when this returns.
    pub fn write(&self, offset: u8, data: &[u8]) {
        let mut registers = self.lock();
        for &byte in data {
            // Neither the trigger nor memory fails.
            let _ = registers.uart.write(offset, byte);
        }
        registers.feed();
        let printed = mem::take(registers.uart.writer_mut());
        drop(registers);
        if !printed.is_empty() {
            self.printer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .print(&printed);
        }
    }

    /// The guest reads `data`, byte by byte, from the register at `offset`.
    pub fn read(&self, offset: u8, data: &mut [u8]) {
        let mut registers = self.lock();
        data.fill_with(|| {
            let value = registers.uart.read(offset);
            registers.feed();
            value
        });
        if registers.awaited && registers.input.is_empty() {
            registers.awaited = false;
            // Fails only when the counter is full, and then the reader is awake anyway.
            let _ = self.drained.write(1);
        }
    }

    /// Bytes of input that there is room for. If there is none, [`Self::drained`] will say when.
    #[must_use]
    pub fn room(&self) -> usize {
        let mut registers = self.lock();
        let room = INPUT.saturating_sub(registers.input.len());
        registers.awaited = room == 0;
        room
    }

    /// Readable once there is room again after [`Self::room`] found none.
    #[must_use]
    pub const fn drained(&self) -> &EventFd {
        &self.drained
    }

    /// Input for the guest, as much as there is room for.
    pub fn receive(&self, bytes: &[u8]) {
        let mut registers = self.lock();
        let room = INPUT.saturating_sub(registers.input.len());
        registers.input.extend(bytes.iter().take(room));
        registers.feed();
    }

    /// Whether the port has asked for an interrupt since this was last called.
    #[must_use]
    pub fn take_interrupt(&self) -> bool {
        self.request.0.load(Ordering::Relaxed) && self.request.0.swap(false, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Registers> {
        self.registers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SerialPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SerialPort")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: u8 = 0;
    const INTERRUPT_ENABLE: u8 = 1;
    const INTERRUPT_ID: u8 = 2;
    const LINE_STATUS: u8 = 5;

    const RECEIVED: u8 = 1;
    /// Interrupt identification, bits 3:0.
    const DATA_AVAILABLE: u8 = 0b0100;
    const NONE: u8 = 0b0001;

    fn port() -> SerialPort {
        let ended = EventFd::new(EFD_NONBLOCK).unwrap();
        SerialPort::new(Console::Nowhere, &ended).unwrap()
    }

    fn read(port: &SerialPort, offset: u8) -> u8 {
        let mut data = [0];
        port.read(offset, &mut data);
        data[0]
    }

    #[test]
    fn each_byte_asks_for_an_interrupt_until_the_last_is_read() {
        let port = port();
        port.write(INTERRUPT_ENABLE, &[RECEIVED]);
        port.receive(b"abc");
        for byte in *b"abc" {
            assert!(port.take_interrupt(), "before {byte}");
            assert_eq!(read(&port, INTERRUPT_ID) & 0xF, DATA_AVAILABLE);
            assert_eq!(read(&port, LINE_STATUS) & RECEIVED, RECEIVED);
            assert_eq!(read(&port, DATA), byte);
        }
        assert!(!port.take_interrupt());
        assert_eq!(read(&port, INTERRUPT_ID) & 0xF, NONE);
        assert_eq!(read(&port, LINE_STATUS) & RECEIVED, 0);
    }

    #[test]
    fn room_that_is_waited_for_is_told_of_once() {
        let port = port();
        assert_eq!(port.room(), INPUT);
        // One is in the receiver.
        port.receive(&[0; INPUT]);
        assert_eq!(port.room(), 1);
        port.receive(&[1]);
        assert_eq!(port.room(), 0);
        for _ in 0..INPUT {
            assert!(port.drained().read().is_err(), "not yet");
            assert_eq!(read(&port, DATA), 0);
        }
        assert_eq!(port.drained().read().ok(), Some(1));
        assert_eq!(port.room(), INPUT);
        assert_eq!(read(&port, DATA), 1);
        assert!(port.drained().read().is_err(), "no one waits any more");
    }
}
