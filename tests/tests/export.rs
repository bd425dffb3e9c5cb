//! Recorded runs in the formats of other programs, read by readers that share nothing with the
//! writer. `tests/perfetto/check.py` asks Perfetto's own trace processor the same questions.

mod packets;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use packets::{Packets, Slice};
use serde_json::Value;
use tests::{Output, Vapic};
use vmm::observe::Refusal;
use vmm::trace::{Fate, Trace, lives};

/// A recorded run in a folder of its own.
struct Recorded {
    folder: tempfile::TempDir,
    report: Value,
}

impl Recorded {
    fn new(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let trace = folder.path().join("run.trace");
        let report = folder.path().join("report.json");
        let mut all = vec!["run", "--report", "json", "--trace-policy", "wait"];
        all.extend(["--trace", text(&trace), "--report-file", text(&report)]);
        all.extend(arguments);
        let output = Vapic::new(&all).with_kvm().run();
        assert_eq!(output.code, Some(0), "{output:?}");
        let report = fs::read(report).expect("the report was written");
        let report = serde_json::from_slice(&report).expect("it is JSON");
        Self { folder, report }
    }

    fn trace(&self) -> PathBuf {
        self.folder.path().join("run.trace")
    }

    fn export(&self, format: &str) -> Vec<u8> {
        let output = self.folder.path().join(format);
        let done = export(&self.trace(), format, &output);
        assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
        fs::read(output).expect("the export was written")
    }

