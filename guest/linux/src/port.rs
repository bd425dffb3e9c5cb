//! Port output from user space.

#![expect(unsafe_code, reason = "port I/O")]

use std::arch::asm;
use std::io;

/// The port of the VMM's marker channel.
pub(crate) const MARKER: u16 = 0x700;

/// Opens the marker port to the calling thread. Needs CAP_SYS_RAWIO and a kernel not locked down.
pub(crate) fn open() -> io::Result<()> {
    // SAFETY: gives access to one port, which has no effect on this machine's memory.
    match unsafe { libc::ioperm(MARKER.into(), 1, 1) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Writes bytes to the marker port, all by one instruction. A thread to which it is not open dies
/// of SIGSEGV.
pub(crate) fn write(bytes: &[u8]) {
    // SAFETY: the port takes any byte and changes nothing in this machine's memory; the
    // instruction reads the slice and nothing else.
    unsafe {
        asm!(
            "rep outsb",
            in("dx") MARKER,
            inout("rsi") bytes.as_ptr() => _,
            inout("rcx") bytes.len() => _,
            options(nostack, preserves_flags, readonly),
        );
    }
}
