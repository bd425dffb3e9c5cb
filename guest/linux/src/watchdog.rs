//! The end of a process that takes too long.

#![expect(unsafe_code, reason = "alarm")]

/// Lets this process die of SIGALRM after so many seconds, unless it is done before.
pub(crate) fn arm(seconds: u32) {
    // SAFETY: sets a timer; what it ends with is what is wanted.
    unsafe { libc::alarm(seconds) };
}
