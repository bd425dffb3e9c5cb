//! A vector that waits while an MSR access faults must not arrive in the fault's handler, which
//! runs with interrupts off.

use tests::{Vapic, guest, tell, with_handlers};

#[test]
fn no_interrupt_arrives_in_the_handler_of_a_refused_msr() {
    let guest = guest!(
        fault_and_interrupt,
        with_handlers!(),
        r"
            lea   rax, [rip + 60f]
            mov   word ptr [0x1000 + 0x50 * 16], ax
            lea   rax, [rip + 70f]
            mov   word ptr [0x1000 + 13 * 16], ax
            xor   r12d, r12d                         // in the handler of #GP
            mov   r13d, 0xFEE00000
            mov   dword ptr [r13 + 0xF0], 0x1FF
            mov   r15d, 20
        1:  cli
            mov   dword ptr [r13 + 0x300], 0x40050   // to itself
            sti
            nop
            mov   ecx, 0x8FF
            rdmsr
            mov   ecx, 4000
        2:  dec   ecx
            jnz   2b
            dec   r15d
            jnz   1b
            cli
        ",
        tell!("exit 0"),
        r"
        3:  hlt
            jmp   3b
        60: test  r12d, r12d
            jnz   61f
            mov   dword ptr [r13 + 0xB0], 0
            iretq
        70: mov   r12d, 1
            mov   r14d, 3000
        71: dec   r14d
            jnz   71b
            xor   r12d, r12d
            add   rsp, 8                             // the error code
            add   qword ptr [rsp], 2                 // skips RDMSR
            iretq
        61:
        ",
        tell!("fail gp interrupted with interrupts off"),
        tell!("exit 1"),
        "4: hlt",
        "jmp 4b",
    );
    for apic in ["userspace", "kernel"] {
        let arguments = ["--cpus", "1", "--apic", apic, "--report", "json"];
        let report = Vapic::guest(&guest, &arguments).run().passed();
        report.lost_nothing();
    }
}