    fn count(&self, pointer: &str) -> usize {
        let count = self.report.pointer(pointer).and_then(Value::as_u64);
        let count = count.unwrap_or_else(|| panic!("no count at {pointer}"));
        usize::try_from(count).expect("a count")
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

fn export(trace: &Path, format: &str, output: &Path) -> Output {
    let arguments = ["export", text(trace), "--format", format];
    Vapic::new(&[&arguments[..], &["--output", text(output)]].concat()).run()
}

fn ping() -> Recorded {
    let scenario = ["--scenario", "ping", "--iterations", "50"];
    Recorded::new(&[&scenario[..], &["--cpus", "2"]].concat())
}

#[test]
fn perfetto_gets_every_send_and_every_arrow() {
    let scenario = ["--scenario", "shootdown", "--iterations", "3"];
    let run = Recorded::new(&[&scenario[..], &["--cpus", "4"]].concat());
    let packets = Packets::read(&run.export("perfetto"));
    let slices = packets.slices();
    assert_tracks(&run, &packets, &slices);
    let of = |category: &'static str| slices.iter().filter(move |s| s.category == category);

    let devices = packets.track("devices");
    let sends = of("send").filter(|send| Some(send.track) != devices);
    assert_eq!(sends.count(), run.count("/totals/ipis/sent"));
    assert_eq!(of("exit").count(), run.count("/totals/exit_count"));

    // Each arrow starts at one send, and the trace's own account of its IPIs says where it goes.
    let mut started = BTreeSet::new();
    for number in of("send").flat_map(|send| &send.arrows) {
        assert!(started.insert(number), "two sends have arrow {number:#x}");
    }
    let arrived: BTreeSet<_> = of("service")
        .chain(of("inject"))
        .chain(of("signal"))
        .flat_map(|slice| slice.arrows.iter().chain(&slice.last_of))
        .collect();
    let ended: BTreeSet<_> = of("eoi").flat_map(|end| &end.last_of).collect();
    assert!(arrived.is_subset(&started) && ended.is_subset(&arrived));
    let trace = Trace::open(&run.trace()).expect("the trace can be read");
    let lives = lives(&trace).expect("it is whole");
    let deliveries: Vec<_> = lives.iter().flat_map(|life| &life.deliveries).collect();
    // A start-up that nobody waited for arrives too, and ends there.
    let injected = deliveries.iter().filter(|it| {
        let unwanted = Fate::Refused(Refusal::NotWaitingForSipi);
        it.fate == Fate::Injected || it.fate == unwanted
    });
    assert!(arrived.len() > 500, "{}", arrived.len());
    assert_eq!(arrived.len(), injected.count());
    let with_end = deliveries.iter().filter(|it| it.ended.is_some());
    assert_eq!(ended.len(), with_end.count());

    // An arrow leads on in time: from its send to the service to the EOI that ends it.
    let starts: BTreeMap<_, _> = of("send")
        .flat_map(|send| send.arrows.iter().map(move |number| (number, send)))
        .collect();
    let ends: BTreeMap<_, _> = of("eoi")
        .flat_map(|end| end.last_of.iter().map(move |number| (number, end)))
        .collect();
    for service in of("service") {
        for number in &service.arrows {
            assert!(starts[number].from < service.from);
            let end = ends.get(number).expect("a run that ends well ends all");
            assert_eq!(end.from, service.to);
            assert_eq!(packets.parent(service.track), Some(end.track));
        }
    }

    // The rate of sends, by the millisecond, adds up.
    let rate = packets.counter("interrupts sent");
    let area = |pair: &[(u64, f64)]| pair[0].1 * (pair[1].0 - pair[0].0) as f64 / 1e9;
    let sum: f64 = rate.windows(2).map(area).sum();
    assert!((sum - of("send").count() as f64).abs() < 0.5, "{sum}");
    let pending = packets.counter("vectors pending");
    assert_eq!(pending.last().map(|&(_, value)| value), Some(0.0));
}

/// Every vCPU has its tracks, every phase its slice, and nothing is missing.
fn assert_tracks(run: &Recorded, packets: &Packets, slices: &[Slice]) {
    for vcpu in 0..run.count("/run/cpus") {
        let track = packets.track(&format!("vCPU {vcpu}"));
        for name in ["guest", "APIC EOI"] {
            let found = slices
                .iter()
                .any(|s| Some(s.track) == track && s.name == name);
            assert!(found || vcpu == 0, "no {name:?} on vCPU {vcpu}");
        }
        let interrupts = packets.track(&format!("vCPU {vcpu} interrupts"));
        assert_eq!(packets.parent(interrupts.expect("a track")), track);
    }
    let phases = slices.iter().filter(|s| s.category == "phase");
    let expected = run.report["phases"].as_array().expect("a list").len();
    assert_eq!(phases.count(), expected);
    assert!(slices.iter().all(|s| s.category != "unknown"));
}

#[test]
fn chrome_gets_slices_that_nest_and_arrows_that_end() {
    let run = ping();
    let json: Value = serde_json::from_slice(&run.export("chrome")).expect("it is JSON");
    let objects = json.as_array().expect("an array");
    let of = |ph: &'static str| objects.iter().filter(move |it| it["ph"] == ph);
    let number = |object: &Value, key: &str| object[key].as_f64().expect("a number");

    let sends = of("X").filter(|it| it["cat"] == "send" && it["tid"] != 2);
    assert_eq!(sends.count(), run.count("/totals/ipis/sent"));

    let mut arrows = BTreeMap::<&str, Vec<(&str, f64)>>::new();
    for object in ["s", "t", "f"].into_iter().flat_map(of) {
        assert_eq!(object["bp"], "e");
        let id = object["id"].as_str().expect("an id");
        let ph = object["ph"].as_str().expect("a phase");
        arrows
            .entry(id)
            .or_default()
            .push((ph, number(object, "ts")));
    }
    assert!(arrows.len() > 200, "{}", arrows.len());
    for (id, points) in arrows {
        let phases: Vec<_> = points.iter().map(|&(ph, _)| ph).collect();
        assert!(phases == ["s", "t", "f"] || phases == ["s", "f"], "{id}");
        assert!(points.is_sorted_by(|a, b| a.1 < b.1), "{id}: {points:?}");
    }

    // Times are whole nanoseconds.
    let ns = |object: &Value, key: &str| (number(object, key) * 1000.0).round();
    let mut tracks = BTreeMap::<u64, Vec<(f64, f64)>>::new();
    for object in of("X") {
        let from = ns(object, "ts");
        let track = object["tid"].as_u64().expect("a number");
        tracks
            .entry(track)
            .or_default()
            .push((from, from + ns(object, "dur")));
    }
    for (track, mut slices) in tracks {
        slices.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut open = Vec::new();
        for (from, to) in slices {
            while open.last().is_some_and(|&end| end <= from) {
                open.pop();
            }
            assert!(open.last().is_none_or(|&end| to <= end), "track {track}");
            open.push(to);
        }
    }
}

#[test]
fn csv_has_a_row_for_each_record() {
    let run = Recorded::new(&["--scenario", "self", "--cpus", "2"]);
    let csv = String::from_utf8(run.export("csv")).expect("it is text");
    let mut rows = csv.lines();
    let header = rows.next().expect("a header");
    let documented = fs::read_to_string("../docs/export.md").expect("the page is there");
    for column in header.split(',') {
        assert!(documented.contains(&format!("| `{column}`")), "{column}");
    }
    let columns = header.split(',').count();
    let rows: Vec<Vec<_>> = rows.map(|row| row.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row.len() == columns));
    assert_eq!(rows.len(), run.count("/run/trace/records"));
    let sent = rows
        .iter()
        .filter(|row| row[3] == "sent" && !row[2].is_empty());
    assert_eq!(sent.count(), run.count("/totals/ipis/sent"));
}

#[test]
fn a_killed_run_leaves_nothing_open() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("run.trace");
    let storm = [
        "run",
        "--scenario",
        "storm",
        "--cpus",
        "3",
        "--seconds",
        "60",
    ];
    let running = Vapic::new(&[&storm[..], &["--trace", text(&trace)]].concat());
    let running = running.with_kvm().start();
    let started = Instant::now();
    while fs::metadata(&trace).map_or(0, |file| file.len()) < 200_000 {
        assert!(started.elapsed() < Vapic::LIMIT, "the trace does not grow");
        thread::sleep(Duration::from_millis(20));
    }
    running.signal("KILL");
    let _ = running.wait();
    for format in ["perfetto", "chrome", "csv"] {
        let done = export(&trace, format, &folder.path().join(format));
        assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    }
    let perfetto = fs::read(folder.path().join("perfetto")).expect("it was written");
    let packets = Packets::read(&perfetto);
    assert!(packets.slices().len() > 1000);
    let chrome = fs::read(folder.path().join("chrome")).expect("it was written");
    assert!(serde_json::from_slice::<Value>(&chrome).is_ok());
}

