//! Every scenario of the embedded guest, on both APICs and in both modes, and that it can fail.

use tests::{Report, vapic};

/// Runs a scenario to its end and checks what holds for every one.
fn scenario(name: &str, arguments: &[&str]) -> Report {
    let run = ["run", "--scenario", name, "--report", "json"];
    let report = vapic(&[&run, arguments].concat()).passed();
    report.lost_nothing();
    assert_eq!(report.json()["failures"].as_array().map(Vec::len), Some(0));
    for mark in [
        "unfinished_phases",
        "dropped_phases",
        "dropped_results",
        "malformed_lines",
    ] {
        assert_eq!(report.json()["markers"][mark], 0, "{mark}");
    }
    report
}

/// The same on KVM's own APIC, where no IPI reaches us and the guest's judgement is all.
fn scenario_in_kernel(name: &str, mode: &str) {
    let report = scenario(
        name,
        &["--apic", "kernel", "--apic-mode", mode, "--seconds", "0.3"],
    );
    assert_eq!(report.number("/totals/ipis/sent"), 0);
    assert_eq!(report.number("/totals/exits/apic_icr/count"), 0);
    assert!(report.number("/totals/exits/port/count") > 0);
}

#[test]
fn the_tour_passes_in_both_modes() {
    let report = scenario("tour", &["--seconds", "0.3"]);
    for name in [
        "self",
        "ping",
        "resched",
        "nmi",
        "broadcast",
        "shootdown",
        "storm",
    ] {
        for mode in ["xapic", "x2apic"] {
            let phases = report.phases(&[("mode", mode)]);
            assert!(
                phases.iter().any(|phase| phase["scenario"] == name),
                "{name} in {mode}"
            );
        }
    }
}

#[test]
fn the_tour_passes_on_the_kernels_apic() {
    for mode in ["xapic", "x2apic"] {
        scenario_in_kernel("tour", mode);
    }
}

#[test]
fn one_processor_is_enough() {
    let report = scenario("tour", &["--cpus", "1", "--seconds", "0.2"]);
    assert_eq!(report.json()["vcpus"].as_array().map(Vec::len), Some(1));
}

#[test]
fn sixty_four_processors_start_and_are_shot_down() {
    for mode in ["xapic", "x2apic"] {
        let arguments = ["--cpus", "64", "--apic-mode", mode, "--iterations", "2"];
        let report = scenario("shootdown", &arguments);
        let to_all = report.phases(&[("way", "allbutself")]);
        assert!(
            to_all.iter().all(|phase| phase["labels"]["targets"] == 63),
            "{mode}"
        );
        assert!(!to_all.is_empty(), "{mode}");
        for vcpu in 1..64 {
            let ended = report.number(&format!("/vcpus/{vcpu}/ipis/ended"));
            assert!(ended > 0, "vCPU {vcpu} in {mode}");
        }
    }
}

#[test]
fn more_vcpus_than_flat_mode_reaches_pass_too() {
    scenario(
        "tour",
        &["--cpus", "12", "--seconds", "0.2", "--iterations", "3"],
    );
}

#[test]
fn a_storm_of_eight_loses_nothing() {
    for mode in ["xapic", "x2apic"] {
        let arguments = ["--cpus", "8", "--seconds", "3", "--apic-mode", mode];
        let report = scenario("storm", &arguments);
        let sent = report.number("/totals/ipis/sent");
        assert!(sent > 1000, "{sent} IPIs in {mode} are no storm");
        let [phase] = report.phases(&[("mode", mode)])[..] else {
            panic!("one phase")
        };
        assert!(
            phase["results"]["microseconds"].as_i64() >= Some(3_000_000),
            "{phase}"
        );
    }
}

#[test]
#[ignore = "takes a minute; part of `cargo xtask test`, left out by `--fast`"]
fn pings_to_a_halted_target_all_arrive() {
    // `cargo xtask soak` sends millions.
    const PINGS: u64 = 200_000;
    let iterations = PINGS.to_string();
    let run = ["run", "--report", "json", "--scenario", "ping"];
    let arguments = ["--cpus", "2", "--apic-mode", "x2apic", "--iterations"];
    let limit = std::time::Duration::from_secs(600);
    let output = tests::Vapic::new(&[&run[..], &arguments, &[&iterations]].concat())
        .with_kvm()
        .limit(limit)
        .run();
    let report = output.passed();
    report.lost_nothing();
    let [phase] = report.phases(&[("target", "halt")])[..] else {
        panic!("one phase")
    };
    assert_eq!(phase["results"]["iterations"], PINGS);
    assert_eq!(phase["ipis_sent"], PINGS);
    assert_eq!(phase["vcpus"][1]["injected"], PINGS);
    assert_eq!(phase["vcpus"][1]["ended"], PINGS);
}

#[test]
fn a_stale_translation_fails_the_run() {
    for apic in ["userspace", "kernel"] {
        let run = [
            "run",
            "--scenario",
            "shootdown",
            "--cpus",
            "2",
            "--apic-mode",
            "x2apic",
        ];
        let fault = [
            "--cmdline",
            "fault=stale",
            "--report",
            "json",
            "--apic",
            apic,
        ];
        let output = vapic(&[&run[..], &fault].concat());
        assert_eq!(output.code, Some(1), "{output:?}");
        let report = output.report();
        assert_eq!(report.status(), "failed");
        assert_eq!(report.json()["failures"][0]["scenario"], "shootdown");
        report.lost_nothing();
    }
}
