//! ACPI's fixed power-management registers, as far as a machine without buttons or sleep has them
//! (ACPI 6.5, 4.8.3.1 and 4.8.3.2). The system control interrupt is never raised.

use super::power::PowerRequest;
use crate::layout::{PM1_CONTROL_PORT, PM1_EVENT_PORT, S5_SLEEP_TYPE};

/// The machine is in ACPI mode, always.
const SCI_EN: u16 = 1;
const SLP_EN: u16 = 1 << 13;
/// Bits that software can set: SCI_EN is not among them, and SLP_EN always reads 0.
const KEPT: u16 = 0x1C02;

/// The PM1a event and control blocks.
#[derive(Clone, Copy, Debug)]
pub struct AcpiPm {
    enable: u16,
    control: u16,
}

impl AcpiPm {
    /// The registers after power-up.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            enable: 0,
            control: 0,
        }
    }

    /// The guest reads from a port of the blocks.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        let [enable_low, enable_high] = self.enable.to_le_bytes();
        let [control_low, control_high] = (self.control | SCI_EN).to_le_bytes();
        for (port, byte) in (port..).zip(data) {
            *byte = match port.wrapping_sub(PM1_EVENT_PORT) {
                2 => enable_low,
                3 => enable_high,
                4 => control_low,
                5 => control_high,
                // No event ever has its status set.
                _ => 0,
            };
        }
    }

    /// The guest writes to a port of the blocks; returns what that asks for.
    pub fn write(&mut self, port: u16, data: &[u8]) -> Option<PowerRequest> {
        let &[low, ref high @ ..] = data else {
            return None;
        };
        let value = u16::from_le_bytes([low, high.first().copied().unwrap_or(0)]);
        if port == PM1_EVENT_PORT + 2 {
            self.enable = value;
        }
        if port != PM1_CONTROL_PORT {
            return None;
        }
        self.control = value & KEPT;
        let sleep_type = (value >> 10 & 7).to_le_bytes()[0];
        (value & SLP_EN != 0 && sleep_type == S5_SLEEP_TYPE).then_some(PowerRequest::PowerOff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_off_is_the_only_sleep() {
        let mut pm = AcpiPm::new();
        assert_eq!(
            pm.write(PM1_CONTROL_PORT, &[0, 0x20]),
            Some(PowerRequest::PowerOff)
        );
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, 0x34]), None);
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, 0]), None);
    }

    #[test]
    fn the_registers_read_as_a_machine_in_acpi_mode() {
        let mut pm = AcpiPm::new();
        pm.write(PM1_EVENT_PORT, &[0xFF, 0xFF]);
        pm.write(PM1_EVENT_PORT + 2, &[0x20, 0x01]);
        let mut data = [0xAA; 6];
        pm.read(PM1_EVENT_PORT, &mut data);
        assert_eq!(data, [0, 0, 0x20, 0x01, 1, 0]);
    }

    #[test]
    fn odd_accesses_are_harmless() {
        let mut pm = AcpiPm::new();
        for port in PM1_EVENT_PORT..PM1_CONTROL_PORT + 2 {
            for length in 0..9 {
                let mut data = vec![0; length];
                assert_eq!(pm.write(port, &data), None);
                pm.read(port, &mut data);
            }
        }
    }
}
