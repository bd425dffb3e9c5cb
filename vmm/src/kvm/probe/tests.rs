//! The probes on this host; what every host must answer, and what the JSON looks like.

use std::time::{Duration, Instant};

use super::*;
use crate::kvm::host::tests::host;

fn answer<T>(answer: &Answer<T>) -> &T {
    match answer {
        Answer::Answer(answer) => answer,
        Answer::NoAnswer(reason) => panic!("no answer: {reason}"),
    }
}

#[test]
fn every_question_has_an_answer_and_the_apic_is_reachable() {
    let report = full(&host()).unwrap();
    let probes = &report.probes;
    assert_eq!(
        *answer(&probes.x2apic_write),
        MsrAccess::Exits { reason: "inval" }
    );
    assert_eq!(
        *answer(&probes.x2apic_read),
        MsrAccess::Exits { reason: "inval" }
    );
    assert_eq!(
        *answer(&probes.apic_base_write),
        MsrAccess::Exits { reason: "filter" }
    );
    answer(&probes.tsc_deadline_write);
    assert!(answer(&probes.tpr_exits).value_seen);
    let window = *answer(&probes.interrupt_window);
    assert!(
        matches!(
            window,
            InterruptWindow::Opens {
                delivered: true,
                ..
            }
        ),
        "{window:?}"
    );
    answer(&probes.sti_hlt_window);
    answer(&probes.blocked_interrupt);
    assert!((1..=3).contains(&answer(&probes.nmi_depth).delivered));
    assert!(answer(&probes.hlt).runs_on);
}

#[test]
fn quick_agrees_with_full() {
    let host = host();
    let quick = quick(&host).unwrap();
    let full = full(&host).unwrap().probes;
    assert_eq!(
        quick.tsc_deadline_exits,
        answer(&full.tsc_deadline_write).exits()
    );
    assert_eq!(quick.tpr_fall_exits, answer(&full.tpr_exits).on_fall);
}

#[test]
fn a_guest_that_does_not_exit_is_stopped() {
    let host = host();
    let ask = Asker::new(&host).unwrap();
    let mut scratch = Scratch::new(&host, &ask.cpuid).unwrap();
    let start = Instant::now();
    let stopped = watchdog::bounded(Duration::from_millis(50), move |expired| {
        scratch.watch(expired);
        // jmp to itself.
        scratch.start(&[0xEB, 0xFE], |_| {})?;
        scratch.run()
    });
    assert!(matches!(stopped, Err(Stopped::Expired)), "{stopped:?}");
    assert!(start.elapsed() < Duration::from_secs(10));
}

#[test]
fn the_json_has_four_parts_and_a_schema_number() {
    let json = serde_json::to_value(full(&host()).unwrap()).unwrap();
    assert_eq!(json["schema"], SCHEMA);
    assert!(json["host"]["max_vcpus"].as_u64().unwrap() >= 64);
    assert_eq!(json["capabilities"][0]["name"], "USER_MEMORY");
    assert_eq!(json["probes"]["x2apic_write"]["answer"]["reason"], "inval");
    assert!(json["probes"]["interrupt_window"]["answer"]["late"].is_u64());
}

#[test]
fn the_table_names_every_probe_and_capability() {
    let report = full(&host()).unwrap();
    let text = report.to_string();
    for name in [
        "X86_USER_SPACE_MSR",
        "x2APIC write (ICR)",
        "NMI depth",
        "HLT",
    ] {
        assert!(text.contains(name), "{name} is not in\n{text}");
    }
}

/// `cargo test -p vmm --lib --release -- --ignored --nocapture quick_costs` prints the cost.
#[test]
#[ignore = "prints a measurement"]
fn quick_costs() {
    let host = host();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let start = Instant::now();
            quick(&host).unwrap();
            start.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "quick: least {:?}, median {:?}, most {:?}",
        times[0], times[25], times[49]
    );
    println!("{}", full(&host).unwrap());
}
