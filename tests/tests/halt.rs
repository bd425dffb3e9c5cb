//! What ends a HLT, and what does not.

use tests::{Vapic, guest, tell, with_handlers};

#[test]
fn an_nmi_that_is_blocked_does_not_end_a_halt() {
    // The handler of an NMI sends itself another, which must wait for its IRET, and halts for the
    // APIC's timer. The timer's handler is the first to execute IRET.
    let guest = guest!(
        halt_within_nmi,
        with_handlers!(),
        r"
            lea   rax, [rip + 60f]
            mov   word ptr [0x1000 + 2 * 16], ax
            lea   rax, [rip + 65f]
            mov   word ptr [0x1000 + 0x40 * 16], ax
            xor   r12d, r12d                         // NMIs
            xor   r13d, r13d                         // the timer has come
            mov   r15d, 0xFEE00000
            mov   dword ptr [r15 + 0xF0], 0x1FF
            mov   dword ptr [r15 + 0x3E0], 0xB       // divided by 1
            mov   dword ptr [r15 + 0x320], 0x40      // one-shot, vector 0x40
            mov   dword ptr [r15 + 0x310], 0
            mov   dword ptr [r15 + 0x300], 0x4400    // NMI to itself
        1:  pause
            cmp   r12d, 2
            jb    1b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
        r"
        60: inc   r12d
            cmp   r12d, 1
            jne   61f
            mov   dword ptr [r15 + 0x300], 0x4400
            mov   dword ptr [r15 + 0x380], 50000000  // 50 ms
            sti
            hlt
            cli
            test  r13d, r13d
            jz    62f
        61: iretq
        65: mov   r13d, 1
            mov   dword ptr [r15 + 0xB0], 0
            iretq
        62:
        ",
        tell!("fail halt ended by an NMI that was blocked"),
        tell!("exit 1"),
        "3: hlt",
        "jmp 3b",
    );
    let _ = Vapic::guest(&guest, &["--report", "json"]).run().passed();
}
