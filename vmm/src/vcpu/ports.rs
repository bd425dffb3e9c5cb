//! Port I/O of one vCPU.

use std::sync::Arc;

use crate::devices::Port;
use crate::machine::{Ending, Machine};
use crate::observe::MarkerPort;

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

    /// The guest reads a port.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        match Port::at(port) {
            Port::Serial(offset) => self.machine.serial.read(offset, data),
            Port::Marker | Port::Empty => data.fill(0xFF),
        }
    }

    /// The guest writes a port.
    pub fn write(&mut self, port: u16, data: &[u8]) {
        match Port::at(port) {
            Port::Serial(offset) => self.machine.serial.write(offset, data),
            Port::Marker => {
                if let Some(status) = self.marker.write(data) {
                    self.machine.end(Ending::Guest(status));
                }
            }
            Port::Empty => {}
        }
    }
}
