//! Port output.

#![expect(unsafe_code, reason = "port I/O")]

use core::arch::asm;

/// Serial port: text for people.
pub(crate) const SERIAL: u16 = 0x3F8;

/// Marker port: lines for the VMM.
pub(crate) const MARKER: u16 = 0x700;

/// Writes bytes to a port, all by one instruction.
pub(crate) fn write(port: u16, bytes: &[u8]) {
    // SAFETY: both ports take any byte and change nothing in this machine's memory; the
    // instruction reads the slice and nothing else.
    unsafe {
        asm!(
            "rep outsb",
            in("dx") port,
            inout("rsi") bytes.as_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}
