//! Machines on KVM's own Local APIC, with which ours is compared: what is around it must be as good.

use tests::{Vapic, guest, tell, with_handlers};

#[test]
fn an_interrupt_of_the_8259_is_handed_over_without_a_kick_of_ones_own() {
    // The 8254 ticks every millisecond; each tick is one kick, which ends KVM's halt.
    let guest = guest!(
        external_interrupts,
        with_handlers!(),
        r"
            lea   rax, [rip + 60f]
            mov   word ptr [0x1000 + 0x20 * 16], ax
            xor   r12d, r12d
            mov   r15d, 0xFEE00000
            mov   dword ptr [r15 + 0xF0], 0x1FF
            mov   al, 0x11                           // the 8259: edges, vectors from 0x20
            out   0x20, al
            mov   al, 0x20
            out   0x21, al
            mov   al, 4
            out   0x21, al
            mov   al, 1
            out   0x21, al
            mov   al, 0xFE                           // all but line 0 masked
            out   0x21, al
            mov   al, 0x34                           // the 8254: periodic
            out   0x43, al
            mov   al, 0xA9
            out   0x40, al
            mov   al, 4
            out   0x40, al
            mov   dword ptr [r15 + 0x350], 0x700     // LINT0: ExtINT
            sti
        1:  hlt
            cmp   r12d, 200
            jb    1b
            cli
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
        r"
        60: inc   r12d
            push  rax
            mov   al, 0x20                           // end of interrupt
            out   0x20, al
            pop   rax
            iretq
        ",
    );
    let arguments = ["--apic", "kernel", "--report", "json"];
    let report = Vapic::guest(&guest, &arguments).run().passed();
    let kicks = report.number("/totals/exits/kick/count");
    assert!(kicks < 300, "{kicks} kicks for 200 interrupts");
}
