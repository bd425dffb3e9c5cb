//! The interrupt descriptor table and the 256 entry points behind it.
//!
//! Two kinds: exceptions, which end the run, and interrupts with the NMI, which save the
//! caller-saved registers and call [`interrupt::handle`]. Ring 0 may be interpreted, so that way is
//! kept short.

#![expect(unsafe_code, reason = "interrupt entry and exit")]

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::segments::{KERNEL_CODE, TablePointer};
use crate::{cpu::Cpu, exception, interrupt, vector};

/// Bytes from one entry point to the next.
const STRIDE: usize = 16;

/// Gate with interrupts off in the handler: present, 64-bit interrupt gate.
const INTERRUPT_GATE: u64 = 0x8E << 40;

static IDT: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];

unsafe extern "C" {
    /// The first entry point; used only for its address.
    static interrupt_entries: u8;
}

global_asm!(
    r#"
    .pushsection .text.interrupt_entries, "ax"
    .global interrupt_entries, exception_entry
    .balign {stride}
interrupt_entries:
    vector = 0
    .rept 256
    .balign {stride}
    # Exceptions 8, 10 to 14, 17, 21, 29 and 30 push an error code; the others get one here.
    .if (vector >= 32) || (vector == {nmi})
        pushq $vector
        jmp interrupt_entry
    .else
        .if (0x60227D00 >> vector) & 1 == 0
            pushq $0
        .endif
        pushq $vector
        .if vector == {undefined}
            jmp undefined_entry
        .else
            jmp exception_entry
        .endif
    .endif
    vector = vector + 1
    .endr
    .balign {stride}

interrupt_entry:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    cld
    movl 72(%rsp), %edi
    leaq 80(%rsp), %rsi
    call {interrupt}
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq

    # At the end of a call in ring 3 it is no error: go back to the caller of ring3::cross.
undefined_entry:
    cmpq $ring3_done, 16(%rsp)
    jne exception_entry
    movq %gs:{rsp0}, %rsp
    sti
    ret

exception_entry:
    movq %rsp, %rdi
    andq $-16, %rsp
    cld
    call {exception}
    ud2
    .popsection
    "#,
    stride = const STRIDE,
    nmi = const vector::NMI,
    undefined = const vector::UNDEFINED,
    rsp0 = const Cpu::RSP0,
    interrupt = sym interrupt::handle,
    exception = sym exception::report,
    options(att_syntax),
);

/// What the processor pushes, and IRETQ takes back.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) rip: u64,
    pub(crate) cs: u64,
    pub(crate) rflags: u64,
    pub(crate) rsp: u64,
    pub(crate) ss: u64,
}

/// Points every vector at its entry; once, before the first [`load`].
pub(crate) fn fill() {
    let first = (&raw const interrupt_entries).addr();
    for (vector, gate) in IDT.chunks_exact(2).enumerate() {
        let entry = (first + vector * STRIDE) as u64;
        let kind = u64::from(KERNEL_CODE) << 16 | INTERRUPT_GATE;
        gate[0].store(
            entry & 0xFFFF | kind | (entry >> 16 & 0xFFFF) << 48,
            Relaxed,
        );
        gate[1].store(entry >> 32, Relaxed);
    }
}

/// Makes this the running processor's table.
pub(crate) fn load() {
    let pointer = TablePointer {
        limit: 256 * 16 - 1,
        base: IDT.as_ptr().addr() as u64,
    };
    // SAFETY: the table lives for ever and every gate leads to an entry that returns as it should.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags));
    }
}
