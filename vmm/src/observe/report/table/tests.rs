use crate::observe::report::tests::{Machine, busy, left, run};
use crate::observe::report::{ApicKind, Ending, Run};

/// The report of a small run, as people see it. After a change that is meant, write the new text
/// with `UPDATE_GOLDEN=1 cargo test -p vmm golden` and look at the difference.
#[test]
fn the_golden_report() {
    let text = busy(4).report(run(4), &left()).to_table();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/observe/report/golden.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).expect("the golden file is writable");
    }
    let golden = std::fs::read_to_string(path).expect("the golden file is there");
    assert!(text == golden, "the report has changed:\n{text}");
}

#[test]
fn many_vcpus_stay_readable() {
    let text = busy(64).report(run(64), &left()).to_table();
    assert!(
        text.lines().all(|line| line.len() <= 160),
        "a line is too long"
    );
    assert!(
        text.lines().count() <= 260,
        "{} lines",
        text.lines().count()
    );
    assert!(text.contains("The busiest 16 of 64 vCPUs"));
    assert!(text.contains("Exits, each vCPU") && !text.contains("Exits, vCPU 0"));
}

#[test]
fn an_apic_in_the_kernel_is_said_to_be_unseen() {
    let mut machine = Machine::new(2);
    machine.marker("begin ping target=halted");
    machine.marker("end cycles_mean=125000");
    machine.marker("exit 0");
    let text = machine
        .report(
            Run {
                apic: ApicKind::Kernel,
                ..run(2)
            },
            &[],
        )
        .to_table();
    assert!(text.contains("none of them is seen here") && text.contains("125000"));
    assert!(!text.contains("IPIs by vCPU") && !text.contains("lost"));
}

#[test]
fn what_went_wrong_is_at_the_top() {
    let mut machine = Machine::new(2);
    machine.marker("fail shootdown stale read on cpu 1");
    machine.marker("exit 1");
    let ending = Ending::Error("vCPU 1: triple fault at rip 0x200010 in 64-bit mode".to_owned());
    let text = machine.report(Run { ending, ..run(2) }, &[]).to_table();
    let top: Vec<_> = text.lines().take(6).collect();
    assert!(top[0].starts_with("ERROR"), "{top:?}");
    assert!(top.iter().any(|line| line.contains("triple fault")));
    assert!(
        top.iter()
            .any(|line| line.contains("shootdown: stale read on cpu 1"))
    );
}

#[test]
fn a_hostile_guest_cannot_flood_the_table() {
    let mut machine = Machine::new(1);
    for n in 0..3_000 {
        let long = "x".repeat(800);
        machine.marker(&format!("begin s{} k{n}={long}", n % 40));
        machine.marker(&format!("end r{n}={long}"));
        machine.marker(&format!("fail s text {n}"));
        machine.marker(&format!("result s r={n}"));
    }
    let text = machine.report(run(1), &[]).to_table();
    assert!(text.len() < 4 << 20, "{} bytes", text.len());
    assert!(text.lines().count() < 3_000);
}
