//! `vapic run --control` and `vapic top`: the counters of a VM while it runs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tests::{Output, Running, Vapic};

/// A VM that runs `storm` on two vCPUs with a control socket.
struct Storm {
    folder: TempDir,
    running: Running,
}

impl Storm {
    /// Starts one of so many seconds and waits until it serves its counters.
    fn start(seconds: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("vm.sock");
        let socket = text_of(&path).to_owned();
        let arguments = ["run", "--scenario", "storm", "--apic-mode", "x2apic"];
        let more = ["--cpus", "2", "--report", "json", "--seconds", seconds];
        let arguments = [&arguments[..], &more, &["--control", &socket]].concat();
        let running = Vapic::new(&arguments).with_kvm().start();
        let storm = Self { folder, running };
        storm.wait_until_it_counts();
        storm
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("vm.sock")
    }

    /// Waits until an IPI has been injected, so that what is looked at is not empty.
    fn wait_until_it_counts(&self) {
        let limit = Instant::now() + Vapic::LIMIT;
        while !counts(&self.path()) {
            assert!(Instant::now() < limit, "no IPI was counted");
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn get(&self, resource: &str) -> String {
        let answer =
            ask(&self.path(), &format!("GET {resource} HTTP/1.0\r\n\r\n")).expect("the VM answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
        body.to_owned()
    }

    /// Ends the run by SIGTERM; how long that took, and what is left of it.
    fn end(self) -> (Duration, Output, PathBuf) {
        let path = self.path();
        let started = Instant::now();
        self.running.signal("TERM");
        let output = self.running.wait();
        (started.elapsed(), output, path)
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("a temporary path is UTF-8")
}

fn ask(path: &Path, request: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(Vapic::LIMIT))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn counts(path: &Path) -> bool {
    let answer = ask(path, "GET /snapshot HTTP/1.0\r\n\r\n").unwrap_or_default();
    let Some((_, body)) = answer.split_once("\r\n\r\n") else {
        return false;
    };
    let snapshot: Value = serde_json::from_str(body).expect("JSON");
    snapshot["vcpus"][0]["injected"]["vector"].as_u64() > Some(0)
}

/// The series of an exposition, each line of which must be as the text format has it
/// (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
fn series(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with('\n'), "the last line ends");
    let mut types: BTreeMap<&str, &str> = BTreeMap::new();
    let mut help = "";
    let mut series = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').expect("a name and its help");
            assert!(is_name(name) && !words.is_empty(), "{line}");
            help = name;
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("a name and its type");
            assert_eq!(name, help, "help comes first");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            assert!(types.insert(name, kind).is_none(), "{name} is typed once");
        } else {
            let (name_and_labels, value) = line.rsplit_once(' ').expect("a value");
            let name = name_and_labels.split('{').next().unwrap_or_default();
            assert!(name.starts_with("vapic_") && is_name(name), "{line}");
            let kind = *types
                .get(name)
                .unwrap_or_else(|| panic!("{name} has a type"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert_eq!(name, help, "a family's series are together");
            if let Some(labels) = name_and_labels.strip_prefix(name).filter(|l| !l.is_empty()) {
                let labels = labels.strip_prefix('{').and_then(|l| l.strip_suffix('}'));
                for label in labels.expect("braces").split("\",") {
                    let (name, value) = label.split_once("=\"").expect("name=\"value\"");
                    assert!(is_name(name) && !name.contains(':'), "{line}");
                    assert!(!value.trim_end_matches('"').contains('"'), "{line}");
                }
            }
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("a number: {line}"));
            assert!(value >= 0.0, "{line}");
            let before = series.insert(name_and_labels.to_owned(), value);
            assert!(before.is_none(), "one line a series: {line}");
        }
    }
    series
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b':';
    let mut bytes = text.bytes();
    bytes.next().is_some_and(letter) && bytes.all(|byte| letter(byte) || byte.is_ascii_digit())
}

#[test]
fn the_socket_is_its_owners_alone_and_gone_afterwards() {
    let storm = Storm::start("100");
    let file = fs::symlink_metadata(storm.path()).expect("the socket is there");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o7777, 0o600);
    let (_, output, path) = storm.end();
    assert_eq!(output.report().status(), "interrupted", "{output:?}");
    assert!(!path.exists(), "it is removed");
}

#[test]
fn metrics_follow_the_grammar_and_counters_only_grow_to_what_the_report_says() {
    const GROWING: [&str; 6] = [
        "vapic_exits_total{vcpu=\"0\",cause=\"apic_icr\"}",
        "vapic_outside_seconds_total{vcpu=\"0\",cause=\"apic_icr\"}",
        "vapic_ipis_sent_total{vcpu=\"0\",mode=\"fixed\"}",
        "vapic_injected_total{vcpu=\"1\",kind=\"vector\"}",
        "vapic_send_to_inject_seconds_total{vcpu=\"1\"}",
        "vapic_uptime_seconds",
    ];
    let storm = Storm::start("100");
    let first = series(&storm.get("/metrics"));
    let limit = Instant::now() + Vapic::LIMIT;
    let last = loop {
        thread::sleep(Duration::from_millis(100));
        let next = series(&storm.get("/metrics"));
        for (name, value) in first.iter().filter(|(name, _)| name.contains("_total")) {
            let later = next.get(name);
            assert!(later >= Some(value), "{name}: {value}, then {later:?}");
        }
        if GROWING.iter().all(|&name| next.get(name) > first.get(name)) {
            break next;
        }
        assert!(Instant::now() < limit, "all of {GROWING:?} grow in a storm");
    };
    let (_, output, _) = storm.end();
    let report = output.report();
    report.lost_nothing();
    let by_mode = last
        .iter()
        .filter(|(name, _)| name.starts_with("vapic_ipis_sent_total"));
    let sent: f64 = by_mode.map(|(_, sent)| sent).sum();
    let total = report.number("/totals/ipis/sent");
    let total = f64::from(i32::try_from(total).expect("not as many in a minute"));
    assert!(0.0 < sent && sent <= total, "{sent} of {total}");
}

#[test]
fn a_silent_client_delays_neither_others_nor_the_end() {
    // Silent clients have five seconds, so that an end that waited for one would take that long
    // each time; on a busy host other things may take long once.
    let took: Vec<Duration> = (0..3).map(|_| end_with_silent_clients()).collect();
    let shortest = took.iter().min().expect("three");
    assert!(*shortest < Duration::from_secs(3), "the end took {took:?}");
}

/// How long a run takes to end that has silent clients.
fn end_with_silent_clients() -> Duration {
    let storm = Storm::start("100");
    let path = storm.path();
    // More than it serves at once, and one that never reads its answer.
    let silent: Vec<_> = (0..40).map(|_| UnixStream::connect(&path)).collect();
    let mut half = UnixStream::connect(&path).expect("it accepts");
    half.write_all(b"GET /met").expect("it reads");
    let mut deaf = UnixStream::connect(&path).expect("it accepts");
    deaf.write_all(b"GET /snapshot HTTP/1.0\r\n\r\n")
        .expect("it reads");
    assert!(series(&storm.get("/metrics")).len() > 100);
    let (took, output, path) = storm.end();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(!path.exists());
    drop((silent, half, deaf));
    took
}

#[test]
fn what_is_no_request_is_refused() {
    let storm = Storm::start("100");
    for (request, answer) in [
        ("GET / HTTP/1.0\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.0\r\n\r\n", "405"),
        ("\u{1}nonsense\r\n\r\n", "400"),
    ] {
        let told = ask(&storm.path(), request).expect("it answers");
        assert!(told.starts_with(&format!("HTTP/1.0 {answer} ")), "{told}");
    }
    let head = ask(&storm.path(), "HEAD /snapshot HTTP/1.0\r\n\r\n").expect("it answers");
    assert!(
        head.starts_with("HTTP/1.0 200 ") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    let (_, output, _) = storm.end();
    // The guest's console is there, and nothing of the VMM's.
    assert!(
        !output.stderr.contains("vapic"),
        "clients make no noise: {output:?}"
    );
}

#[test]
fn a_path_that_is_taken_is_refused_and_left_alone() {
    let folder = TempDir::new().expect("a temporary folder");
    let file = folder.path().join("precious");
    fs::write(&file, "precious").expect("a file");
    let run = |path: &Path| {
        Vapic::new(&["run", "--control", text_of(path)])
            .with_kvm()
            .run()
    };
    run(&file).refused(2, &["--control", "another path"]);
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "precious");
    let socket = folder.path().join("other");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    run(&socket).refused(2, &["running VM", "--control"]);
    run(&folder.path().join("nowhere/vm.sock")).refused(2, &["writable folder"]);
    run(&folder.path().join("x".repeat(150))).refused(2, &["107 bytes"]);
}

#[test]
fn the_socket_goes_when_the_run_cannot_start_and_a_dead_one_is_replaced() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vm.sock");
    drop(UnixListener::bind(&path).expect("a socket that nobody serves"));
    let arguments = [
        "run",
        "--kernel",
        "/nonexistent",
        "--control",
        text_of(&path),
    ];
    Vapic::new(&arguments)
        .with_kvm()
        .run()
        .refused(2, &["/nonexistent"]);
    assert!(!path.exists());
}

