//! The pair of 8259A interrupt controllers of a PC, with their edge/level control registers (Intel
//! 8259A data sheet, order number 231468; ELCR: Intel 82371AB, 4.2.4).

mod controller;

use crate::layout::{ELCR_PORT, PIC_MASTER_PORT, PIC_SLAVE_PORT};
use controller::Controller;

/// The line of the first controller that the second is wired to.
const CASCADE: u8 = 2;

/// Lines that cannot be level-triggered: timer, keyboard, cascade; clock and coprocessor.
const ALWAYS_EDGE: [u8; 2] = [0b0000_0111, 0b0010_0001];

const MASTER_DATA: u16 = PIC_MASTER_PORT + 1;
const SLAVE_DATA: u16 = PIC_SLAVE_PORT + 1;
const SLAVE_ELCR: u16 = ELCR_PORT + 1;

/// The two controllers.
#[derive(Clone, Debug)]
pub struct Pic {
    master: Controller,
    slave: Controller,
}

impl Pic {
    /// The controllers after power-up: everything masked.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            master: Controller::RESET,
            slave: Controller::RESET,
        }
    }

    /// ISA interrupt `line` is driven; those beyond 15 and the cascade's do not exist.
    pub fn set_line(&mut self, line: u8, high: bool) {
        match line {
            CASCADE => {}
            0..8 => self.master.set_line(line, high),
            8..16 => self.slave.set_line(line - 8, high),
            _ => {}
        }
        self.cascade();
    }

    /// Whether the processor is asked for.
    #[must_use]
    pub fn output(&self) -> bool {
        self.master.interrupts()
    }

    /// The processor acknowledges: returns the vector.
    ///
    /// Without a request that is the spurious one, line 7 of the controller that was asked.
    pub fn acknowledge(&mut self) -> u8 {
        let line = self.master.acknowledge();
        if line != CASCADE {
            return self.master.vector(line);
        }
        let line = self.slave.acknowledge();
        // Its output falls, and rises again if it has another interrupt.
        self.master.set_level(CASCADE, false);
        self.cascade();
        self.slave.vector(line)
    }

    /// The guest reads a port.
    pub fn read(&mut self, port: u16) -> u8 {
        let value = match port {
            PIC_MASTER_PORT => self.master.read_command(),
            MASTER_DATA => self.master.read_data(),
            PIC_SLAVE_PORT => self.slave.read_command(),
            SLAVE_DATA => self.slave.read_data(),
            ELCR_PORT => self.master.edge_level(),
            SLAVE_ELCR => self.slave.edge_level(),
            _ => 0xFF,
        };
        // A poll acknowledges.
        self.cascade();
        value
    }

    /// The guest writes a port.
    pub fn write(&mut self, port: u16, value: u8) {
        let [master_edges, slave_edges] = ALWAYS_EDGE;
        match port {
            PIC_MASTER_PORT => self.master.write_command(value),
            MASTER_DATA => self.master.write_data(value),
            PIC_SLAVE_PORT => self.slave.write_command(value),
            SLAVE_DATA => self.slave.write_data(value),
            ELCR_PORT => self.master.set_edge_level(value & !master_edges),
            SLAVE_ELCR => self.slave.set_edge_level(value & !slave_edges),
            _ => {}
        }
        self.cascade();
    }

    /// The second controller's output drives a line of the first.
    fn cascade(&mut self) {
        self.master.set_level(CASCADE, self.slave.interrupts());
    }
}

impl Default for Pic {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
