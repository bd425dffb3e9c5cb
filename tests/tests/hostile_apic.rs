//! Guests that misuse their APIC: whatever they write, the run goes on or ends in good order, in
//! bounded time, and every delivery is accounted for.

use tests::{Elf, Output, Vapic, guest, random, tell, with_handlers};

fn run(guest: &Elf, arguments: &[&str]) -> Output {
    Vapic::guest(guest, &[&["--report", "json"], arguments].concat()).run()
}

/// That the run came to an end that it can account for, whether or not the guest lived.
fn ended_well(output: &Output) {
    let report = output.report();
    report.lost_nothing();
    let lines = output
        .stderr
        .lines()
        .filter(|line| line.starts_with("vapic: "))
        .count();
    let reasons = report.json()["outcome"]["reasons"].as_array().map(Vec::len);
    assert_eq!(reasons, Some(lines), "a line for each reason: {output:?}");
    assert_eq!(output.code, Some(i32::from(lines != 0)), "{output:?}");
}

/// Turns interrupts on for a while: interpreted kernels are interrupted only now and then.
macro_rules! let_interrupts_in {
    () => {
        r"
            sti
            mov   ecx, 200
        50: dec   ecx
            jnz   50b
            cli
        "
    };
}

/// Makes the APIC's mode x2APIC.
macro_rules! enter_x2apic {
    () => {
        r"
            mov   ecx, 0x1B
            rdmsr
            or    eax, 0xC00
            wrmsr
        "
    };
}