#[test]
fn top_prints_one_interval_as_tables() {
    let storm = Storm::start("100");
    let path = storm.path();
    let output = Vapic::new(&["top", text_of(&path), "--once", "--interval", "2"]).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "", "{output:?}");
    let says = |words: &str| assert!(output.stdout.contains(words), "{words} in {output:?}");
    says("storm, 2 vCPUs, user-space APIC, x2apic");
    says("APIC ICR");
    says("source (rows) x target (columns)");
    let all = output
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("all "));
    let figures: Vec<_> = all.expect("a line of all").split_whitespace().collect();
    let sent: f64 = figures[1].trim_end_matches('k').parse().expect("a rate");
    assert!(sent > 0.0, "IPIs are sent in a storm: {figures:?}");
    let _ = storm.end();
}

#[test]
fn top_prints_lines_until_it_has_printed_enough_or_the_vm_ends() {
    let storm = Storm::start("100");
    let path = storm.path();
    let raw = ["top", text_of(&path), "--raw", "--interval", "0.1"];
    let output = Vapic::new(&[&raw[..], &["--count", "10"]].concat()).run();
    assert_eq!(output.code, Some(0), "{output:?}");
    let lines: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), 10, "{output:?}");
    let exits = lines
        .iter()
        .map(|line| line["total"]["exits_per_s"].as_f64());
    assert!(exits.flatten().sum::<f64>() > 0.0, "{output:?}");
    for line in &lines {
        assert_eq!(line["schema"], 1);
        assert!(line["interval_s"].as_f64() >= Some(0.1), "{line}");
        assert_eq!(line["vcpus"].as_array().map(Vec::len), Some(2));
        for vcpu in line["vcpus"].as_array().into_iter().flatten() {
            for share in ["outside_share", "asleep_share"] {
                let share = vcpu[share].as_f64().expect("a share");
                assert!((0.0..=1.0).contains(&share), "{vcpu}");
            }
        }
    }
    let mut endless = Vapic::new(&raw).start();
    endless.wait_for("interval_s");
    let _ = storm.end();
    let output = endless.wait();
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(output.stderr, "vapic: the VM has ended\n");
}

