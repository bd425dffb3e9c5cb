//! The arithmetic of a shootdown: what the guest did, exactly, is what the report counts.

use serde_json::Value;
use tests::{Report, vapic};

fn shootdown(mode: &str) -> Report {
    let report = vapic(&[
        "run",
        "--scenario",
        "shootdown",
        "--cpus",
        "4",
        "--apic-mode",
        mode,
        "--report",
        "json",
    ])
    .passed();
    report.lost_nothing();
    report
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {name} in {value}"))
}

/// Targets and rounds of a phase.
fn size(phase: &Value) -> (u64, u64) {
    (
        number(&phase["labels"], "targets"),
        number(&phase["results"], "iterations"),
    )
}

/// The counters of the sender, of its targets, and of those that are neither.
fn roles(phase: &Value) -> (&Value, &[Value], &[Value]) {
    let vcpus = phase["vcpus"].as_array().expect("a list of vCPUs");
    let (sender, others) = vcpus.split_first().expect("a sender");
    let targets = usize::try_from(size(phase).0).expect("a small number");
    let (targets, bystanders) = others.split_at(targets);
    (sender, targets, bystanders)
}

#[test]
fn a_unicast_in_x2apic_mode_is_one_icr_exit_and_one_eoi_exit_for_each_target() {
    let report = shootdown("x2apic");
    let phases = report.phases(&[("mode", "x2apic"), ("way", "unicast")]);
    // 1 to 3 targets, and 1, 33 and 512 pages.
    assert_eq!(phases.len(), 9);
    for phase in phases {
        let (count, rounds) = size(phase);
        let (sender, targets, bystanders) = roles(phase);
        assert_eq!(number(sender, "apic_icr"), count * rounds, "{phase}");
        assert_eq!(number(sender, "apic_icr2"), 0, "{phase}");
        assert_eq!(number(sender, "apic_eoi"), 0, "{phase}");
        for target in targets {
            assert_eq!(number(target, "injected"), rounds, "{phase}");
            assert_eq!(number(target, "apic_eoi"), rounds, "{phase}");
            assert_eq!(number(target, "apic_icr"), 0, "{phase}");
        }
        for bystander in bystanders {
            assert_eq!(number(bystander, "injected"), 0, "{phase}");
        }
    }
}

#[test]
fn a_unicast_in_xapic_mode_writes_both_halves_of_the_icr() {
    let report = shootdown("xapic");
    let phases = report.phases(&[("mode", "xapic"), ("way", "unicast")]);
    assert_eq!(phases.len(), 9);
    for phase in phases {
        let (count, rounds) = size(phase);
        let (sender, targets, _) = roles(phase);
        assert_eq!(number(sender, "apic_icr"), count * rounds, "{phase}");
        assert_eq!(number(sender, "apic_icr2"), count * rounds, "{phase}");
        for target in targets {
            assert_eq!(
                number(target, "apic_eoi"),
                number(target, "injected"),
                "{phase}"
            );
            assert_eq!(number(target, "injected"), rounds, "{phase}");
        }
    }
}

#[test]
fn a_multicast_needs_fewer_writes_and_reaches_the_same() {
    let report = shootdown("x2apic");
    for way in ["multicast", "allbutself"] {
        let phases = report.phases(&[("way", way)]);
        assert!(phases.len() >= 3, "{way}");
        for phase in phases {
            let (count, rounds) = size(phase);
            let (sender, targets, bystanders) = roles(phase);
            // Four processors are one cluster.
            assert_eq!(number(sender, "apic_icr"), rounds, "{phase}");
            assert_eq!(number(sender, "targets"), count * rounds, "{phase}");
            assert!(
                targets
                    .iter()
                    .all(|target| number(target, "injected") == rounds),
                "{phase}"
            );
            assert!(
                bystanders
                    .iter()
                    .all(|other| number(other, "injected") == 0),
                "{phase}"
            );
        }
    }
}

#[test]
fn the_parts_add_up_to_the_whole() {
    let report = shootdown("x2apic");
    let vcpus = report.json()["vcpus"].as_array().expect("a list of vCPUs");
    for name in [
        "sent", "targets", "posted", "accepted", "injected", "ended", "refused",
    ] {
        let sum: u64 = vcpus.iter().map(|vcpu| number(&vcpu["ipis"], name)).sum();
        assert_eq!(
            sum,
            number(&report.json()["totals"]["ipis"], name),
            "{name}"
        );
    }
    let exits = report.json()["totals"]["exits"]
        .as_object()
        .expect("exits by cause");
    for (cause, exit) in exits {
        let sum: u64 = vcpus
            .iter()
            .map(|vcpu| number(&vcpu["exits"][cause], "count"))
            .sum();
        assert_eq!(sum, number(exit, "count"), "{cause}");
    }
    let all: u64 = exits.values().map(|exit| number(exit, "count")).sum();
    assert_eq!(all, number(&report.json()["totals"], "exit_count"));
    let rows = report.json()["matrix"]["posted"]
        .as_array()
        .expect("a matrix");
    for (source, row) in rows.iter().enumerate() {
        let posted: u64 = row
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(
            posted,
            number(&vcpus[source]["ipis"], "posted"),
            "from {source}"
        );
    }
}
