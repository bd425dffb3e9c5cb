//! Interrupt entries of their own for the script: short, since ring 0 may be interpreted, and with
//! a #GP handler that lets the script go on.
//!
//! The gates of all other exceptions and of the NMI are those of [`crate::idt`].

#![expect(
    unsafe_code,
    reason = "interrupt entries, and instructions that may fault"
)]

use core::arch::{asm, global_asm};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::segments::{KERNEL_CODE, TablePointer};

/// First vector that an APIC may deliver; those below belong to the processor alone.
const FIRST_VECTOR: usize = 16;

const GENERAL_PROTECTION: usize = 13;

const STRIDE: usize = 16;

/// Gate with interrupts off in the handler: present, 64-bit interrupt gate.
const INTERRUPT_GATE: u64 = 0x8E << 40;

static IDT: [AtomicU64; 512] = [const { AtomicU64::new(0) }; 512];

/// Where the next interrupt's vector goes. One processor at a time takes interrupts.
pub(super) static LOG: AtomicU64 = AtomicU64::new(0);

/// Where an interrupt is ended: an address, an MSR below 0x1000, or 0 for nowhere.
pub(super) static END_OF_INTERRUPT: AtomicU32 = AtomicU32::new(0);

/// What an instruction that may fault gives back.
#[repr(C)]
pub(super) struct Access {
    /// What was read, 0 if it faulted.
    pub(super) value: u64,
    /// Vector of the exception, or 0.
    pub(super) fault: u64,
}

unsafe extern "C" {
    static script_interrupts: u8;
    static script_fault: u8;
    fn script_read_msr(register: u32) -> Access;
    fn script_write_msr(register: u32, value: u64) -> Access;
    fn script_write_cr8(value: u64) -> Access;
}

global_asm!(
    r#"
    .pushsection .text.script, "ax"
    .global script_interrupts, script_fault
    .global script_read_msr, script_write_msr, script_write_cr8
    .balign {stride}
script_interrupts:
    vector = {first}
    .rept 256 - {first}
    .balign {stride}
        pushq $vector
        jmp script_interrupt
    vector = vector + 1
    .endr
    .balign {stride}

script_interrupt:
    pushq %rax
    pushq %rcx
    pushq %rdx
    movq {log}(%rip), %rax
    movl 24(%rsp), %ecx
    movb %cl, (%rax)
    incq {log}(%rip)
    movl {eoi}(%rip), %ecx
    testl %ecx, %ecx
    jz 2f
    xorl %eax, %eax
    cmpl $0x1000, %ecx
    jb 1f
    movl %eax, (%rcx)
    jmp 2f
1:  xorl %edx, %edx
    wrmsr
2:  popq %rdx
    popq %rcx
    popq %rax
    addq $8, %rsp
    iretq

    # Instructions that may fault, as functions that have pushed nothing when they do.
script_accesses:
script_read_msr:
    movl %edi, %ecx
    rdmsr
    shlq $32, %rdx
    orq %rdx, %rax
    xorl %edx, %edx
    ret
script_write_msr:
    movl %edi, %ecx
    movl %esi, %eax
    movq %rsi, %rdx
    shrq $32, %rdx
    wrmsr
    xorl %eax, %eax
    xorl %edx, %edx
    ret
script_write_cr8:
    movq %rdi, %cr8
    xorl %eax, %eax
    xorl %edx, %edx
    ret
script_accesses_end:
script_faulted:
    xorl %eax, %eax
    movl ${gp}, %edx
    ret

    # A #GP in one of them makes it return with the fault; any other ends the run.
script_fault:
    pushq %rax
    leaq script_accesses(%rip), %rax
    cmpq %rax, 16(%rsp)
    jb 1f
    leaq script_accesses_end(%rip), %rax
    cmpq %rax, 16(%rsp)
    jae 1f
    leaq script_faulted(%rip), %rax
    movq %rax, 16(%rsp)
    popq %rax
    addq $8, %rsp
    iretq
1:  popq %rax
    pushq ${gp}
    jmp exception_entry
    .popsection
    "#,
    stride = const STRIDE,
    first = const FIRST_VECTOR,
    gp = const GENERAL_PROTECTION,
    log = sym LOG,
    eoi = sym END_OF_INTERRUPT,
    options(att_syntax),
);

/// Fills the table from the running processor's; once, before the first [`load`].
pub(super) fn fill() {
    let mut current = TablePointer { limit: 0, base: 0 };
    // SAFETY: stores ten bytes into the variable, as SIDT does.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut current, options(nostack, preserves_flags)) }
    let current = current.base as *const u64;
    for (index, slot) in IDT.iter().enumerate() {
        // SAFETY: the table in use has 256 gates of two words each.
        slot.store(unsafe { current.add(index).read() }, Relaxed);
    }
    for (place, vector) in (FIRST_VECTOR..256).enumerate() {
        let first = (&raw const script_interrupts).addr();
        set_gate(vector, first + place * STRIDE);
    }
    set_gate(GENERAL_PROTECTION, (&raw const script_fault).addr());
}

fn set_gate(vector: usize, entry: usize) {
    let entry = entry as u64;
    let kind = u64::from(KERNEL_CODE) << 16 | INTERRUPT_GATE;
    IDT[2 * vector].store(
        entry & 0xFFFF | kind | (entry >> 16 & 0xFFFF) << 48,
        Relaxed,
    );
    IDT[2 * vector + 1].store(entry >> 32, Relaxed);
}

/// Makes this the running processor's table, for good.
pub(super) fn load() {
    let pointer = TablePointer {
        limit: 256 * 16 - 1,
        base: IDT.as_ptr().addr() as u64,
    };
    // SAFETY: the table lives for ever and every gate leads to an entry that returns as it should.
    unsafe {
        asm!("lidt [{}]", in(reg) &raw const pointer, options(nostack, preserves_flags));
    }
}

/// RDMSR, which may fault.
pub(super) fn read_msr(register: u32) -> Access {
    // SAFETY: reading the MSRs of an APIC changes nothing; a fault is caught.
    unsafe { script_read_msr(register) }
}

/// WRMSR, which may fault.
pub(super) fn write_msr(register: u32, value: u64) -> Access {
    // SAFETY: a script writes to MSRs of the APIC alone, and is all that runs; a fault is caught.
    unsafe { script_write_msr(register, value) }
}

/// MOV to CR8, which may fault.
pub(super) fn write_cr8(value: u64) -> Access {
    // SAFETY: delays interrupts, breaks nothing; a fault is caught.
    unsafe { script_write_cr8(value) }
}
