//! The signal that calls a vCPU thread out of `KVM_RUN`.
//!
//! `KVM_RUN` reads `immediate_exit` once, at its start. The handler sets it, so a signal that
//! arrives before the ioctl is not lost; one that arrives inside it interrupts it. The signal is
//! never blocked.

#![expect(
    unsafe_code,
    reason = "a signal handler, thread-directed signals and kvm_run's mapping"
)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};
use std::{io, ptr};

use kvm_bindings::kvm_run;
use kvm_ioctls::{VcpuExit, VcpuFd};
use libc::{c_int, c_void, pid_t, siginfo_t};
use vmm_sys_util::errno;
use vmm_sys_util::signal::{SIGRTMIN, register_signal_handler};

thread_local! {
    /// `immediate_exit` of the vCPU that this thread runs, or null.
    static IMMEDIATE_EXIT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

fn kick_signal() -> c_int {
    SIGRTMIN()
}

extern "C" fn set_immediate_exit(_: c_int, _: *mut siginfo_t, _: *mut c_void) {
    let flag = IMMEDIATE_EXIT.get();
    if !flag.is_null() {
        // SAFETY: non-null only between `Armed::new` and its drop on this very thread, while the
        // `Armed` holds the vCPU and so its mapping; an atomic store is async-signal-safe.
        unsafe { AtomicU8::from_ptr(flag) }.store(1, Ordering::Relaxed);
    }
}

/// Installs the handler, once for the process.
///
/// # Errors
///
/// Whatever `sigaction` reports.
pub fn install() -> io::Result<()> {
    register_signal_handler(kick_signal(), set_immediate_exit).map_err(io::Error::from)
}

/// A thread that can be signalled.
#[derive(Clone, Copy, Debug)]
pub struct ThreadId(pid_t);

impl ThreadId {
    /// The calling thread.
    #[must_use]
    pub fn current() -> Self {
        // SAFETY: gettid has no preconditions. The system call, as older C libraries lack a wrapper.
        let id = unsafe { libc::syscall(libc::SYS_gettid) };
        Self(pid_t::try_from(id).expect("a thread id has 32 bits"))
    }

    /// Sends the kick signal. A thread that has ended is no error: it has nothing left to look at.
    pub fn kick(self) {
        // SAFETY: tgkill touches no memory. Should the id have been reused within this process,
        // the handler finds no vCPU on that thread, or causes one spurious exit.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), self.0, kick_signal()) };
    }
}

/// What KVM says of a vCPU at every exit, beside the exit itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ExitState {
    /// The task priority class, bits 3:0 of CR8.
    pub(super) cr8: u8,
    /// An interrupt could be queued now.
    pub(super) ready: bool,
    /// RFLAGS.IF.
    pub(super) interrupts_on: bool,
    /// Bytes of each access, where a port was accessed; an instruction that repeats makes several.
    pub(super) port_width: usize,
}

/// A vCPU whose `immediate_exit` the calling thread's signal handler sets.
#[derive(Debug)]
pub(super) struct Armed {
    fd: VcpuFd,
    run: *mut kvm_run,
}

impl Armed {
    /// Binds the vCPU to the calling thread, which must be the one that runs it from now on.
    #[must_use]
    pub(super) fn new(mut fd: VcpuFd) -> Self {
        let run: *mut kvm_run = fd.get_kvm_run();
        IMMEDIATE_EXIT.set(&raw mut fd.get_kvm_run().immediate_exit);
        Self { fd, run }
    }

    /// The vCPU.
    pub(super) fn fd(&mut self) -> &mut VcpuFd {
        &mut self.fd
    }

    /// Enters the guest with this CR8 until its next exit.
    ///
    /// # Errors
    ///
    /// Whatever `KVM_RUN` reports; EINTR if the thread was signalled.
    pub(super) fn run(&mut self, cr8: u8) -> (ExitState, Result<VcpuExit<'_>, errno::Error>) {
        self.fd.get_kvm_run().cr8 = cr8.into();
        let exit = self.fd.run();
        // SAFETY: `run` points to the mapping that `self.fd` owns. The exit borrows other fields
        // of it, KVM writes to it only inside KVM_RUN, and the handler to `immediate_exit` alone.
        // Any bytes of the union are a width.
        let state = unsafe {
            (&raw mut (*self.run).immediate_exit).write_volatile(0);
            ExitState {
                cr8: (&raw const (*self.run).cr8).read_volatile().to_le_bytes()[0] & 0xF,
                ready: (&raw const (*self.run).ready_for_interrupt_injection).read_volatile() != 0,
                interrupts_on: (&raw const (*self.run).if_flag).read_volatile() != 0,
                port_width: (&raw const (*self.run).__bindgen_anon_1.io.size)
                    .read_volatile()
                    .into(),
            }
        };
        (state, exit)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        IMMEDIATE_EXIT.set(ptr::null_mut());
    }
}
