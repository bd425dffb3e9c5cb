//! INIT and start-up while the target is in the midst of an instruction.

use tests::{Vapic, another_starts, guest, let_another_start, tell, with_handlers};

#[test]
fn a_processor_starts_anew_from_an_access_of_two_parts() {
    // vCPU 1 counts its starts, then reads across the end of a page without memory into RBP, for ever.
    // vCPU 0 starts it 50 times. INIT clears RBP, and no read that was under way may come after it.
    let guest = guest!(
        init_in_a_read,
        with_handlers!(),
        let_another_start!(),
        r"
            xor   eax, eax
            mov   [0x7000], eax                      // starts
            mov   [0x7008], eax                      // starts with something in RBP
            mov   r15d, 0xFEE00000
            mov   dword ptr [r15 + 0xF0], 0x1FF
            mov   dword ptr [r15 + 0x310], 0x01000000
            xor   r12d, r12d
        1:  mov   dword ptr [r15 + 0x300], 0x4500    // INIT
            mov   dword ptr [r15 + 0x300], 0x4608    // start at 0x8000
            inc   r12d
            rdtsc
            shl   rdx, 32
            lea   rdi, [rax + rdx]
        2:  pause
            cmp   [0x7000], r12d
            je    3f
            rdtsc
            shl   rdx, 32
            add   rax, rdx
            sub   rax, rdi
            shr   rax, 34                            // seconds
            jz    2b
            jmp   5f
        3:  mov   ecx, 3000                          // into the read
        4:  dec   ecx
            jnz   4b
            cmp   r12d, 50
            jb    1b
            cmp   dword ptr [0x7008], 0
            jne   5f
        ",
        tell!("exit 0"),
        "5:",
        tell!("fail init did not start the processor anew"),
        tell!("exit 1"),
        r"
        6:  hlt
            jmp   6b
        ",
        another_starts!(),
        r"
            test  rbp, rbp
            jz    7f
            lock inc dword ptr [0x7008]
        7:  lock inc dword ptr [0x7000]
            mov   ebx, 0xD0000FFC
        8:  mov   rbp, [rbx]
            jmp   8b
        ",
    );
    let arguments = ["--cpus", "2", "--report", "json"];
    let report = Vapic::guest(&guest, &arguments).run().passed();
    report.lost_nothing();
}
