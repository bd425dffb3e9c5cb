//! Guests written in assembly, for what no well-meaning guest does.

/// The kernel that this assembly is, in 64-bit mode at CPL 0 with interrupts off and no stack.
///
/// The name becomes part of two symbols, so it must be used once in a program. Labels within are
/// numbers. The code is position-independent: it runs at [`Elf::START`](crate::Elf::START).
#[macro_export]
macro_rules! guest {
    ($name:ident, $($text:expr),+ $(,)?) => {{
        #[expect(unsafe_code, reason = "the assembler's output is reached by its symbols")]
        {
            #[unsafe(naked)]
            extern "C" fn code() {
                ::std::arch::naked_asm!(
                    concat!("guest_", stringify!($name), "_start:"),
                    $($text),+,
                    concat!("guest_", stringify!($name), "_end:"),
                    options(raw),
                )
            }
            unsafe extern "C" {
                #[link_name = concat!("guest_", stringify!($name), "_start")]
                static START: u8;
                #[link_name = concat!("guest_", stringify!($name), "_end")]
                static END: u8;
            }
            // The function is never called here; it keeps its assembly in the program.
            ::std::hint::black_box(code as extern "C" fn());
            // SAFETY: both symbols are in one function with nothing but the assembled bytes
            // between them, which are never written.
            let code = unsafe {
                let (start, end) = (&raw const START, &raw const END);
                ::std::slice::from_raw_parts(start, end.offset_from_unsigned(start))
            };
            $crate::Elf::new(code)
        }
    }};
}

/// Assembly that gives a guest a stack and an IDT: a #GP is answered by skipping the two bytes of
/// RDMSR or WRMSR, every other vector by an EOI through both doors.
///
/// Leaves the general registers but RSP undefined, and interrupts off.
#[macro_export]
macro_rules! with_handlers {
    () => {
        r"
            mov   esp, 0x80000
            lea   rsi, [rip + 91f]         // the gate of any vector
            lea   rdi, [rip + 92f]         // the gate of #GP
            mov   rdx, 0x00208E0000100000  // offset 31:16 = 0x20, interrupt gate, selector 0x10
            movzx esi, si
            or    rsi, rdx
            movzx edi, di
            or    rdi, rdx
            mov   ebx, 0x1000              // the IDT
            mov   ecx, 256
        90: mov   [rbx], rsi
            mov   qword ptr [rbx + 8], 0
            add   ebx, 16
            dec   ecx
            jnz   90b
            mov   [0x1000 + 13 * 16], rdi
            lidt  [rip + 93f]
            jmp   94f
        91: push  rax
            push  rcx
            push  rdx
            mov   eax, 0xFEE000B0
            mov   dword ptr [rax], 0       // EOI, if in xAPIC mode
            xor   eax, eax
            xor   edx, edx
            mov   ecx, 0x80B
            wrmsr                          // EOI, if in x2APIC mode
            pop   rdx
            pop   rcx
            pop   rax
            iretq
        92: add   qword ptr [rsp + 8], 2   // skip the instruction
            add   rsp, 8                   // the error code
            iretq
        93: .word 0xFFF
            .quad 0x1000
        94:
        "
    };
}

/// Assembly after which a start-up IPI for page 8 brings a processor to `another_starts!`, which
/// must come later in the program.
///
/// Changes RAX, RCX, RSI and RDI, and memory from 0x8000 on.
#[macro_export]
macro_rules! let_another_start {
    () => {
        r"
            sgdt  [0x8F00]
            mov   rax, cr3
            mov   [0x8F10], eax
            lea   rax, [rip + 82f]
            mov   [rip + 81f], eax
            lea   rsi, [rip + 80f]
            mov   edi, 0x8000
            mov   ecx, 128
            cld
            rep   movsb
        "
    };
}

/// Assembly that a processor starts with, and goes on with what follows: in 64-bit mode, with a stack,
/// the handlers of [`with_handlers`], and interrupts off.
#[macro_export]
macro_rules! another_starts {
    () => {
        r"
        .code16
        80: cli
            xor   ax, ax
            mov   ds, ax
            .byte 0x66, 0x0F, 0x01, 0x16   // lgdt [0x8F00], a base of 32 bits
            .word 0x8F00
            mov   eax, 0x20                // PAE
            mov   cr4, eax
            .byte 0x66, 0xA1               // mov eax, [0x8F10]
            .word 0x8F10
            mov   cr3, eax
            mov   ecx, 0xC0000080
            mov   eax, 0x100               // LME
            xor   edx, edx
            wrmsr
            mov   eax, 0x80000011          // PG, ET, PE
            mov   cr0, eax
            .byte 0x66, 0xEA               // jmp to a selector and an offset of 32 bits
        81: .long 0
            .word 0x10
        .code64
        82: mov   esp, 0x70000
            lidt  [rip + 83f]
            jmp   84f
        83: .word 0xFFF
            .quad 0x1000
        84:
        "
    };
}

/// Assembly that writes a line to a port: everything up to and including its newline.
///
/// Changes RSI, RCX and RDX.
#[macro_export]
macro_rules! write_line {
    ($port:literal, $line:literal) => {
        concat!(
            "lea rsi, [rip + 96f]\n",
            "lea rcx, [rip + 97f]\n",
            "sub rcx, rsi\n",
            concat!("mov edx, ", $port, "\n"),
            "rep outsb\n",
            "jmp 97f\n",
            "96: .ascii \"",
            $line,
            "\\n\"\n",
            "97:\n"
        )
    };
}

/// Assembly that writes a line to the marker port.
#[macro_export]
macro_rules! tell {
    ($line:literal) => {
        $crate::write_line!("0x700", $line)
    };
}

/// Assembly that writes a line to the serial port.
#[macro_export]
macro_rules! say {
    ($line:literal) => {
        $crate::write_line!("0x3F8", $line)
    };
}

/// Assembly that puts a pseudo-random number into RAX (xorshift, Marsaglia 2003), its
/// state in R15, which must not start at 0.
#[macro_export]
macro_rules! random {
    () => {
        r"
            mov   rax, r15
            shl   rax, 13
            xor   r15, rax
            mov   rax, r15
            shr   rax, 7
            xor   r15, rax
            mov   rax, r15
            shl   rax, 17
            xor   r15, rax
            mov   rax, r15
        "
    };
}
