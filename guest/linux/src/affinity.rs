//! Which processors a thread may run on.

#![expect(unsafe_code, reason = "sched_setaffinity and getcpu")]

use std::io;

/// A thread's number, as the kernel counts them; 0 is the caller.
pub(crate) type ThreadId = libc::pid_t;

/// The caller.
pub(crate) const SELF: ThreadId = 0;

/// Lets `thread` run on `cpu` alone. When this returns it is there, or waits for its turn there.
pub(crate) fn pin(thread: ThreadId, cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is the empty set of processors.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    if cpu >= 8 * size_of_val(&set) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: the bit is within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the kernel reads as many bytes as the set has.
    match unsafe { libc::sched_setaffinity(thread, size_of_val(&set), &raw const set) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The processor that the caller runs on, or did just now.
pub(crate) fn current() -> usize {
    // SAFETY: takes nothing, and cannot fail on x86-64.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(usize::MAX)
}

/// The caller's number.
pub(crate) fn thread_id() -> ThreadId {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}
