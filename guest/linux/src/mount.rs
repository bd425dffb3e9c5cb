//! The kernel's own file systems.

#![expect(unsafe_code, reason = "mount")]

use std::ffi::CStr;
use std::io;
use std::ptr;

/// Mounts a file system that has no device. One that the kernel has mounted itself is fine.
pub(crate) fn mount(kind: &CStr, at: &CStr) -> io::Result<()> {
    let (kind, at) = (kind.as_ptr(), at.as_ptr());
    // SAFETY: three strings, and no data.
    if unsafe { libc::mount(kind, at, kind, 0, ptr::null()) } == 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if error.raw_os_error() == Some(libc::EBUSY) => Ok(()),
        error => Err(error),
    }
}
