//! Guests that write anything to any port: what they say stays bounded, and nothing of it is
//! believed.

use tests::{Elf, Output, Vapic, guest, random, say, tell, with_handlers};

fn run(guest: &Elf, arguments: &[&str]) -> Output {
    Vapic::guest(guest, &[&["--report", "json"], arguments].concat()).run()
}

#[test]
fn a_console_that_is_filled() {
    let guest = guest!(
        fills_the_console,
        r"
            mov   esi, 0x300000            // zeros
            mov   ecx, 65536
            mov   edx, 0x3F8
            rep   outsb
        ",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &[]);
    let _ = output.passed();
    assert_eq!(output.stderr.len(), 65536, "the console is passed on whole");
}

#[test]
fn marker_lines_without_end_or_sense() {
    let guest = guest!(
        marker_noise,
        "mov r15, 0x9E3779B97F4A7C15",
        // 64 KiB of one line, then its end.
        r"
            mov   esi, 0x400000
            mov   ecx, 65536
            mov   edx, 0x700
            rep   outsb
        ",
        tell!(""),
        // Random bytes, a newline among them now and then.
        "mov edi, 0x300000",
        "mov r14d, 2048",
        "30:",
        random!(),
        r"
            mov   [rdi], rax
            add   rdi, 8
            dec   r14d
            jnz   30b
            mov   esi, 0x300000
            mov   ecx, 16384
            mov   edx, 0x700
            rep   outsb
        ",
        tell!(""),
        // More phases, results and failures than anyone keeps.
        "mov r14d, 5000",
        "40:",
        tell!("begin noise a=1"),
        tell!("end b=2"),
        tell!("result noise c=3"),
        "dec r14d",
        "jnz 40b",
        tell!("end"),
        tell!("begin"),
        tell!("begin UPPER"),
        tell!("exit"),
        tell!("exit -1"),
        tell!("exit 4294967296"),
        tell!("dance"),
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &[]);
    let report = output.passed();
    assert!(
        report.number("/markers/malformed_lines") >= 9,
        "{}",
        report.json()["markers"]
    );
    assert_eq!(report.number("/markers/dropped_phases"), 5000 - 4096);
    assert_eq!(report.number("/markers/dropped_results"), 5000 - 4096);
    assert_eq!(output.stderr, "", "noise is counted, not printed");
}

#[test]
fn failures_without_number_fail_the_run_in_few_lines() {
    let guest = guest!(
        failures_without_number,
        "mov r14d, 2000",
        "20:",
        tell!("fail noise over and over"),
        "dec r14d",
        "jnz 20b",
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &[]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = output.report();
    assert_eq!(report.status(), "failed");
    let kept = report.json()["failures"].as_array().map_or(0, Vec::len) as i64;
    assert_eq!(kept + report.number("/markers/dropped_failures"), 2000);
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
}

#[test]
fn accesses_to_ports_and_memory_that_are_not_there() {
    let guest = guest!(
        nobody_there,
        with_handlers!(),
        r"
            xor   r14d, r14d
        20: mov   edx, r14d
            cmp   edx, 0x700               // the marker port has tests of its own
            je    21f
            cmp   edx, 0xF0                // the debug exit is in what is written here
            jb    19f
            cmp   edx, 0xF8
            jb    21f
        19: in    al, dx
            in    ax, dx
            in    eax, dx
            out   dx, eax
        21: add   r14d, 7
            cmp   r14d, 0x10000
            jb    20b
            mov   ebx, 0xC0000000
        22: mov   rax, [rbx]
            mov   [rbx], rax
            add   ebx, 0x1010101
            jnc   22b
            mov   ebx, 0xFEE00FFC          // across the end of the APIC page
            mov   rax, [rbx]
            mov   [rbx], rax
        ",
        say!("alive"),
        tell!("exit 0"),
        "2: hlt",
        "jmp 2b",
    );
    let output = run(&guest, &[]);
    let _ = output.passed();
    assert!(output.stderr.contains("alive"), "{output:?}");
}

#[test]
fn a_wide_access_to_registers_of_a_byte_is_one_to_each() {
    // 0x70 with an index, 0x71 with what becomes of it: one OUT of two bytes, then a read of two.
    let guest = guest!(
        wide_accesses,
        r"
            mov   eax, 0x5A30              // CMOS memory 0x30
            mov   edx, 0x70
            out   dx, ax
            mov   al, 0x30
            out   0x70, al
            in    al, 0x71
            cmp   al, 0x5A
            jne   5f
            mov   edx, 0x20                // the 8259's command and mask, of which only the latter
            mov   eax, 0xA520              // takes 0xA5
            out   dx, ax
            in    ax, dx
            cmp   ah, 0xA5
            jne   5f
            mov   edi, 0x300000            // as a string: each element is an access
            mov   word ptr [rdi], 0x1130
            mov   word ptr [rdi + 2], 0x2230
            mov   esi, edi
            mov   ecx, 2
            mov   edx, 0x70
            cld
            rep   outsw
            in    al, 0x71
            cmp   al, 0x22
            jne   5f
        ",
        tell!("exit 0"),
        "5:",
        tell!("exit 1"),
        "6: hlt",
        "jmp 6b",
    );
    let _ = run(&guest, &[]).passed();
}
