//! The ports by which a guest resets the machine: the reset control register of Intel's chipsets,
//! the keyboard controller's line to the processor, and system control port A.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_resets_and_nothing_else_does() {
        let reset = Some(PowerRequest::Reset);
        for (port, data, expected) in [
            (RESET_PORT, &[6][..], reset),
            (RESET_PORT, &[2], None),
            (KEYBOARD_COMMAND_PORT, &[0xFE], reset),
            (KEYBOARD_COMMAND_PORT, &[0xAA], None),
            (FAST_RESET_PORT, &[1], reset),
            (FAST_RESET_PORT, &[2], None),
            (RESET_PORT, &[], None),
        ] {
            assert_eq!(write(port, data), expected, "{port:#x} {data:x?}");
        }
    }
}
