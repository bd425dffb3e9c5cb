//! The machine's ports. Memory-mapped devices there are none but the APIC.

mod serial;
mod stub;
pub use stub::*;

pub use serial::{Console, SerialPort};

use crate::layout::{MARKER_PORT, SERIAL_PORT};

/// Registers of a 16550.
const SERIAL_PORTS: u16 = 8;

/// The device behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The serial port's register with this offset.
    Serial(u8),
    /// The guest's marker lines.
    Marker,
    /// A device of the chipset.
    Chipset(Device),
    /// Nothing: reads as all ones, writes are dropped.
    Empty,
}

impl Port {
    /// The device at a port number.
    #[must_use]
    pub fn at(port: u16) -> Self {
        match port.checked_sub(SERIAL_PORT) {
            Some(offset) if offset < SERIAL_PORTS => Self::Serial(offset.to_le_bytes()[0]),
            _ if port == MARKER_PORT => Self::Marker,
            _ => Self::Empty,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_their_devices() {
        for (port, device) in [
            (0x3F7, Port::Empty),
            (0x3F8, Port::Serial(0)),
            (0x3FF, Port::Serial(7)),
            (0x400, Port::Empty),
            (0x700, Port::Marker),
            (0, Port::Empty),
            (0xFFFF, Port::Empty),
        ] {
            assert_eq!(Port::at(port), device, "{port:#x}");
        }
    }
}
