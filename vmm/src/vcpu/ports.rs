//! A vCPU's way to the devices, by ports and by memory that is no RAM.

use std::sync::Arc;

use crate::devices::Port;
use crate::layout::{MARKER_PAGE, PAGE_SIZE};
use crate::machine::{Ending, Machine};
use crate::observe::{MarkerPort, Tsc};

/// A vCPU's way to the devices.
pub struct Ports {
    machine: Arc<Machine>,
    marker: MarkerPort,
}

impl Ports {
    /// The way of a vCPU whose marker lines go to `marker`.
    #[must_use]
    pub fn new(machine: Arc<Machine>, marker: MarkerPort) -> Self {
        Self { machine, marker }
    }

    /// The guest reads a port, `width` bytes at a time.
    pub fn read(&self, port: u16, width: usize, data: &mut [u8]) {
        let device = Port::at(port);
        if width == 1 && device.is_stream() {
            return self.read_device(port, data);
        }
        for access in data.chunks_mut(width.max(1)) {
            if device.is_byte_wide() {
                for (port, byte) in ports_from(port).zip(access.chunks_mut(1)) {
                    self.read_device(port, byte);
                }
            } else {
                self.read_device(port, access);
            }
        }
    }

    fn read_device(&self, port: u16, data: &mut [u8]) {
        match Port::at(port) {
            Port::Serial(offset) => {
                self.machine.serial.read(offset, data);
                self.machine.pass_on_serial_interrupt();
            }
            Port::Marker | Port::Empty => data.fill(0xFF),
            Port::Chipset(device) => self.machine.chipset().read(device, port, data, Tsc::now()),
        }
    }

    /// The guest writes a port, `width` bytes at a time.
    pub fn write(&mut self, port: u16, width: usize, data: &[u8]) {
        let device = Port::at(port);
        if width == 1 && device.is_stream() {
            return self.write_device(port, data);
        }
        for access in data.chunks(width.max(1)) {
            if device.is_byte_wide() {
                for (port, byte) in ports_from(port).zip(access.chunks(1)) {
                    self.write_device(port, byte);
                }
            } else {
                self.write_device(port, access);
            }
        }
    }

    fn write_device(&mut self, port: u16, data: &[u8]) {
        match Port::at(port) {
            Port::Serial(offset) => {
                self.machine.serial.write(offset, data);
                self.machine.pass_on_serial_interrupt();
            }
            Port::Marker => self.mark(data),
            Port::Empty => {}
            Port::Chipset(device) => {
                let ending = self.machine.chipset().write(device, port, data, Tsc::now());
                if let Some(ending) = ending {
                    self.machine.end(ending);
                }
            }
        }
    }

    /// The guest reads memory that is no RAM.
    pub fn read_memory(&self, address: u64, data: &mut [u8]) {
        self.machine.chipset().read_memory(address, data);
    }

    /// The guest writes memory that is no RAM.
    pub fn write_memory(&mut self, address: u64, data: &[u8]) {
        if address - address % PAGE_SIZE == MARKER_PAGE {
            return self.mark(data);
        }
        self.machine
            .chipset()
            .write_memory(address, data, Tsc::now());
    }

    fn mark(&mut self, data: &[u8]) {
        if let Some(status) = self.marker.write(data) {
            self.machine.end(Ending::Guest(status));
        }
    }

    /// The vector of the 8259's interrupt, which the processor acknowledges.
    #[must_use]
    pub fn acknowledge_pic(&self) -> u8 {
        self.machine.chipset().acknowledge_pic()
    }
}

/// The ports of an access, byte by byte.
fn ports_from(first: u16) -> impl Iterator<Item = u16> {
    (0..).map(move |offset| first.wrapping_add(offset))
}
