//! How a run can end other than by its guest's wish: the vCPU at fault is named, the report stays.

use std::time::Duration;

use tests::{Elf, Output, Vapic, guest, say, tell, with_handlers};

const JSON: [&str; 2] = ["--report", "json"];

/// That the run failed at `rip` in 64-bit mode on vCPU 0, with a report that says so.
fn failed_at(output: &Output, rip: u64, why: &str) {
    assert_eq!(output.code, Some(1), "{output:?}");
    let place = format!("vCPU 0 stopped at RIP {rip:#x} in 64-bit mode");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(
        output.stderr.contains(&place) && output.stderr.contains(why),
        "{output:?}"
    );
    let report = output.report();
    assert_eq!(report.status(), "error");
    let reason = report.json()["outcome"]["reasons"][0]
        .as_str()
        .unwrap_or_default();
    assert!(reason.contains(&place) && reason.contains(why), "{reason}");
    assert!(
        report.number("/totals/exits/port/count") > 0,
        "what was seen before is kept"
    );
}

/// That a signal ended the run in good order.
fn interrupted(output: &Output) {
    let report = output.report();
    assert_eq!(report.status(), "interrupted", "{output:?}");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(
        report.json()["outcome"]["reasons"].as_array().map(Vec::len),
        Some(0)
    );
}

/// Starts a guest, sends the signal once it has said `ready`, and gives it 20 s to end.
fn signalled(guest: &Elf, arguments: &[&str], signal: &str) -> Output {
    let arguments = [arguments, &JSON].concat();
    let mut running = Vapic::guest(guest, &arguments)
        .limit(Duration::from_secs(20))
        .start();
    running.wait_for("ready");
    // Time to get where it is going.
    std::thread::sleep(Duration::from_millis(300));
    running.signal(signal);
    running.wait()
}

#[test]
fn a_triple_fault_is_named_with_its_place() {
    let guest = guest!(
        triple_fault,
        r"
            out   0x80, al         // +0
            lidt  [rip + 2f]       // +2
            ud2                    // +9
        2:  .word 0
            .quad 0
        ",
    );
    let output = Vapic::guest(&guest, &JSON).run();
    failed_at(&output, Elf::START + 9, "triple fault");
    let output = Vapic::guest(&guest, &[&JSON[..], &["--apic", "kernel"]].concat()).run();
    failed_at(&output, Elf::START + 9, "triple fault");
}

#[test]
fn an_instruction_that_kvm_cannot_emulate_is_named_with_its_place() {
    // Code cannot be fetched from an address without memory, on any host.
    let guest = guest!(
        jump_to_nowhere,
        r"
            out   0x80, al
            mov   eax, 0xD0000000
            jmp   rax
        "
    );
    let output = Vapic::guest(&guest, &JSON).run();
    failed_at(&output, 0xD000_0000, "KVM internal error");
}

#[test]
fn an_instruction_that_kvm_cannot_emulate_is_named() {
    // Where ring 0 is not interpreted, KVM emulates what reaches a device's memory alone, and XRSTOR
    // is not among it anywhere.
    let guest = guest!(
        state_from_nowhere,
        r"
            out   0x80, al
            mov   ebx, 0xD0000000
            xrstor [rbx]           // +7
        "
    );
    let output = Vapic::guest(&guest, &JSON).run();
    failed_at(&output, Elf::START + 7, "`xrstor [rbx]` (0f ae 2b)");
}

#[test]
fn a_failed_run_writes_its_report_file_too() {
    let guest = guest!(
        triple_fault_to_file,
        r"
            out   0x80, al
            lidt  [rip + 2f]
            ud2
        2:  .word 0
            .quad 0
        ",
    );
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report.json");
    let file = path.to_str().expect("a temporary path is UTF-8");
    let output = Vapic::guest(&guest, &["--report", "json", "--report-file", file]).run();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.stdout, "", "{output:?}");
    let report = std::fs::read_to_string(&path).expect("the report is written");
    assert_eq!(tests::Report::parse(&report).status(), "error");
}

#[test]
fn the_guests_own_status_decides() {
    let guest = guest!(status_three, tell!("exit 3"), "2: hlt", "jmp 2b");
    let output = Vapic::guest(&guest, &JSON).run();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.report().status(), "failed");
    assert!(
        output.stderr.contains("the guest ended with status 3"),
        "{output:?}"
    );
}

#[test]
fn a_guest_that_halts_for_ever_is_ended_by_a_signal() {
    let guest = guest!(halts_for_ever, say!("ready"), "cli", "2: hlt", "jmp 2b");
    for signal in ["INT", "TERM"] {
        interrupted(&signalled(&guest, &[], signal));
    }
    // On KVM's own APIC the halt is KVM's.
    interrupted(&signalled(&guest, &["--apic", "kernel"], "INT"));
}

#[test]
fn a_guest_that_spins_for_ever_is_ended_by_a_signal() {
    let guest = guest!(spins_for_ever, say!("ready"), "2: jmp 2b");
    for apic in ["userspace", "kernel"] {
        interrupted(&signalled(&guest, &["--apic", apic], "INT"));
        interrupted(&signalled(&guest, &["--apic", apic], "TERM"));
    }
}

#[test]
fn processors_that_were_never_started_end_with_the_rest() {
    let guest = guest!(leaves_the_others_alone, say!("ready"), "2: hlt", "jmp 2b");
    for apic in ["userspace", "kernel"] {
        interrupted(&signalled(&guest, &["--cpus", "16", "--apic", apic], "INT"));
    }
}

#[test]
fn a_storm_is_ended_by_a_signal() {
    let arguments = [
        "run",
        "--scenario",
        "storm",
        "--cpus",
        "4",
        "--seconds",
        "600",
    ];
    let arguments = [&arguments[..], &JSON].concat();
    for signal in ["INT", "TERM"] {
        let mut running = Vapic::new(&arguments).with_kvm().start();
        running.wait_for("processors up");
        std::thread::sleep(Duration::from_millis(500));
        running.signal(signal);
        let output = running.wait();
        interrupted(&output);
        output.report().lost_nothing();
    }
}

#[test]
fn a_timer_that_never_rests_does_not_hold_up_a_signal() {
    // Interrupts stay off: the timer expires for nothing, again and again.
    let guest = guest!(
        timer_for_nothing,
        with_handlers!(),
        r"
            mov   ebx, 0xFEE00000
            mov   dword ptr [rbx + 0xF0], 0x1FF      // SVR: enabled
            mov   dword ptr [rbx + 0x3E0], 0xB       // divided by 1
            mov   dword ptr [rbx + 0x320], 0x20040   // periodic, vector 0x40
            mov   dword ptr [rbx + 0x380], 1         // every ns
        ",
        say!("ready"),
        "2: hlt",
        "jmp 2b",
    );
    interrupted(&signalled(&guest, &[], "INT"));
}

#[test]
fn no_time_at_all_is_a_time() {
    let guest = guest!(halts_without_time, "1: hlt", "jmp 1b");
    let output = Vapic::guest(&guest, &[&JSON[..], &["--timeout", "0"]].concat())
        .limit(Duration::from_secs(30))
        .run();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(output.report().status(), "error");
    assert!(output.stderr.contains("--timeout"), "{output:?}");
}
