//! The end of the machine.

#![expect(unsafe_code, reason = "reboot")]

use std::io;

/// Switches the machine off. Returns only if the kernel refuses.
pub(crate) fn off() -> io::Error {
    // SAFETY: nothing here is to be saved: the root file system is memory.
    unsafe { libc::reboot(libc::RB_POWER_OFF) };
    io::Error::last_os_error()
}
