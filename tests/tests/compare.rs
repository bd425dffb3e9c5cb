//! `vapic compare`: one workload on both APICs, an earlier comparison beside it, and progress.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tests::{Output, Vapic, guest, tell, vapic};

/// A comparison that takes less than a second.
const SHORT: [&str; 9] = [
    "compare",
    "--scenario",
    "self",
    "--cpus",
    "1",
    "--iterations",
    "20",
    "--runs",
    "2",
];

fn short(more: &[&str]) -> Output {
    vapic(&[&SHORT, more].concat())
}

fn json(output: &Output) -> Value {
    output.did_not_panic();
    assert_eq!(output.stdout.lines().count(), 1, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {output:?}"))
}

fn list<'a>(json: &'a Value, pointer: &str) -> &'a [Value] {
    let value = json.pointer(pointer).and_then(Value::as_array);
    value.unwrap_or_else(|| panic!("no list at {pointer} in {json}"))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

#[test]
fn every_phase_has_a_ratio_and_the_file_is_a_baseline() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("then.json");
    let output = short(&["--json", "--report-file", text(&path)]);
    assert_eq!(output.code, Some(0), "{output:?}");
    // Neither of the streams is a terminal: no progress.
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let then = fs::read_to_string(&path).expect("a report was written");
    let then: Value = serde_json::from_str(&then).expect("JSON");
    let rows = list(&then, "/rows");
    // Two ways in xAPIC mode, and the register besides in x2APIC mode.
    assert_eq!(rows.len(), 5, "{then}");
    for row in rows {
        assert_eq!(row["ratio"]["count"], 2, "{row}");
        for side in ["userspace", "kernel"] {
            let figures = list(row, &format!("/{side}"));
            assert!(
                figures.len() == 2 && figures.iter().all(Value::is_number),
                "{row}"
            );
        }
        let ratio = row["ratio"]["median"].as_f64().expect("a ratio");
        assert!(ratio.is_finite() && ratio > 0.0, "{row}");
    }
    let apics: Vec<_> = list(&then, "/runs")
        .iter()
        .map(|run| run["apic"].as_str())
        .collect();
    let (ours, kernels) = (Some("userspace"), Some("kernel"));
    assert_eq!(apics, [ours, kernels, kernels, ours]);

    let now = json(&short(&["--json", "--baseline", text(&path)]));
    assert_eq!(list(&now, "/against/changes").len(), 5, "{now}");
    for one_side in [
        "/against/only_now",
        "/against/only_then",
        "/against/differences",
    ] {
        assert!(list(&now, one_side).is_empty(), "{now}");
    }
    let table = short(&["--apic-mode", "xapic", "--baseline", text(&path)]);
    assert_eq!(
        (table.code, table.stderr.as_str()),
        (Some(0), ""),
        "{table:?}"
    );
    for words in [
        "Scenario self on 1 vCPU(s), xapic mode",
        "2 of 2 pair(s) complete, in the order UK KU",
        "not the same as then: APIC mode: xapic now, both then",
        "Only then: self mode=x2apic way=register cycles_median",
    ] {
        assert!(
            table.stdout.contains(words),
            "{words:?} is not in {table:?}"
        );
    }
}

/// A guest that is content with our APIC's version register (seven entries of the LVT) and not with
/// KVM's (six, unless its user enabled the CMCI).
fn content_with_ours_only(folder: &Path) -> PathBuf {
    let guest = guest!(
        seven_lvt_entries,
        "mov   ebx, 0xFEE00000",
        "mov   ebx, dword ptr [rbx + 0x30]",
        tell!("begin entries way=page"),
        tell!("end most=7"),
        "shr   ebx, 16",
        "cmp   bl, 6",
        "jne   1f",
        tell!("exit 0"),
        "0: hlt",
        "jmp 0b",
        "1:",
        tell!("fail entries another number"),
        tell!("exit 1"),
        "2: hlt",
        "jmp 2b",
    );
    let path = folder.join("kernel");
    fs::write(&path, guest.bytes()).expect("a guest can be written");
    path
}

#[test]
fn a_side_that_fails_is_said_and_the_other_is_kept() {
    let folder = TempDir::new().expect("a temporary folder");
    let kernel = content_with_ours_only(folder.path());
    let arguments = [
        "compare",
        "--kernel",
        text(&kernel),
        "--cpus",
        "1",
        "--runs",
        "2",
    ];
    let table = vapic(&arguments);
    assert_eq!(table.code, Some(1), "{table:?}");
    for words in [
        "FAILED: 2 of 4 runs",
        "0 of 2 pair(s) complete",
        "entries   page",
    ] {
        assert!(
            table.stdout.contains(words),
            "{words:?} is not in {table:?}"
        );
    }
    let reason = "pair 1 of 2, KVM's own APIC: the guest reported 1 failure(s)";
    assert!(
        table.stdout.contains(reason) && table.stderr.contains(reason),
        "{table:?}"
    );

    let path = folder.path().join("report");
    let output = vapic(&[&arguments[..], &["--json", "--report-file", text(&path)]].concat());
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = fs::read_to_string(&path).expect("a report was written");
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let statuses: Vec<_> = list(&report, "/runs")
        .iter()
        .map(|run| run["status"].as_str())
        .collect();
    let (passed, failed) = (Some("passed"), Some("failed"));
    assert_eq!(statuses, [passed, failed, failed, passed]);
    let row = &list(&report, "/rows")[0];
    assert_eq!(
        (&row["userspace_median"], &row["kernel_median"]),
        (&7.0.into(), &Value::Null)
    );
}