// `docs/trace-format.md`: bytes before the first block of a trace, bytes before the content of a
// block, and what a block says that holds records.
const FILE_HEAD_SIZE: usize = 16;
const BLOCK_HEAD_SIZE: usize = 32;
const RECORDS: u32 = 2;

/// Where the last block of records begins: a vCPU's, behind at least one of each other vCPU.
fn last_block_of_records(trace: &[u8]) -> usize {
    let word = |at: usize| u32::from_le_bytes(trace[at..at + 4].try_into().expect("four bytes"));
    let (mut at, mut last) = (FILE_HEAD_SIZE, None);
    while at < trace.len() {
        if word(at) == RECORDS {
            last = Some(at);
        }
        at += BLOCK_HEAD_SIZE + usize::try_from(word(at + 12)).expect("a size");
    }
    last.expect("a block of records")
}

#[test]
fn what_comes_before_a_damage_is_exported() {
    let run = ping();
    let mut damaged = fs::read(run.trace()).expect("the trace can be read");
    let place = last_block_of_records(&damaged);
    damaged[place + BLOCK_HEAD_SIZE] ^= 0x55;
    let trace = run.folder.path().join("damaged.trace");
    fs::write(&trace, damaged).expect("it can be written");
    let output = run.folder.path().join("damaged.perfetto");
    let done = export(&trace, "perfetto", &output);
    done.refused(2, &["is damaged at byte"]);
    let packets = Packets::read(&fs::read(output).expect("there is something"));
    let slices = packets.slices();
    let exits = slices.iter().filter(|s| s.category == "exit").count();
    assert!(
        exits > 0 && exits < run.count("/totals/exit_count"),
        "{exits}"
    );
}

#[test]
fn bad_input_is_refused_and_touches_nothing() {
    let run = Recorded::new(&["--scenario", "self", "--cpus", "1"]);
    let trace = run.trace();
    let before = fs::read(&trace).expect("the trace can be read");
    let output = run.folder.path().join("out");

    let onto = export(&trace, "csv", &trace);
    onto.refused(2, &["is the trace itself", "--output"]);
    assert_eq!(fs::read(&trace).expect("it is still there"), before);

    let no_trace = run.folder.path().join("report.json");
    export(&no_trace, "perfetto", &output).refused(2, &["is no trace"]);
    export(&trace, "svg", &output).refused(2, &["svg", "perfetto", "chrome", "csv"]);
    assert!(!output.exists());

    let nowhere = Path::new("/no/such/folder/out");
    export(&trace, "csv", nowhere).refused(2, &["cannot write the export", "folder"]);
    let full = export(&trace, "csv", Path::new("/dev/full"));
    full.refused(1, &["cannot write the export"]);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let run = ping();
    let trace = run.trace();
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    for format in ["perfetto", "chrome", "csv"] {
        let arguments = ["export", text(&trace), "--format", format];
        let writer = writer.try_clone().expect("another end");
        let done = Vapic::new(&arguments).stdout(writer).run();
        assert_eq!((done.code, &*done.stderr), (Some(0), ""), "{done:?}");
    }
    // And standard output is where it goes by default.
    let path = run.folder.path().join("stdout");
    let arguments = ["export", text(&trace), "--format", "csv"];
    let file = File::create(&path).expect("a file");
    let _ = Vapic::new(&arguments).stdout(file).run();
    assert_eq!(fs::read(&path).expect("it was written"), run.export("csv"));
}
