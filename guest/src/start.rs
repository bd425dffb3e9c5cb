//! The entry points: the bootstrap processor's, by the Linux 64-bit boot protocol, and the other
//! processors', from real mode.
//!
//! The loader has zero-filled .bss, as the ELF format demands of it.

#![expect(
    unsafe_code,
    reason = "machine entry, and memory that the boot protocol hands over"
)]

use core::arch::global_asm;
use core::cell::UnsafeCell;
use core::slice;

use crate::ipi::MAX_CPUS;
use crate::{boot, paging, processors};

/// Bytes of each stack: the deepest use is formatting a line.
const STACK_SIZE: usize = 16 * 1024;

/// Page number where a processor starts, and so the vector of the SIPI.
pub(crate) const TRAMPOLINE_PAGE: u8 = 0x08;

/// Offset of `cmd_line_ptr` in `boot_params` (Linux, Documentation/arch/x86/zero-page.rst).
const COMMAND_LINE_POINTER: usize = 0x228;

/// Longest command line of the boot protocol's x86 implementation, the terminator included.
const COMMAND_LINE_LIMIT: usize = 2048;

/// Two stacks for each processor: ring 0, then ring 3.
#[repr(align(4096))]
struct Stacks(UnsafeCell<[[u8; STACK_SIZE]; 2 * MAX_CPUS]>);

// SAFETY: only addresses are taken; each stack is used by the one processor it belongs to.
unsafe impl Sync for Stacks {}

static STACKS: Stacks = Stacks(UnsafeCell::new([[0; STACK_SIZE]; 2 * MAX_CPUS]));

/// Top of the stack that a processor's ring 3 code uses.
pub(crate) fn ring3_stack_top(id: usize) -> usize {
    STACKS.0.get() as usize + (2 * id + 2) * STACK_SIZE
}

global_asm!(
    r#"
    .pushsection .text.start, "ax"
    .global start, trampoline, trampoline_end
start:
    cld
    movq %rsi, %rdi
    leaq {stacks} + {stack_size}(%rip), %rsp
    xorl %ebp, %ebp
    call {bsp}
    ud2

    # A started processor arrives here in 64-bit mode with the trampoline's GDT.
application_processor:
    movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $0xB, %eax
    xorl %ecx, %ecx
    cpuid
    cmpl ${max_cpus}, %edx
    jae 1f
    movl %edx, %edi
    imulq ${stack_pair}, %rdi, %rax
    leaq {stacks} + {stack_size}(%rip), %rsp
    addq %rax, %rsp
    xorl %ebp, %ebp
    call {ap}
1:  cli
    hlt
    jmp 1b
    .popsection

    # Copied to {page} * 4096; straight from real mode to 64-bit mode, paging and protection at once
    # (Intel SDM volume 3, 10.8.5).
    .pushsection .rodata.trampoline, "a"
    .balign 8
trampoline:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl {page} * 4096 + trampoline_gdt_pointer - trampoline
    movl $0x20, %eax
    movl %eax, %cr4
    movl ${pml4}, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl $0x80010031, %eax
    movl %eax, %cr0
    ljmpl $0x10, $application_processor
    .code64

    .balign 8
trampoline_gdt:
    .quad 0, 0, {kernel_code}, {kernel_data}
trampoline_gdt_pointer:
    .word . - trampoline_gdt - 1
    .long {page} * 4096 + trampoline_gdt - trampoline
trampoline_end:
    .popsection
    "#,
    stacks = sym STACKS,
    stack_size = const STACK_SIZE,
    stack_pair = const 2 * STACK_SIZE,
    max_cpus = const MAX_CPUS,
    page = const TRAMPOLINE_PAGE,
    pml4 = sym paging::PML4,
    kernel_code = const crate::segments::KERNEL_CODE_DESCRIPTOR,
    kernel_data = const crate::segments::KERNEL_DATA_DESCRIPTOR,
    bsp = sym bsp_entry,
    ap = sym ap_entry,
    options(att_syntax),
);

unsafe extern "C" {
    static trampoline: u8;
    static trampoline_end: u8;
}

extern "C" fn bsp_entry(boot_params: usize) -> ! {
    boot::main(boot_params)
}

extern "C" fn ap_entry(id: usize) -> ! {
    processors::serve(id)
}

/// Puts the trampoline where a SIPI starts a processor.
pub(crate) fn install_trampoline() {
    let from = &raw const trampoline;
    let destination = usize::from(TRAMPOLINE_PAGE) * 4096;
    // SAFETY: the symbols delimit the trampoline, less than a page; the boot protocol leaves the
    // page at 0x8000 to us, and no processor runs there yet.
    unsafe {
        let length = (&raw const trampoline_end).offset_from_unsigned(from);
        core::ptr::copy_nonoverlapping(from, destination as *mut u8, length);
    }
}

/// The command line of the boot protocol; empty if it is not text.
pub(crate) fn command_line(boot_params: usize) -> &'static str {
    // SAFETY: the loader passed the address of boot_params, 4 KiB of initialised memory, and put
    // in it the address of the command line; nothing writes to either.
    let bytes = unsafe {
        let address = *((boot_params + COMMAND_LINE_POINTER) as *const u32) as usize;
        slice::from_raw_parts(address as *const u8, COMMAND_LINE_LIMIT)
    };
    let text = bytes.split(|&byte| byte == 0).next().unwrap_or(&[]);
    str::from_utf8(text).unwrap_or("")
}