#[test]
fn a_report_file_that_is_full_loses_nothing() {
    let output = short(&["--report-file", "/dev/full"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("/dev/full"), "{output:?}");
    assert!(output.stdout.contains("Scenario self"), "{output:?}");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let folder = TempDir::new().expect("a temporary folder");
    let other = folder.path().join("other.json");
    fs::write(&other, r#"{"schema": 1, "run": {}, "phases": []}"#).expect("a file can be written");
    let other = text(&other);
    short(&["--baseline", other]).refused(2, &["no comparison", "vapic compare --json"]);
    short(&["--baseline", "/nowhere/then"]).refused(2, &["baseline", "vapic compare --json"]);
    short(&["--baseline", "/dev/zero"]).refused(2, &["not a regular file"]);
    short(&["--report-file", "/nowhere/now"]).refused(2, &["report", "writable folder"]);
    vapic(&["compare", "--apic", "kernel"]).refused(2, &["--apic"]);
    vapic(&["compare", "--runs", "0"]).refused(2, &["--runs"]);
    // What the runs cannot use is refused by the first of them, in its words.
    let report = folder.path().join("report");
    let missing = [
        "compare",
        "--kernel",
        "/nowhere/kernel",
        "--report-file",
        text(&report),
    ];
    vapic(&missing).refused(2, &["does not exist", "--kernel"]);
    assert!(!report.exists());
    Vapic::after("mount --bind /dev/null /dev/kvm", &SHORT)
        .with_kvm()
        .run()
        .refused(1, &["/dev/kvm is not a KVM device"]);
}

#[test]
fn an_interruption_ends_the_guest_too() {
    let folder = TempDir::new().expect("a temporary folder");
    let kernel = folder.path().join("kernel");
    let sleeper = guest!(sleeps_for_ever, "0: hlt", "jmp 0b");
    fs::write(&kernel, sleeper.bytes()).expect("a guest can be written");
    let arguments = ["compare", "--kernel", text(&kernel), "--cpus", "1"];
    let limit = Duration::from_secs(20);
    let mut running = Vapic::new(&arguments).with_kvm().limit(limit).start();
    let child = running.wait_for_child(None);
    running.signal("TERM");
    running
        .wait()
        .refused(1, &["interrupted before the first run"]);
    assert!(
        !Path::new(&format!("/proc/{child}")).exists(),
        "it is left running"
    );
}

#[test]
fn an_interruption_keeps_what_was_gathered() {
    let arguments = [&SHORT[..7], &["--runs", "100", "--json"]].concat();
    let mut running = Vapic::new(&arguments).with_kvm().start();
    let mut child = None;
    for _ in 0..4 {
        child = Some(running.wait_for_child(child));
    }
    running.signal("INT");
    let output = running.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    let report = json(&output);
    assert_eq!(report["interrupted"], true);
    let runs = list(&report, "/runs").len();
    assert!((3..200).contains(&runs), "{runs} runs");
    assert!(
        list(&report, "/rows")
            .iter()
            .all(|row| !row["ratio"].is_null()),
        "{report}"
    );
}

/// What the command writes to a terminal that has all of its streams, but for what `redirection`
/// leads elsewhere.
fn on_a_terminal(arguments: &[&str], redirection: &str) -> String {
    let binary = Vapic::path();
    let command = format!("'{}' {} {redirection}", text(&binary), arguments.join(" "));
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &command, "/dev/null"])
        .output()
        .unwrap_or_else(|error| panic!("not run: script (of util-linux) does not start: {error}"));
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command}: {written}");
    written
}

#[test]
fn progress_is_on_a_terminal_and_not_beside_a_guests_console() {
    let compare = on_a_terminal(&SHORT, "> /dev/null");
    assert!(
        compare.contains("pair 2, user-space APIC") && compare.contains("3 of 4"),
        "{compare:?}"
    );
    let compare = on_a_terminal(&SHORT, "2> /dev/null");
    assert!(
        compare.contains("Scenario self") && !compare.contains("pair 2, user"),
        "{compare:?}"
    );

    let run = ["run", "--scenario", "self", "--cpus", "1"];
    let console_elsewhere = on_a_terminal(&run, "> /dev/null");
    assert!(
        console_elsewhere.contains("the guest runs"),
        "{console_elsewhere:?}"
    );
    let console_here = on_a_terminal(&run, "");
    assert!(!console_here.contains("the guest runs"), "{console_here:?}");
    let console_here = on_a_terminal(&[&run[..], &["--report", "json"]].concat(), "> /dev/null");
    assert!(!console_here.contains("the guest runs"), "{console_here:?}");
}