#[test]
fn top_says_what_to_do_when_there_is_nothing_to_show() {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("vm.sock");
    let top = |more: &[&str]| Vapic::new(&[&["top", text_of(&path)], more].concat()).run();
    // Standard output of a test is no terminal.
    top(&[]).refused(2, &["no terminal", "--once", "--raw"]);
    top(&["--once"]).refused(2, &["vapic run --control"]);
    drop(UnixListener::bind(&path).expect("a socket that nobody serves"));
    top(&["--raw"]).refused(2, &["vapic run --control"]);
    top(&["--once", "--interval", "0"]).refused(2, &["0.1 to 3600"]);
    top(&["--count", "3"]).refused(2, &["--raw"]);
}

/// What leaves the alternate screen, and shows the cursor.
const RESTORED: [&str; 2] = ["\u{1b}[?1049l", "\u{1b}[?25h"];

/// That the terminal was taken and given back, with its line discipline as `stty` shows it.
fn restored(output: &Output) {
    let (_, shown) = output
        .stdout
        .split_once("\u{1b}[?1049h")
        .unwrap_or_else(|| panic!("it has a screen of its own: {output:?}"));
    let (screen, after) = shown
        .rsplit_once(RESTORED[0])
        .unwrap_or_else(|| panic!("it leaves that screen: {output:?}"));
    assert!(screen.contains("storm, 2 vCPUs"), "{output:?}");
    assert!(shown.contains(RESTORED[1]), "{output:?}");
    let settings: Vec<_> = after.split_whitespace().collect();
    for setting in ["icanon", "echo", "isig", "opost"] {
        assert!(settings.contains(&setting), "{setting} in {output:?}");
    }
}

