//! The page of a recorded run, in a real browser.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::{Browser, Vapic, guest, tell};

const SECTIONS: [&str; 10] = [
    "summary",
    "matrix",
    "targets",
    "latencies",
    "stages",
    "timeline",
    "exits",
    "deliveries",
    "slowest",
    "phases",
];

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary path is text")
}

/// The page of a trace, and its report.
fn page(folder: &Path, trace: &Path) -> (PathBuf, Value) {
    let page = folder.join("page.html");
    let made = Vapic::new(&["report", text(trace), "--html", text(&page)]).run();
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(made.stdout.is_empty() && made.stderr.is_empty(), "{made:?}");
    let report = Vapic::new(&["report", text(trace), "--json"]).run();
    assert_eq!(report.code, Some(0), "{report:?}");
    let report = serde_json::from_str(&report.stdout).expect("it is JSON");
    (page, report)
}

/// The rows of the table with this caption, each without its head.
fn rows(dom: &str, caption: &str) -> Vec<Vec<u64>> {
    let (_, after) = dom
        .split_once(&format!("<caption>{caption}</caption>"))
        .expect("the table is there");
    let (_, body) = after.split_once("<tbody>").expect("it has a body");
    let (body, _) = body.split_once("</tbody>").expect("it ends");
    let cell = |cell: &str| {
        let (_, text) = cell.rsplit_once('>').expect("a cell begins");
        text.replace(',', "").parse().expect("a number")
    };
    let row = |row: &str| {
        let cells = row.split("</td>").filter(|cell| cell.contains("<td"));
        cells.map(cell).collect()
    };
    body.split("</tr>")
        .filter(|line| line.contains("<tr"))
        .map(row)
        .collect()
}

fn matrix(report: &Value, key: &str) -> Vec<Vec<u64>> {
    serde_json::from_value(report["matrix"][key].clone()).expect("a matrix")
}

#[test]
fn a_page_shows_its_report_and_needs_nothing_else() {
    let browser = Browser::installed();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("run.trace");
    let mut arguments = vec!["run", "--scenario", "shootdown", "--cpus", "4"];
    arguments.extend(["--apic-mode", "x2apic", "--iterations", "5"]);
    arguments.extend(["--trace", text(&trace)]);
    let recorded = Vapic::new(&arguments).with_kvm().run();
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    let (page, report) = page(folder.path(), &trace);

    let shown = browser.open(&page);
    assert_eq!(shown.console, [""; 0]);
    let dom = &shown.dom;
    let mut at = 0;
    for section in SECTIONS {
        let found = dom.find(&format!("<section id=\"{section}\">"));
        let found = found.unwrap_or_else(|| panic!("no section {section}"));
        assert!(found > at, "{section} is not in its place");
        at = found;
    }
    assert!(
        !dom.contains("class=\"nothing\""),
        "every section has something"
    );
    for outside in [
        "http:", "https:", "src=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!dom.contains(outside), "{outside}");
    }

    // Every number of the matrix, and whatever devices sent in a row of its own.
    let posted = matrix(&report, "posted");
    let coalesced = matrix(&report, "coalesced_at_post");
    let sum = |(new, merged): (&Vec<u64>, &Vec<u64>)| -> Vec<u64> {
        new.iter()
            .zip(merged)
            .map(|(new, merged)| new + merged)
            .collect()
    };
    let expected: Vec<_> = posted.iter().zip(&coalesced).map(sum).collect();
    let deliveries = rows(dom, "Deliveries by source and target vCPU");
    assert_eq!(deliveries.get(..4), Some(&expected[..]));
    assert!(expected[0][1] > 0, "vCPU 0 sent to vCPU 1");
    // And every latency in a bin.
    let counted = &report["totals"]["send_to_inject"]["count"];
    let binned: u64 = rows(dom, "From sending to injection, vectors")
        .iter()
        .flatten()
        .sum();
    assert_eq!(Some(binned), counted.as_u64());

    // Light and dark, wide and narrow.
    for (width, height, dark) in [(1280, 2600, false), (1280, 2600, true), (400, 3600, false)] {
        let picture = browser.picture(&page, width, height, dark);
        assert_eq!((picture.width, picture.height), (width, height));
        assert!(picture.colours > 100, "{picture:?}");
        let rows = height as usize;
        assert!(
            (rows / 2..rows).contains(&picture.drawn_rows),
            "{picture:?}"
        );
        let background = picture.background;
        let is_dark = background.iter().all(|&part| part < 64);
        assert_eq!(is_dark, dark, "{background:?}");
    }
}

#[test]
fn a_hostile_guest_cannot_run_anything_in_the_page() {
    let browser = Browser::installed();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("run.trace");
    let hostile = guest!(
        markup,
        tell!("begin markup way=<script>document.title='taken'</script>"),
        tell!("end cycles=<img/src=x/onerror=document.title='taken'>"),
        tell!("fail markup <script>document.title='taken'</script>"),
        tell!("exit 0"),
        "1: hlt",
        "jmp 1b",
    );
    let recorded = Vapic::guest(&hostile, &["--trace", text(&trace)]).run();
    assert_eq!(recorded.code, Some(1), "{recorded:?}");
    let (page, _) = page(folder.path(), &trace);
    let shown = browser.open(&page);
    assert_eq!(shown.console, [""; 0]);
    assert!(shown.dom.contains("&lt;script&gt;document.title='taken'"));
    assert!(!shown.dom.contains("<title>taken"));
    assert!(!shown.dom.contains("<script"));
    assert!(!shown.dom.contains("<img"));
}

/// What the other tests conclude from the browser's silence is worth something only if it speaks.
#[test]
fn the_browser_tells_of_scripts_and_errors() {
    let browser = Browser::installed();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("page.html");
    let text = "<title>own</title><script>document.title='taken'; nobody.has(this)</script>";
    fs::write(&page, text).expect("a temporary file");
    let shown = browser.open(&page);
    assert!(shown.dom.contains("<title>taken"), "{shown:?}");
    assert!(
        shown
            .console
            .iter()
            .any(|line| line.contains("nobody is not defined")),
        "{shown:?}"
    );
    let picture = browser.picture(&page, 200, 100, false);
    assert_eq!((picture.colours, picture.drawn_rows), (1, 0), "{picture:?}");
}

#[test]
fn a_page_that_cannot_be_written_is_one_clear_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let no_trace = folder.path().join("no.trace");
    fs::write(&no_trace, "nothing of the kind").expect("a temporary file");
    let page = folder.path().join("page.html");
    let refused = Vapic::new(&["report", text(&no_trace), "--html", text(&page)]).run();
    refused.refused(2, &["is no trace", "--trace"]);
    assert!(!page.exists());
    let nowhere = folder.path().join("no/page.html");
    let refused = Vapic::new(&["report", text(&no_trace), "--html", text(&nowhere)]).run();
    refused.refused(2, &["no/page.html", "folder"]);
    let both = ["report", text(&no_trace), "--html", text(&page), "--json"];
    let refused = Vapic::new(&both).run();
    assert_eq!(refused.code, Some(2), "{refused:?}");
}
