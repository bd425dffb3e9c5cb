//! The report: its schema, where it goes, and what a reader that goes away does to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tests::{Report, Vapic, vapic};

const SELF: [&str; 7] = [
    "run",
    "--scenario",
    "self",
    "--cpus",
    "2",
    "--iterations",
    "5",
];

/// Every key that schema 1 has, one a line with the kind of its value; `[]` stands for any element
/// of a list and `*` for any name that the guest chose.
fn shape(value: &Value, path: &str, shape: &mut BTreeSet<String>) {
    let guests_own = path.ends_with(".labels") || path.ends_with(".results");
    match value {
        Value::Object(_) if guests_own && !path.ends_with("outcome.results") => {
            shape.insert(format!("{path}.*"));
        }
        Value::Object(fields) => {
            for (name, value) in fields {
                self::shape(value, &format!("{path}.{name}"), shape);
            }
        }
        Value::Array(values) if values.is_empty() => {
            shape.insert(format!("{path}[]"));
        }
        Value::Array(values) => {
            values
                .iter()
                .for_each(|value| self::shape(value, &format!("{path}[]"), shape));
        }
        _ => {
            let kind = match value {
                Value::String(_) => "text",
                Value::Bool(_) => "truth",
                Value::Number(_) => "number",
                _ => "null",
            };
            shape.insert(format!("{path} {kind}"));
        }
    }
}

/// A key that goes, or changes its kind, needs a new schema number; one that comes needs a line in
/// the golden file. `UPDATE_GOLDEN=1` writes it anew.
#[test]
fn the_keys_are_those_of_schema_1() {
    let run = [
        "run",
        "--scenario",
        "shootdown",
        "--cpus",
        "2",
        "--iterations",
        "2",
    ];
    let output = vapic(&[&run[..], &["--report", "json", "--apic-mode", "xapic"]].concat());
    let report = output.passed();
    assert_eq!(report.number("/schema"), 1);
    let mut keys = BTreeSet::new();
    shape(report.json(), "", &mut keys);
    let found: String = keys.iter().map(|key| format!("{key}\n")).collect();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/report-schema-1.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &found).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&golden).expect("the golden file is there");
    assert_eq!(found, expected, "see {}", golden.display());
}

#[test]
fn json_on_standard_output_is_one_document_and_the_console_goes_elsewhere() {
    let output = vapic(&[&SELF[..], &["--report", "json"]].concat());
    let _ = output.passed();
    assert!(output.stderr.contains("processors up"), "{output:?}");
}

#[test]
fn a_table_follows_the_console_on_standard_output() {
    let output = vapic(&SELF);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "", "{output:?}");
    let console = output.stdout.find("processors up").expect("the console");
    let verdict = output
        .stdout
        .find("PASSED: scenario self")
        .expect("the verdict");
    assert!(console < verdict, "{output:?}");
    for part in [
        "VM-EXIT",
        "Samples%",
        "APIC ICR",
        "Deliveries, source x target",
        "0 lost",
    ] {
        assert!(
            output.stdout.contains(part),
            "{part:?} is not in {output:?}"
        );
    }
    assert!(
        !output.stdout.contains('\x1B'),
        "no colours in a pipe: {output:?}"
    );
}

#[test]
fn a_report_file_is_the_same_report() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report");
    let file = path.to_str().expect("a temporary path is UTF-8");
    let json = vapic(&[&SELF[..], &["--report", "json", "--report-file", file]].concat());
    assert_eq!(json.code, Some(0), "{json:?}");
    assert!(
        json.stdout.contains("processors up"),
        "the console: {json:?}"
    );
    assert!(
        !json.stdout.contains("schema"),
        "the report is elsewhere: {json:?}"
    );
    let written = fs::read_to_string(&path).expect("the report is written");
    assert_eq!(written.lines().count(), 1);
    assert_eq!(Report::parse(&written).status(), "passed");

    let table = vapic(&[&SELF[..], &["--report-file", file]].concat());
    assert_eq!(table.code, Some(0), "{table:?}");
    let written = fs::read_to_string(&path).expect("the report is written anew");
    assert!(written.contains("PASSED: scenario self"), "{written}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("report");
    let file = path.to_str().expect("a temporary path is UTF-8");
    for more in [
        &["--report", "table"][..],
        &["--report", "json"],
        &["--report-file", file],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let arguments = [&SELF[..], more].concat();
        let output = Vapic::new(&arguments).with_kvm().stdout(writer).run();
        output.did_not_panic();
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(!output.stderr.contains("pipe"), "{output:?}");
    }
    // The console had no reader, and the guest went on to its end.
    let written = fs::read_to_string(&path).expect("the report is written");
    assert!(written.contains("PASSED: scenario self"), "{written}");
}

#[test]
fn a_standard_output_that_is_full_is_an_error() {
    let full = fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("the full device");
    let arguments = [&SELF[..], &["--report", "json"]].concat();
    let output = Vapic::new(&arguments)
        .with_kvm()
        .stdout(Stdio::from(full))
        .run();
    output.did_not_panic();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(
        output.stderr.contains("cannot write the report"),
        "{output:?}"
    );
}
