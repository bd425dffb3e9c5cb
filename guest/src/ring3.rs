//! Running code in ring 3.
//!
//! Ring 3 is no protection here: all memory is open to it. It is the ring that every KVM runs
//! natively and through the TLB that the guest's page tables fill, while ring 0 may be interpreted
//! at a hundredth of the speed. What needs no privileged instruction and takes longer than the
//! crossing, some tens of microseconds on such a host, is better off there; a privileged instruction
//! there is a #GP, which ends the run.
//!
//! The way back is an undefined instruction at a known place: INT from ring 3 does not work on every
//! KVM, but exceptions do.

#![expect(unsafe_code, reason = "crosses from ring 0 to ring 3 and back")]

use core::arch::{asm, naked_asm};

use crate::cpu::{self, Cpu};
use crate::segments::{USER_CODE, USER_DATA};
use crate::start;

/// Interrupts on, and the bit that is always one.
const RFLAGS: u64 = 0x202;

/// Runs `work` in ring 3 with interrupts on, and returns with interrupts on.
///
/// Not for interrupt handlers: there is one ring 3 stack for each processor.
pub(crate) fn run<R>(work: impl FnOnce() -> R) -> R {
    if current_ring() == 3 {
        return work();
    }
    let mut call = Call {
        work: Some(work),
        result: None,
    };
    let stack = start::ring3_stack_top(cpu::this().id());
    // SAFETY: `enter` takes the pointer that goes with it, to a call that outlives the crossing;
    // the stack is this processor's own and nothing else is on it.
    unsafe { cross((&raw mut call).addr(), enter_address(&call), stack) };
    call.result
        .expect("ring 3 comes back only when the work is done")
}

struct Call<F, R> {
    work: Option<F>,
    result: Option<R>,
}

fn enter_address<F: FnOnce() -> R, R>(_: &Call<F, R>) -> usize {
    let function: extern "C" fn(&mut Call<F, R>) = enter::<F, R>;
    function as usize
}

/// In ring 3.
extern "C" fn enter<F: FnOnce() -> R, R>(call: &mut Call<F, R>) {
    call.result = call.work.take().map(|work| work());
}

fn current_ring() -> u16 {
    let selector: u16;
    // SAFETY: reads a segment register.
    unsafe { asm!("mov {:x}, cs", out(reg) selector, options(nomem, nostack, preserves_flags)) };
    selector & 3
}

/// Calls `function(argument)` in ring 3 on `stack`.
///
/// Interrupts from ring 3 begin below this function's return address, and the entry of the
/// undefined instruction, in idt.rs, returns to it. Registers that a callee must preserve are
/// preserved by `function`, as by any other.
///
/// # Safety
/// `function` is an `extern "C"` function that may be called with `argument`; `stack` is the top
/// of a stack in nobody's use.
#[unsafe(naked)]
unsafe extern "C" fn cross(argument: usize, function: usize, stack: usize) {
    naked_asm!(
        "mov gs:[{rsp0}], rsp",
        "push {data}",
        "push rdx",
        "push {rflags}",
        "push {code}",
        "lea rax, [rip + 2f]",
        "push rax",
        "iretq",
        "2:",
        "call rsi",
        ".global ring3_done",
        "ring3_done:",
        "ud2",
        rsp0 = const Cpu::RSP0,
        data = const USER_DATA,
        rflags = const RFLAGS,
        code = const USER_CODE,
    )
}
