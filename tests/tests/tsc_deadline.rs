//! TSC-deadline mode, where `vapic probe` says that the host can offer it.

use tests::{Vapic, guest, tell, with_handlers};

/// Ten deadlines, each half a million ticks ahead and slept for: none may come early, and each must
/// come. A host that swallows the register must not offer the mode.
#[test]
fn a_sleeper_is_woken_at_its_deadline_and_not_before() {
    let guest = guest!(
        tsc_deadline,
        with_handlers!(),
        r"
            mov   eax, 1
            cpuid
            bt    ecx, 24
            jc    1f
        ",
        tell!("result deadline offered=0"),
        tell!("exit 0"),
        r"
        0:  hlt
            jmp   0b
        1:  mov   ebx, 0xFEE00000
            mov   dword ptr [rbx + 0xF0], 0x1FF
            mov   dword ptr [rbx + 0x320], 0x40040   // TSC deadline, vector 0x40
            mov   r14d, 10
        2:  rdtsc
            shl   rdx, 32
            or    rax, rdx
            add   rax, 500000
            mov   r13, rax
            mov   rdx, rax
            shr   rdx, 32
            mov   ecx, 0x6E0
            wrmsr
            sti
            hlt
            cli
            rdtsc
            shl   rdx, 32
            or    rax, rdx
            cmp   rax, r13
            jb    3f
            mov   ecx, 0x6E0
            rdmsr
            or    eax, edx                           // disarmed when it fired
            jnz   3f
            dec   r14d
            jnz   2b
        ",
        tell!("result deadline offered=1"),
        tell!("exit 0"),
        "3:",
        tell!("fail deadline early or still armed"),
        tell!("exit 1"),
        "4: hlt",
        "jmp 4b",
    );
    let probe = Vapic::new(&["probe", "--json"]).run();
    let probe: serde_json::Value = serde_json::from_str(&probe.stdout).expect("JSON");
    let exits = probe["probes"]["tsc_deadline_write"]["answer"]["effect"] == "exits";
    let report = Vapic::guest(&guest, &["--cpus", "1", "--report", "json"])
        .run()
        .passed();
    let offered = report.number("/results/0/results/offered");
    assert_eq!(offered, i64::from(exits), "{probe}");
    let injected = report.number("/vcpus/0/ipis/local_injected");
    assert_eq!(injected, 10 * offered);
}