#[test]
fn the_live_view_gives_the_terminal_back_when_a_signal_or_the_vms_end_ends_it() {
    let storm = Storm::start("100");
    let path = storm.path();
    // The shell answers 128 and the signal's number for a command that a signal ended.
    let script = "\"$VAPIC\" top \"$1\" & top=$!; \
                  (until test -e \"$1.go\"; do sleep 0.1; done; kill -TERM $top) & \
                  wait $top; echo code=$?; stty -a";
    let mut watching = Vapic::on_terminal(script, text_of(&path)).start();
    watching.wait_for("sleep%");
    fs::write(storm.folder.path().join("vm.sock.go"), "").expect("a file");
    let output = watching.wait();
    restored(&output);
    assert!(output.stdout.contains("code=143"), "{output:?}");

    let script = "\"$VAPIC\" top \"$1\"; echo code=$?; stty -a";
    let mut watching = Vapic::on_terminal(script, text_of(&path)).start();
    watching.wait_for("sleep%");
    let _ = storm.end();
    let output = watching.wait();
    restored(&output);
    assert!(
        output.stdout.contains("vapic: the VM has ended\r\ncode=0"),
        "{output:?}"
    );
}

#[test]
fn the_live_view_ends_with_its_terminal() {
    let storm = Storm::start("100");
    let path = storm.path();
    let script = "\"$VAPIC\" top \"$1\"";
    let mut watching = Vapic::on_terminal(script, text_of(&path)).start();
    watching.wait_for("sleep%");
    // The terminal's other end is gone without a word.
    watching.signal("KILL");
    let _ = watching.wait();
    let is_left = || {
        let pattern = format!("vapic top {}", text_of(&path));
        let found = Command::new("pgrep").args(["-f", &pattern]).output();
        found.expect("pgrep can be run").status.success()
    };
    let since = Instant::now();
    while is_left() {
        assert!(since.elapsed() < Duration::from_secs(30), "it still runs");
        thread::sleep(Duration::from_millis(20));
    }
    let _ = storm.end();
}

#[test]
fn the_live_view_has_no_colours_where_none_are_wanted() {
    let storm = Storm::start("100");
    let script = "exec \"$VAPIC\" top \"$1\"";
    let started = ["", "1"].map(|value| {
        let top = Vapic::on_terminal(script, text_of(&storm.path())).env("NO_COLOR", value);
        let mut top = top.start();
        top.wait_for("sleep%");
        top
    });
    let _ = storm.end();
    let [colours, plain] = started.map(|top| top.wait().stdout);
    // Select Graphic Rendition of a colour from the palette.
    let coloured = |text: &str| text.contains("[38;") || text.contains("[48;");
    assert!(coloured(&colours), "{colours:?}");
    assert!(!coloured(&plain), "{plain:?}");
}
