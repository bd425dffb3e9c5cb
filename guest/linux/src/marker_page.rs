//! The VMM's marker channel as a page of memory.
//!
//! Not by its port: QEMU's emulated SVM, on which stock KVM is tested, takes the I/O bitmap of a
//! nested guest for closed, and Debian's kernels have no /dev/port.

#![expect(unsafe_code, reason = "writes to a device")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Where it is.
const ADDRESS: libc::off_t = 0xFEB0_0000;
const SIZE: usize = 0x1000;

/// Where it is mapped; null until it is.
static PAGE: AtomicPtr<u8> = AtomicPtr::new(ptr::null_mut());

/// Maps it into this process. Needs CAP_SYS_RAWIO and a kernel not locked down.
pub(crate) fn open() -> io::Result<()> {
    // Uncached, so that each write leaves the processor by itself.
    let memory = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_SYNC)
        .open("/dev/mem")?;
    // SAFETY: maps one page of a device at an address of the kernel's choice; it stays mapped.
    let page = unsafe {
        libc::mmap(
            ptr::null_mut(),
            SIZE,
            libc::PROT_WRITE,
            libc::MAP_SHARED,
            memory.as_raw_fd(),
            ADDRESS,
        )
    };
    if page == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    PAGE.store(page.cast(), Ordering::Release);
    Ok(())
}

/// Writes bytes to the channel, from a thread that is pinned: each processor has a line of its own
/// there. Eight at a time: each write is an exit.
pub(crate) fn write(bytes: &[u8]) {
    let page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        return;
    }
    let (words, rest) = bytes.as_chunks();
    for &word in words {
        // SAFETY: the page is mapped for good and aligned, and the device takes any bytes.
        unsafe { page.cast::<u64>().write_volatile(u64::from_le_bytes(word)) }
    }
    for &byte in rest {
        // SAFETY: as above.
        unsafe { page.write_volatile(byte) }
    }
}
