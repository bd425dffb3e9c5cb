use super::*;
use crate::compare::comparison::RunOutcome;
use crate::compare::comparison::tests::comparison;
use crate::compare::rows::tests::rows;
use crate::observe::report::ApicKind;

fn two_pairs() -> Comparison {
    comparison(rows(&[
        &[
            ("halt", Some(4000.0), Some(2000.0)),
            ("ring3", Some(3000.0), None),
        ],
        &[("halt", Some(9000.0), Some(3000.0))],
    ]))
}

fn line<'a>(text: &'a str, words: &[&str]) -> Vec<&'a str> {
    let found = text
        .lines()
        .find(|line| words.iter().all(|word| line.contains(word)));
    let line = found.unwrap_or_else(|| panic!("{words:?} are in no line of {text}"));
    line.split_ascii_whitespace().collect()
}

#[test]
fn a_row_has_both_sides_and_the_ratio_with_its_spread() {
    let text = two_pairs().to_table();
    assert_eq!(
        line(&text, &["halt"]),
        [
            "ping",
            "halt",
            "cycles_median",
            "6.50us",
            "2.50us",
            "2.50",
            "2.00",
            "3.00",
            "2"
        ]
    );
    let ring3 = line(&text, &["ring3"]);
    assert_eq!(ring3[3..], ["3.00us", "-", "-", "-", "-", "-"]);
}

#[test]
fn the_header_says_how_it_was_measured() {
    let mut comparison = two_pairs();
    let text = comparison.to_table();
    for words in [
        &["Scenario ping", "2 vCPU(s)", "x2apic mode"][..],
        &["2 of 2 pair(s)", "UK KU", "1.500s"],
        &[
            "Example CPU",
            "2 usable CPU(s)",
            "Linux 6.18",
            "1000000 kHz",
            "load average 0.25",
        ],
        &["Pinning: none", "0-1"],
    ] {
        line(&text, words);
    }
    assert!(!text.contains("Warning"), "{text}");
    comparison.subject.cpus = 4;
    comparison.affinity.pinned = true;
    let text = comparison.to_table();
    line(&text, &["Warning", "4 vCPUs share 2", "scheduler"]);
    line(&text, &["Pinning: to CPUs 0-1"]);
}

#[test]
fn a_failed_run_is_shown_with_its_reasons_and_the_rest_is_kept() {
    let mut comparison = two_pairs();
    comparison.runs[3].status = Status::Failed;
    comparison.runs[3].reasons = vec!["the guest ended with status 1".to_owned()];
    assert_eq!(comparison.exit_code(), 1);
    let text = comparison.to_table();
    line(&text, &["FAILED: 1 of 4 runs"]);
    line(
        &text,
        &["pair 2 of 2, user-space APIC: the guest ended with status 1"],
    );
    line(&text, &["1 of 2 pair(s) complete"]);
    line(&text, &["halt", "6.50us"]);
}

#[test]
fn an_interrupted_comparison_shows_what_there_is() {
    let mut comparison = two_pairs();
    comparison.interrupted = true;
    comparison.runs.truncate(3);
    assert_eq!(comparison.exit_code(), 0, "a pair is complete");
    line(&comparison.to_table(), &["INTERRUPTED after 3 of 4 runs"]);
    comparison.runs.truncate(1);
    assert_eq!(comparison.exit_code(), 1, "nothing can be compared");
}

#[test]
fn what_is_too_much_is_counted() {
    let names: Vec<_> = (0..MOST_ROWS + 5)
        .map(|number| number.to_string())
        .collect();
    let run: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(2.0), Some(1.0)))
        .chain([("constant", Some(5.0), Some(5.0))])
        .collect();
    let mut comparison = comparison(rows(&[&run]));
    comparison.runs = (0..60)
        .map(|pair| RunOutcome {
            pair,
            apic: ApicKind::Kernel,
            status: Status::Error,
            reasons: vec!["it broke".to_owned()],
            duration_ns: None,
        })
        .collect();
    comparison.dropped_figures = 7;
    let text = comparison.to_table();
    assert!(text.lines().count() < MOST_ROWS + MOST_LINES + 20, "{text}");
    line(&text, &["The first 160 of 165 rows"]);
    line(&text, &["1 figure(s) were the same"]);
    line(&text, &["7 figure(s) were too many"]);
}