#[test]
fn random_values_in_every_register_but_the_icr() {
    let guest = guest!(
        random_registers,
        with_handlers!(),
        "mov r15, 0x9E3779B97F4A7C15",
        // The page, at any 16-byte step, in any width, also across registers.
        "mov r14d, 3000",
        "20:",
        random!(),
        r"
            mov   rbx, rax
            and   ebx, 0xFF0
            cmp   ebx, 0x300               // not ICR, nor what begins before and reaches into it
            je    21f
            cmp   ebx, 0x310
            je    21f
            mov   ecx, 0xFEE00000
            add   rbx, rcx
        ",
        random!(),
        r"
            mov   [rbx], eax
            mov   ecx, [rbx]
            mov   [rbx + 4], al
            mov   [rbx + 2], ax
            mov   cl, [rbx + 3]
            mov   cx, [rbx + 1]
            mov   [rbx], rax
            mov   rcx, [rbx]
        ",
        let_interrupts_in!(),
        r"
        21: dec   r14d
            jnz   20b
        ",
        enter_x2apic!(),
        "mov r14d, 3000",
        "30:",
        random!(),
        r"
            movzx ecx, al
            or    ecx, 0x800
            cmp   ecx, 0x830               // not ICR
            je    31f
            rdmsr
        ",
        random!(),
        r"
            mov   rdx, rax
            shr   rdx, 32
            test  al, 1
            jz    32f
            xor   edx, edx                 // half of them without the high half, which faults
            movzx eax, ax
        32: wrmsr
        ",
        let_interrupts_in!(),
        r"
        31: dec   r14d
            jnz   30b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let report = run(&guest, &[]).passed();
    report.lost_nothing();
    assert!(report.number("/totals/exits/apic_other/count") > 1000);
}

#[test]
fn random_commands_in_both_modes() {
    let guest = guest!(
        random_commands,
        with_handlers!(),
        r"
            mov   r15, 0xD1B54A32D192ED03
            mov   ebx, 0xFEE00000
            mov   dword ptr [rbx + 0xF0], 0x1FF
            mov   r14d, 500
        20:
        ",
        random!(),
        r"
            mov   ecx, eax
            and   ecx, 0x700
            cmp   ecx, 0x500               // no INIT, which would end the guest early
            je    21f
            mov   rcx, rax
            shr   rcx, 32
            and   ecx, 0x83FFFFFF          // to itself or to few, as often as not
            mov   [rbx + 0x310], ecx
            mov   [rbx + 0x300], eax
        ",
        let_interrupts_in!(),
        r"
        21: dec   r14d
            jnz   20b
        ",
        enter_x2apic!(),
        "mov r14d, 500",
        "30:",
        random!(),
        r"
            mov   ecx, eax
            and   ecx, 0x700
            cmp   ecx, 0x500
            je    31f
            mov   rdx, rax
            shr   rdx, 32
            and   edx, 0x3
            and   eax, 0x000CCFFF          // no reserved bit
            mov   ecx, 0x830
            wrmsr
        ",
        let_interrupts_in!(),
        r"
        31: dec   r14d
            jnz   30b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &["--cpus", "3"]);
    ended_well(&output);
    assert!(
        output.report().number("/totals/ipis/sent") > 100,
        "{output:?}"
    );
}

#[test]
fn everything_at_random() {
    let guest = guest!(
        everything_at_random,
        with_handlers!(),
        "mov r15, 0x2545F4914F6CDD1D",
        "mov r14d, 5000",
        "20:",
        random!(),
        r"
            mov   rdx, rax
            shr   rdx, 32
            test  al, 3                    // one in four to the deadline or the base
            jnz   22f
            mov   ecx, 0x6E0
            test  al, 4
            jz    23f
            mov   ecx, 0x1B
            or    eax, 0x800
            and   eax, 0xFEE00FFF
            or    eax, 0xFEE00000
            xor   edx, edx
            jmp   23f
        22: movzx ecx, ah
            or    ecx, 0x800
            and   edx, 0x3
        23: wrmsr
            mov   rbx, r15
            and   ebx, 0xFF0
            mov   ecx, 0xFEE00000
            add   rbx, rcx
            mov   [rbx], eax
        ",
        let_interrupts_in!(),
        r"
            dec   r14d
            jnz   20b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    for cpus in ["1", "4"] {
        ended_well(&run(&guest, &["--cpus", cpus]));
    }
}

#[test]
fn ipis_to_itself_and_to_nobody() {
    let guest = guest!(
        to_itself_and_nobody,
        with_handlers!(),
        enter_x2apic!(),
        r"
            mov   ecx, 0x80F
            mov   eax, 0x1FF
            xor   edx, edx
            wrmsr                          // SVR: enabled
            mov   r14d, 100
        20: mov   ecx, 0x830
            mov   eax, 0x40
            xor   edx, edx
            wrmsr                          // to itself, by its id
            sti
            hlt
            cli
            mov   ecx, 0x830
            mov   eax, 0x40
            mov   edx, 0x12345
            wrmsr                          // to nobody, by an id
            mov   ecx, 0x830
            mov   eax, 0x840
            mov   edx, 0x77770000
            wrmsr                          // to nobody, by a cluster
            mov   ecx, 0x830
            mov   eax, 0xC0040
            wrmsr                          // to all others, who wait for a start-up IPI
            dec   r14d
            jnz   20b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let report = run(&guest, &["--cpus", "3"]).passed();
    report.lost_nothing();
    assert_eq!(report.number("/totals/ipis/sent"), 400);
    assert_eq!(report.number("/vcpus/0/ipis/injected"), 100);
    assert_eq!(report.number("/vcpus/0/ipis/ended"), 100);
    assert_eq!(report.number("/totals/ipis/targets"), 300);
    for vcpu in [1, 2] {
        assert_eq!(report.number(&format!("/vcpus/{vcpu}/ipis/injected")), 0);
    }
}

#[test]
fn an_init_to_itself_ends_the_guest_and_not_the_machine() {
    // The boot processor goes on at the reset vector, where there is no firmware.
    let guest = guest!(
        init_to_itself,
        with_handlers!(),
        enter_x2apic!(),
        r"
            mov   ecx, 0x830
            mov   eax, 0x4500
            xor   edx, edx
            wrmsr
        2:  hlt
            jmp   2b
        "
    );
    for cpus in ["1", "2"] {
        let output = run(&guest, &["--cpus", cpus]);
        ended_well(&output);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(
            output.stderr.contains("vCPU 0 stopped at RIP"),
            "{output:?}"
        );
        assert!(output.stderr.contains("in real mode"), "{output:?}");
    }
}

#[test]
fn a_lint0_that_brings_init_resets_the_processor_too() {
    let guest = guest!(
        init_by_lint0,
        with_handlers!(),
        r"
            mov   ebx, 0xFEE00000
            mov   dword ptr [rbx + 0xF0], 0x1FF
            mov   dword ptr [rbx + 0x350], 0x500     // LINT0: INIT
            mov   al, 0x11                           // the 8259: edges, vectors from 0x20
            out   0x20, al
            mov   al, 0x20
            out   0x21, al
            mov   al, 4
            out   0x21, al
            mov   al, 1
            out   0x21, al
            xor   eax, eax                           // nothing masked
            out   0x21, al
            mov   edx, 0x2005                        // line 5 rises
            mov   al, 1
            out   dx, al
            mov   ecx, 1000
        1:  dec   ecx
            jnz   1b
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &[]);
    ended_well(&output);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("in real mode"), "{output:?}");
}

#[test]
fn a_periodic_timer_of_one_nanosecond() {
    let guest = guest!(
        timer_of_one,
        with_handlers!(),
        r"
            lea   rax, [rip + 60f]
            mov   word ptr [0x1000 + 0x40 * 16], ax
            mov   ebx, 0xFEE00000
            mov   dword ptr [rbx + 0xF0], 0x1FF
            mov   dword ptr [rbx + 0x3E0], 0xB       // divided by 1
            mov   dword ptr [rbx + 0x320], 0x20040   // periodic, vector 0x40
            mov   dword ptr [rbx + 0x380], 1
            mov   r14d, 300
            sti
        2:  hlt
            jmp   2b
        60: dec   r14d
            jz    61f
            mov   dword ptr [rbx + 0xB0], 0
            iretq
        61:
        ",
        tell!("exit 0"),
        "cli",
        "3: hlt",
        "jmp 3b",
    );
    let report = run(&guest, &[]).passed();
    report.lost_nothing();
    assert!(report.number("/vcpus/0/ipis/local_injected") >= 300);
    assert_eq!(
        report.number("/totals/ipis/sent"),
        0,
        "the timer's are no IPIs"
    );
}
