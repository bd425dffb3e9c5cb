//! Exceptions and panics: neither is expected, both end the run with what is known of them.

#![expect(
    unsafe_code,
    reason = "reads CR2 and raises the exception that reports a panic"
)]

use core::arch::asm;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering::AcqRel, Ordering::Acquire};

use crate::idt::Frame;
use crate::{cpu, marker};

/// What an exception's entry leaves on the stack.
#[repr(C)]
pub(crate) struct Exception {
    vector: u64,
    error_code: u64,
    frame: Frame,
}

/// The panic that is under way. Its processor never leaves it, so it stays valid.
static PANIC: AtomicPtr<PanicInfo<'static>> = AtomicPtr::new(core::ptr::null_mut());

static REPORTED: AtomicBool = AtomicBool::new(false);

/// Called by every exception entry.
pub(crate) extern "C" fn report(exception: &Exception) -> ! {
    // One processor's report is enough, and one that fails while reporting must not do it again.
    if REPORTED.swap(true, AcqRel) {
        cpu::stop();
    }
    let cpu = cpu::this().id();
    let panic = PANIC.load(Acquire);
    if panic.is_null() {
        let Exception {
            vector,
            error_code,
            frame,
        } = exception;
        let cr2: u64;
        // SAFETY: reading CR2 has no effect.
        unsafe { asm!("mov {}, cr2", out(reg) cr2, options(nomem, nostack, preserves_flags)) };
        marker::last_words(format_args!(
            "exception {vector} on processor {cpu}: rip={:#x} cs={:#x} error={error_code:#x} \
             cr2={cr2:#x} rsp={:#x} rflags={:#x}",
            frame.rip, frame.cs, frame.rsp, frame.rflags
        ))
    }
    // SAFETY: the pointer was stored from a reference whose processor is in `panic` for ever.
    let panic = unsafe { &*panic };
    marker::last_words(format_args!("processor {cpu}: {panic}"))
}

/// A panic may come in ring 3, where nothing can be told; an exception gets it to ring 0.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    PANIC.store(
        (&raw const *info).cast_mut().cast(),
        core::sync::atomic::Ordering::Release,
    );
    // SAFETY: raises #UD, which is the purpose.
    unsafe { asm!("ud2", options(noreturn, nostack)) }
}
