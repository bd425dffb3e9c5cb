//! The other commands, and what the command says of itself.

use serde_json::Value;
use tests::{Output, Vapic, vapic};

fn json(output: &Output) -> Value {
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "", "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {output:?}"))
}

fn says(arguments: &[&str], words: &[&str]) {
    let output = Vapic::new(arguments).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "", "{output:?}");
    for word in words {
        assert!(
            output.stdout.contains(word),
            "{word:?} is not in {output:?}"
        );
    }
}

#[test]
fn decode_says_what_a_value_means() {
    says(&["decode", "0xc4500"], &["INIT", "all", "but the sender"]);
    says(
        &["decode", "0x1000040fd"],
        &["x2APIC", "0xfd", "0x00000001"],
    );
    says(&["decode", "279709"], &["vector"]);
    says(
        &["decode", "0x40608", "--mode", "xapic"],
        &["xAPIC", "start-up"],
    );
}

#[test]
fn decode_names_an_invalid_combination() {
    // Reserved delivery mode 3, and an INIT to the sender alone.
    for value in ["0x340", "0x44500"] {
        let output = Vapic::new(&["decode", value]).run();
        output.did_not_panic();
        assert!(output.stdout.contains("invalid"), "{output:?}");
    }
}

#[test]
fn decode_speaks_json_too() {
    let decoded = json(&Vapic::new(&["decode", "0x1000040fd", "--json"]).run());
    assert!(decoded.is_object(), "{decoded}");
    assert!(decoded.to_string().contains("253"), "{decoded}");
}

#[test]
fn probe_tells_what_this_host_can_do() {
    let output = vapic(&["probe"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    for part in [
        "Capability",
        "X86_USER_SPACE_MSR",
        "Probe",
        "x2APIC write (ICR)",
        "NMI depth",
    ] {
        assert!(
            output.stdout.contains(part),
            "{part:?} is not in {output:?}"
        );
    }
}

#[test]
fn probe_speaks_json_too() {
    let probed = json(&vapic(&["probe", "--json"]));
    let text = probed.to_string();
    for part in ["X86_USER_SPACE_MSR", "tsc", "nmi", "deadline"] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    says(&["--help"], &["Usage: vapic", "run", "decode", "probe"]);
    says(
        &["run", "--help"],
        &["--cpus", "--apic-mode", "--report-file"],
    );
    says(&["--version"], &["vapic 0."]);
}

#[test]
fn run_is_what_is_done_when_nothing_is_named() {
    let report = vapic(&["--scenario", "self", "--cpus", "1", "--report", "json"]).passed();
    assert_eq!(report.json()["run"]["scenario"], "self");
    assert_eq!(report.json()["run"]["apic_mode"], "both");
}
