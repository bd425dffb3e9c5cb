//! `docs/apic-coverage.md` against the sources: every test and module that it names exists, and no
//! row has been lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Sections of the document by number, and the rows that each must have at least.
const SECTIONS: [(u32, usize); 11] = [
    (1, 22),
    (2, 47),
    (3, 6),
    (4, 23),
    (5, 28),
    (6, 11),
    (7, 18),
    (8, 8),
    (9, 18),
    (10, 33),
    (11, 10),
];

/// What a row can say it does.
const VERBS: [&str; 6] = ["emulated", "refused", "different", "host", "tested", ABSENT];

/// What cannot be here, for a reason that follows; alone it has no test.
const ABSENT: &str = "absent";

/// One behaviour.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    section: u32,
    behaviour: String,
    done: String,
    modules: Vec<String>,
    tests: Vec<String>,
}

/// The rows of all tables under numbered headings; a heading without a number ends a section.
fn rows(document: &str) -> Vec<Row> {
    let mut section = None;
    let mut rows = Vec::new();
    for line in document.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.split(' ').next().and_then(|n| n.parse().ok());
            continue;
        }
        let cells = line
            .strip_prefix("| ")
            .and_then(|line| line.strip_suffix(" |"));
        let (Some(section), Some(cells)) = (section, cells) else {
            continue;
        };
        let mut cells = cells.split(" | ");
        let mut cell = || cells.next().unwrap_or_default();
        let row = Row {
            section,
            behaviour: cell().to_owned(),
            done: cell().to_owned(),
            modules: quoted(cell()),
            tests: quoted(cell()),
        };
        if !matches!(row.behaviour.as_str(), "behaviour" | "bug") {
            rows.push(row);
        }
    }
    rows
}

/// The parts of a text that are set in backticks.
fn quoted(text: &str) -> Vec<String> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// The functions under `#[test]` in a source file, of a macro too.
fn test_functions(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[test]") {
            is_test = true;
        } else if let Some(rest) = line.strip_prefix("fn ") {
            if is_test {
                names.extend(rest.split('(').next());
            }
            is_test = false;
        }
    }
    names
}

/// Files that may hold the test `path`, the likeliest first: of `crate::target::module::function`
/// those of the module, or of the one above it where `tests` is written in the same file.
fn candidates(path: &str) -> Option<(Vec<PathBuf>, &str)> {
    let (module, function) = path.rsplit_once("::")?;
    let mut parts: Vec<_> = module.split("::").collect();
    let (package, mut target) = (parts.remove(0), parts.clone());
    let mut base = Path::new(package).to_owned();
    if target.first() == Some(&"lib") {
        base.push("src");
        target.remove(0);
    } else {
        base.push("tests");
    }
    if target.is_empty() {
        return None;
    }
    let files = |parts: &[&str]| {
        let path = parts
            .iter()
            .fold(base.clone(), |path, part| path.join(part));
        [path.with_extension("rs"), path.join("mod.rs")]
    };
    let mut candidates = files(&target).to_vec();
    if target.len() > 1 && target.last() == Some(&"tests") {
        candidates.extend(files(&target[..target.len() - 1]));
    }
    Some((candidates, function))
}

/// What is wrong with a document, given the text of a file if there is one.
fn complaints(document: &str, read: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let rows = rows(document);
    let mut complaints = Vec::new();
    let mut count: BTreeMap<u32, usize> = BTreeMap::new();
    for row in &rows {
        *count.entry(row.section).or_default() += 1;
        let Row {
            behaviour,
            done,
            modules,
            tests,
            ..
        } = row;
        if !VERBS
            .iter()
            .any(|verb| done.starts_with(&format!("**{verb}**")))
        {
            complaints.push(format!("{behaviour}: says no word of the list"));
        }
        let is_absent = done.starts_with(&format!("**{ABSENT}**: "));
        if modules.is_empty() || tests.is_empty() != is_absent {
            complaints.push(format!("{behaviour}: names no module or no test"));
        }
        for module in modules {
            if read(Path::new(module)).is_none() {
                complaints.push(format!("{behaviour}: no module {module}"));
            }
        }
        for test in tests {
            let exists = candidates(test).is_some_and(|(files, function)| {
                files
                    .iter()
                    .filter_map(|file| read(file))
                    .any(|source| test_functions(&source).contains(&function))
            });
            if !exists {
                complaints.push(format!("{behaviour}: no test {test}"));
            }
        }
    }
    for (section, least) in SECTIONS {
        let found = count.get(&section).copied().unwrap_or(0);
        if found < least {
            complaints.push(format!(
                "section {section} has {found} rows instead of {least}"
            ));
        }
    }
    complaints
}

