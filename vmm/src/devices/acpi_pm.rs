//! ACPI's fixed power-management registers, as far as a machine without buttons or sleep has them
//! (ACPI 6.5, 4.8.3.1 and 4.8.3.2). The system control interrupt is never raised.

use super::power::PowerRequest;
use crate::layout::{PM1_EVENT_PORT, S5_SLEEP_TYPE};

/// Bytes of the two blocks: status, enable, control.
const SIZE: usize = 6;

/// Bits that keep what is written. No event has its status set. Of control: bus-master reload and
/// SLP_TYP; SLP_EN and GBL_RLS always read 0.
const KEPT: [u8; SIZE] = [0, 0, 0x21, 0x07, 0x02, 0x1C];

/// The machine is in ACPI mode, always (control bit 0).
const SCI_EN: [u8; SIZE] = [0, 0, 0, 0, 1, 0];

/// The byte of control with SLP_TYP and SLP_EN.
const SLEEP: usize = 5;
const SLP_EN: u8 = 1 << 5;

/// The PM1a event and control blocks.
#[derive(Clone, Copy, Debug)]
pub struct AcpiPm {
    registers: [u8; SIZE],
}

impl AcpiPm {
    /// The registers after power-up.
    #[must_use]
    pub const fn new() -> Self {
        Self { registers: SCI_EN }
    }

    /// The guest reads from a port of the blocks; what lies beyond them is 0.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        for (place, byte) in places(port).zip(data) {
            *byte = self.registers.get(place).copied().unwrap_or(0);
        }
    }

    /// The guest writes to a port of the blocks; returns what that asks for.
    pub fn write(&mut self, port: u16, data: &[u8]) -> Option<PowerRequest> {
        let mut request = None;
        for (place, &value) in places(port).zip(data) {
            let rules = KEPT.get(place).zip(SCI_EN.get(place));
            if let (Some(register), Some((kept, fixed))) = (self.registers.get_mut(place), rules) {
                *register = value & kept | fixed;
            }
            if place == SLEEP && value & SLP_EN != 0 && value >> 2 & 7 == S5_SLEEP_TYPE {
                request = Some(PowerRequest::PowerOff);
            }
        }
        request
    }
}

impl Default for AcpiPm {
    fn default() -> Self {
        Self::new()
    }
}

/// The bytes of the blocks from a port on; of ports below them, none.
fn places(port: u16) -> impl Iterator<Item = usize> {
    usize::from(port.wrapping_sub(PM1_EVENT_PORT))..
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::PM1_CONTROL_PORT;

    const OFF: u8 = SLP_EN | S5_SLEEP_TYPE << 2;

    fn registers(pm: &AcpiPm) -> [u8; SIZE] {
        let mut data = [0xAA; SIZE];
        pm.read(PM1_EVENT_PORT, &mut data);
        data
    }

    #[test]
    fn soft_off_by_a_word_or_its_high_byte() {
        let mut pm = AcpiPm::new();
        let off = Some(PowerRequest::PowerOff);
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, OFF]), off);
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, OFF, 0, 0]), off);
        assert_eq!(pm.write(PM1_CONTROL_PORT + 1, &[OFF]), off);
    }

    #[test]
    fn no_other_sleep_and_none_before_it_is_enabled() {
        let mut pm = AcpiPm::new();
        for sleep_type in (0..8).filter(|&it| it != S5_SLEEP_TYPE) {
            let value = SLP_EN | sleep_type << 2;
            assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, value]), None);
        }
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[0, OFF & !SLP_EN]), None);
        assert_eq!(pm.write(PM1_CONTROL_PORT, &[OFF]), None);
        assert_eq!(pm.write(PM1_EVENT_PORT + 1, &[OFF]), None);
    }

    #[test]
    fn acpi_mode_cannot_be_left() {
        let mut pm = AcpiPm::new();
        assert_eq!(registers(&pm), [0, 0, 0, 0, 1, 0]);
        pm.write(PM1_CONTROL_PORT, &[0, 0]);
        assert_eq!(registers(&pm), [0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn events_can_be_enabled_and_never_happen() {
        let mut pm = AcpiPm::new();
        pm.write(PM1_EVENT_PORT, &[0xFF, 0xFF, 0x20, 0x01]);
        assert_eq!(registers(&pm), [0, 0, 0x20, 0x01, 1, 0]);
    }

    #[test]
    fn what_can_be_written_of_control_is_read_back() {
        let mut pm = AcpiPm::new();
        pm.write(PM1_CONTROL_PORT, &[0xFE, 0xDF]);
        assert_eq!(registers(&pm), [0, 0, 0, 0, 0x03, 0x1C]);
    }

    #[test]
    fn accesses_of_any_place_and_width_are_harmless() {
        let mut pm = AcpiPm::new();
        for port in [0, PM1_EVENT_PORT - 1, PM1_CONTROL_PORT + 1, u16::MAX] {
            for width in 0..9 {
                let mut data = vec![0; width];
                assert_eq!(pm.write(port, &data), None);
                pm.read(port, &mut data);
            }
        }
    }
}
