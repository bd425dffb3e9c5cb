//! An NMI that comes while a vector is being handed over: neither may take the other's place.

use tests::{Vapic, another_starts, guest, let_another_start, tell, with_handlers};

#[test]
fn each_nmi_sent_right_after_a_vector_is_handled() {
    // vCPU 1 does nothing but exit, its interrupts on. vCPU 0 sends it a vector and, a little later
    // each time, an NMI; then it waits for the handler. It sends 2000 of them, or as many as take
    // 2^35 cycles.
    let guest = guest!(
        nmi_and_vector,
        with_handlers!(),
        r"
            lea   rax, [rip + 60f]
            mov   word ptr [0x1000 + 2 * 16], ax
            lea   rax, [rip + 65f]
            mov   word ptr [0x1000 + 0x41 * 16], ax
        ",
        let_another_start!(),
        r"
            xor   eax, eax
            mov   [0x7000], eax                      // vCPU 1 is ready
            mov   [0x7008], eax                      // NMIs handled
            mov   [0x7010], eax                      // vectors handled
            mov   r15d, 0xFEE00000
            mov   dword ptr [r15 + 0xF0], 0x1FF
            mov   dword ptr [r15 + 0x310], 0x01000000
            mov   dword ptr [r15 + 0x300], 0x4500    // INIT
            mov   dword ptr [r15 + 0x300], 0x4608    // start at 0x8000
        1:  pause
            cmp   dword ptr [0x7000], 1
            jne   1b

            xor   r12d, r12d                         // NMIs sent
            xor   r14d, r14d                         // NMIs lost
            rdtsc
            shl   rdx, 32
            lea   r13, [rax + rdx]
        2:  mov   dword ptr [r15 + 0x300], 0x4041    // the vector
            mov   ecx, r12d
            and   ecx, 31
            inc   ecx
        3:  dec   ecx
            jnz   3b
            mov   ebx, [0x7008]
            mov   dword ptr [r15 + 0x300], 0x4400    // the NMI
            inc   r12d
            rdtsc
            shl   rdx, 32
            lea   rdi, [rax + rdx]
        4:  pause
            cmp   [0x7008], ebx
            jne   5f
            rdtsc
            shl   rdx, 32
            add   rax, rdx
            sub   rax, rdi
            shr   rax, 33                            // seconds
            jz    4b
            inc   r14d
        5:  mov   ecx, 300                           // out of the handlers again
        6:  dec   ecx
            jnz   6b
            rdtsc
            shl   rdx, 32
            add   rax, rdx
            sub   rax, r13
            shr   rax, 35
            jnz   7f
            cmp   r12d, 2000
            jb    2b
        7:  cmp   r12d, [0x7008]
            jne   8f
            test  r14d, r14d
            jnz   8f
            cmp   dword ptr [0x7010], 0              // they did come in between
            je    8f
        ",
        tell!("exit 0"),
        "8:",
        tell!("fail nmi handled less often than sent"),
        tell!("exit 1"),
        r"
        9:  hlt
            jmp   9b

        60: lock inc dword ptr [0x7008]
            iretq
        65: lock inc dword ptr [0x7010]
            mov   dword ptr [r15 + 0xB0], 0
            iretq
        ",
        another_starts!(),
        r"
            mov   r15d, 0xFEE00000
            mov   dword ptr [r15 + 0xF0], 0x1FF
            mov   dword ptr [0x7000], 1
            sti
        75: in    al, 0x80
            jmp   75b
        ",
    );
    let arguments = ["--cpus", "2", "--report", "json"];
    let report = Vapic::guest(&guest, &arguments).run().passed();
    report.lost_nothing();
}
