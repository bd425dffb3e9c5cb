//! Recorded runs: the report again, the replay, and what a trace that is not whole is worth.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tests::Vapic;

/// Names of files in a folder of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

/// Records a run; returns its trace and its live report.
fn record(files: &Files, arguments: &[&str]) -> (PathBuf, Value) {
    let (trace, live) = (files.path("run.trace"), files.path("live.json"));
    let mut all = vec!["run", "--report", "json"];
    all.extend(["--report-file", text(&live), "--trace", text(&trace)]);
    all.extend(arguments);
    let output = Vapic::new(&all).with_kvm().run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let live = fs::read(live).expect("the report was written");
    (trace, serde_json::from_slice(&live).expect("it is JSON"))
}

/// The report made from a trace alone, without what only a trace tells.
fn offline(trace: &Path) -> (Value, Value) {
    let output = Vapic::new(&["report", text(trace), "--json"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let mut report: Value = serde_json::from_str(&output.stdout).expect("it is JSON");
    let fields = report.as_object_mut().expect("a report has fields");
    let analysis = fields.remove("analysis").expect("a trace is analysed");
    (report, analysis)
}

fn assert_identical_replay(trace: &Path) {
    let replay = Vapic::new(&["replay", text(trace)]).run();
    assert_eq!(replay.code, Some(0), "{replay:?}");
    assert!(replay.stdout.starts_with("IDENTICAL: "), "{replay:?}");
    assert!(!replay.stdout.contains("no end"), "{replay:?}");
}

fn assert_identical_as_far_as_it_goes(trace: &Path) {
    let replay = Vapic::new(&["replay", text(trace)]).run();
    assert_eq!(replay.code, Some(0), "{replay:?}");
    assert!(replay.stdout.starts_with("IDENTICAL: "), "{replay:?}");
    assert!(replay.stdout.contains("The trace has no end"), "{replay:?}");
}

#[test]
fn the_report_from_a_trace_is_the_live_one_and_its_replay_is_identical() {
    for mode in ["xapic", "x2apic"] {
        let files = Files::new();
        let arguments = ["--cpus", "4", "--apic-mode", mode, "--trace-policy", "wait"];
        let (trace, live) = record(&files, &arguments);
        assert_eq!(live["run"]["trace"]["lost_records"], 0, "{mode}");
        let (report, analysis) = offline(&trace);
        assert_eq!(report, live, "{mode}");
        assert_identical_replay(&trace);

        // The lives of IPIs add up to the report's own counts.
        let injected: u64 = analysis["fates"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|fate| fate["fate"] == "injected")
            .filter_map(|fate| fate["count"].as_u64())
            .sum();
        let unpaired = live["totals"]["ipis"]["unpaired"]
            .as_u64()
            .expect("a count");
        let counted = live["totals"]["ipis"]["injected"]
            .as_u64()
            .expect("a count");
        // An injection whose IPI is unknown is in no life, or in one whose time it contradicts.
        assert!(
            injected <= counted && counted <= injected + unpaired,
            "{mode}"
        );
        let sent: u64 = analysis["senders"]
            .as_array()
            .expect("a list")
            .iter()
            .filter(|sender| !sender["vcpu"].is_null())
            .filter_map(|sender| sender["ipis"].as_u64())
            .sum();
        assert_eq!(
            Some(sent),
            live["totals"]["ipis"]["sent"].as_u64(),
            "{mode}"
        );
    }
}

#[test]
fn a_storm_loses_no_record() {
    let files = Files::new();
    let arguments = ["--scenario", "storm", "--cpus", "4", "--seconds", "3"];
    let (trace, live) = record(&files, &arguments);
    assert_eq!(live["run"]["trace"]["lost_records"], 0);
    assert_eq!(offline(&trace).0, live);
    assert_identical_replay(&trace);
}

#[test]
fn a_run_on_kvms_own_apic_has_a_trace_and_no_replay() {
    let files = Files::new();
    let arguments = ["--apic", "kernel", "--scenario", "ping", "--cpus", "2"];
    let (trace, live) = record(&files, &arguments);
    assert_eq!(offline(&trace).0, live);
    let replay = Vapic::new(&["replay", text(&trace)]).run();
    replay.refused(2, &["--apic userspace"]);
}

#[test]
fn a_killed_run_leaves_what_it_wrote() {
    let files = Files::new();
    let trace = files.path("run.trace");
    let arguments = [
        "run",
        "--scenario",
        "storm",
        "--cpus",
        "4",
        "--seconds",
        "60",
        "--trace",
        text(&trace),
    ];
    let running = Vapic::new(&arguments).with_kvm().start();
    // Enough for blocks of every thread.
    let size = || fs::metadata(&trace).map_or(0, |data| data.len());
    let started = std::time::Instant::now();
    while size() < 1 << 20 {
        assert!(started.elapsed() < Vapic::LIMIT, "the trace does not grow");
        thread::sleep(Duration::from_millis(20));
    }
    running.signal("KILL");
    let _ = running.wait();

    let (report, _) = offline(&trace);
    assert_eq!(report["outcome"]["status"], "error");
    let reason = report["outcome"]["reasons"][0].as_str().expect("a reason");
    assert!(reason.contains("killed"), "{reason}");
    let sent = report["totals"]["ipis"]["sent"].as_u64();
    assert!(sent.is_some_and(|sent| sent > 1_000), "{sent:?}");
    assert_identical_as_far_as_it_goes(&trace);

    // A file that ends anywhere is read up to its last whole block.
    let whole = fs::read(&trace).expect("the trace can be read");
    let cut = files.path("cut.trace");
    for part in [2, 3, 7] {
        fs::write(&cut, whole.get(..whole.len() / part).unwrap_or_default())
            .expect("it can be written");
        let (report, _) = offline(&cut);
        assert!(report["totals"]["ipis"]["sent"].as_u64() < sent);
        assert_identical_as_far_as_it_goes(&cut);
    }
}

#[test]
fn records_beyond_the_limit_are_counted_and_said() {
    let files = Files::new();
    let arguments = ["--cpus", "2", "--trace-limit", "16K"];
    let (trace, live) = record(&files, &arguments);
    let lost = live["run"]["trace"]["lost_records"].as_u64();
    assert!(lost.is_some_and(|lost| lost > 0), "{lost:?}");
    let (report, _) = offline(&trace);
    assert_eq!(report["run"], live["run"]);
    let replay = Vapic::new(&["replay", text(&trace)]).run();
    replay.refused(2, &["lost", "--trace-policy wait"]);
}

#[test]
fn what_is_no_trace_is_refused_in_one_line() {
    let files = Files::new();
    let (trace, _) = record(&files, &["--scenario", "self", "--cpus", "1"]);
    let whole = fs::read(&trace).expect("the trace can be read");
    let mut other_version = whole.clone();
    other_version[8] = 99;
    let mut damaged = whole.clone();
    damaged[16 + 32 + 5] ^= 0x40;
    for (name, bytes, said) in [
        ("empty", &[][..], "is empty"),
        ("text", b"#!/bin/sh\necho hello, world\n", "is no trace"),
        ("head", &whole[..16], "is no trace"),
        ("version", &other_version, "version 99"),
        ("damaged", &damaged, "is damaged at byte 16"),
    ] {
        let path = files.path(name);
        fs::write(&path, bytes).expect("it can be written");
        for command in ["report", "replay"] {
            let output = Vapic::new(&[command, text(&path)]).run();
            output.refused(2, &[said]);
        }
    }
    // A report does not take the place of its trace.
    for option in ["--report-file", "--html"] {
        let onto = Vapic::new(&["report", text(&trace), option, text(&trace)]).run();
        onto.refused(2, &["is the trace itself"]);
    }
    assert_eq!(fs::read(&trace).expect("the trace can be read"), whole);
    let missing = Vapic::new(&["report", "/no/such/trace"]).run();
    missing.refused(2, &["cannot read", "/no/such/trace"]);
}

#[test]
fn a_trace_that_cannot_be_written_keeps_the_guest_from_starting() {
    let output = Vapic::new(&["run", "--cpus", "1", "--trace", "/no/such/folder/t"]).run();
    output.refused(2, &["cannot write the trace", "folder"]);

    // A disk that is full spoils the run, and its report is still given.
    let output = Vapic::new(&["run", "--cpus", "2", "--trace", "/dev/full"])
        .with_kvm()
        .run();
    assert_eq!(output.code, Some(1), "{output:?}");
}