#[test]
fn all_that_the_document_names_exists() {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let document = fs::read_to_string(workspace.join("docs/apic-coverage.md")).unwrap();
    let read = |path: &Path| fs::read_to_string(workspace.join(path)).ok();
    let complaints = complaints(&document, read);
    assert!(complaints.is_empty(), "{complaints:#?}");
}

/// A document of one row, in the only section that needs no more than a few.
fn document(row: &str) -> String {
    format!(
        "# Title\n\n## 3 Width\n\n| behaviour | done | module | tests |\n|---|---|---|---|\n{row}\n"
    )
}

/// The files of a workspace that has one of each kind.
fn read(path: &Path) -> Option<String> {
    let source = "#[test]\n#[expect(x)]\nfn works() {}\nfn helps() {}\n";
    [
        "a/src/b.rs",
        "a/tests/c/d.rs",
        "a/src/e/tests.rs",
        "a/src/f/mod.rs",
    ]
    .map(Path::new)
    .contains(&path)
    .then(|| source.to_owned())
}

/// The complaints of a one-row document that are about the row.
fn of_row(row: &str) -> Vec<String> {
    let mut complaints = complaints(&document(row), read);
    complaints.retain(|complaint| !complaint.starts_with("section"));
    complaints
}

#[test]
fn a_good_row_is_good() {
    for test in [
        "a::lib::b::works",
        "a::lib::b::tests::works",
        "a::lib::e::tests::works",
        "a::lib::f::works",
        "a::c::d::works",
    ] {
        let row = format!("| R | **host**: so | `a/src/b.rs` | `{test}` |");
        assert_eq!(of_row(&row), [""; 0], "{test}");
    }
}

#[test]
fn a_bad_row_is_complained_of() {
    for (row, complaint) in [
        (
            "| R | **emulated** | `a/src/b.rs` | `a::lib::b::absent` |",
            "R: no test a::lib::b::absent",
        ),
        (
            "| R | **emulated** | `a/src/b.rs` | `a::lib::b::helps` |",
            "R: no test a::lib::b::helps",
        ),
        (
            "| R | **emulated** | `a/src/b.rs` | `a::lib::x::works` |",
            "R: no test a::lib::x::works",
        ),
        (
            "| R | **emulated** | `a/src/b.rs` | `works` |",
            "R: no test works",
        ),
        (
            "| R | **emulated** | `a/src/x.rs` | `a::lib::b::works` |",
            "R: no module a/src/x.rs",
        ),
        (
            "| R | **emulated** | `a/src/b.rs` | to do |",
            "R: names no module or no test",
        ),
        (
            "| R | **absent** | `a/src/b.rs` | none |",
            "R: names no module or no test",
        ),
        (
            "| R | **absent**: so | `a/src/b.rs` | `a::lib::b::works` |",
            "R: names no module or no test",
        ),
        (
            "| R | maybe | `a/src/b.rs` | `a::lib::b::works` |",
            "R: says no word of the list",
        ),
    ] {
        assert_eq!(of_row(row), [complaint]);
    }
}

#[test]
fn a_lost_row_is_complained_of() {
    let row = "| R | **host** | `a/src/b.rs` | `a::lib::b::works` |";
    let complaints = |rows: usize| complaints(&document(&[row].repeat(rows).join("\n")), read);
    assert!(complaints(5).contains(&"section 3 has 5 rows instead of 6".to_owned()));
    assert!(!complaints(6).iter().any(|c| c.starts_with("section 3")));
    assert!(complaints(6).contains(&"section 1 has 0 rows instead of 22".to_owned()));
}

#[test]
fn rows_outside_numbered_sections_are_no_rows() {
    let text = "## Not covered\n\n| a | b | c | d |\n\n## 4 Here\n\n| a | b | `c` | `d`, `e` |\n";
    let row = Row {
        section: 4,
        behaviour: "a".into(),
        done: "b".into(),
        modules: vec!["c".into()],
        tests: vec!["d".into(), "e".into()],
    };
    assert_eq!(rows(text), [row]);
}
