//! The ports by which a guest resets the machine: the reset control register of Intel's chipsets,
//! the keyboard controller's line to the processors, and system control port A.

use crate::layout::{FAST_RESET_PORT, KEYBOARD_COMMAND_PORT, RESET_PORT};

/// What a guest asks of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerRequest {
    /// Soft off.
    PowerOff,
    /// A reset.
    Reset,
}

/// Reset control register: the processors are reset as this bit rises.
const RESET_CPU: u8 = 1 << 2;

/// Keyboard controller: pulses output lines, of which line 0 resets.
const PULSE_RESET: u8 = 0xFE;

/// System control port A.
const FAST_RESET: u8 = 1;
const A20: u8 = 1 << 1;

/// The guest writes to a port that may reset.
#[must_use]
pub fn write(port: u16, data: &[u8]) -> Option<PowerRequest> {
    let &value = data.first()?;
    let resets = match port {
        RESET_PORT => value & RESET_CPU != 0,
        KEYBOARD_COMMAND_PORT => value == PULSE_RESET,
        FAST_RESET_PORT => value & FAST_RESET != 0,
        _ => false,
    };
    resets.then_some(PowerRequest::Reset)
}

/// The guest reads from such a port.
///
/// Ones, as of an empty port, would make a guest that sets A20 in what it reads reset, and one that
/// waits until the keyboard controller takes commands or has no more data wait for ever.
#[must_use]
pub const fn read(port: u16) -> u8 {
    if port == FAST_RESET_PORT { A20 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_resets() {
        for (port, value) in [
            (RESET_PORT, 0x06),
            (RESET_PORT, 0x0E),
            (KEYBOARD_COMMAND_PORT, 0xFE),
            (FAST_RESET_PORT, 0x01),
        ] {
            assert_eq!(
                write(port, &[value]),
                Some(PowerRequest::Reset),
                "{port:#x}"
            );
        }
    }

    #[test]
    fn nothing_else_does() {
        for (port, data) in [
            (RESET_PORT, &[0x02][..]),
            (KEYBOARD_COMMAND_PORT, &[0xD1]),
            (KEYBOARD_COMMAND_PORT, &[0xFF]),
            (KEYBOARD_COMMAND_PORT, &[]),
            (0x60, &[0xFE]),
        ] {
            assert_eq!(write(port, data), None, "{port:#x} {data:x?}");
        }
    }

    #[test]
    fn a20_is_on_and_can_be_switched_on() {
        let value = read(FAST_RESET_PORT) | A20;
        assert_eq!(value, A20);
        assert_eq!(write(FAST_RESET_PORT, &[value]), None);
    }

    #[test]
    fn reading_and_writing_back_resets_nothing() {
        // Linux's reboot=pci, up to its first write.
        let value = read(RESET_PORT) & !0x06;
        assert_eq!(write(RESET_PORT, &[value | 0x02]), None);
    }

    #[test]
    fn the_keyboard_controller_takes_commands_and_has_no_data() {
        assert_eq!(read(KEYBOARD_COMMAND_PORT) & 0b11, 0);
    }
}
