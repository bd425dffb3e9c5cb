use super::*;
use crate::compare::comparison::tests::comparison;
use crate::compare::rows::tests::rows;

fn parse(text: &str) -> Result<Baseline, String> {
    Baseline::parse(Path::new("then.json"), text.as_bytes()).map_err(|error| error.to_string())
}

fn against(now: &Comparison, then: &Comparison) -> Against {
    parse(&then.to_json()).expect("a baseline").against(now)
}

#[test]
fn a_comparison_is_a_baseline_for_itself() {
    let now = comparison(rows(&[
        &[("halt", Some(4.0), Some(2.0)), ("ring3", Some(3.0), None)],
        &[("halt", Some(9.0), Some(3.0))],
    ]));
    let against = against(&now, &now);
    assert_eq!(against.differences, [""; 0]);
    assert_eq!(against.only_now, [""; 0]);
    assert_eq!(against.only_then, [""; 0]);
    let [change] = &against.changes[..] else {
        panic!("only halt has ratios: {against:?}")
    };
    assert_eq!(change.name, "ping target=halt cycles_median");
    assert_eq!(change.ratio_now, change.ratio_then);
    assert!((change.ratio_change - 1.0).abs() < f64::EPSILON && change.apart == Some(false));
    assert_eq!(change.userspace_change, Some(1.0));
    assert_eq!(change.kernel_change, Some(1.0));
}

#[test]
fn what_changed_is_told_apart_from_what_did_not() {
    let pair = |halt, ring3| {
        [
            ("halt", Some(halt), Some(10.0)),
            ("ring3", Some(ring3), Some(10.0)),
        ]
    };
    let then = comparison(rows(&[&pair(31.0, 30.0), &pair(33.0, 50.0)]));
    let now = comparison(rows(&[&pair(15.0, 40.0), &pair(17.0, 40.0)]));
    let changes = against(&now, &then).changes;
    let told: Vec<_> = changes
        .iter()
        .map(|change| (change.name.as_str(), change.apart))
        .collect();
    assert_eq!(
        told,
        [
            ("ping target=halt cycles_median", Some(true)),
            ("ping target=ring3 cycles_median", Some(false))
        ]
    );
    assert!((changes[0].ratio_change - 0.5).abs() < 1e-9, "{changes:?}");
    assert_eq!(changes[0].userspace_change, Some(0.5));
    assert_eq!(changes[0].kernel_change, Some(1.0));
}

#[test]
fn one_pair_has_no_spread() {
    let then = comparison(rows(&[&[("halt", Some(3.0), Some(1.0))]]));
    let now = comparison(rows(&[&[("halt", Some(2.0), Some(1.0))]]));
    assert_eq!(against(&now, &then).changes[0].apart, None);
}

#[test]
fn rows_of_one_side_are_listed() {
    let both = ("halt", Some(2.0), Some(1.0));
    let now = comparison(rows(&[&[both, ("ring0", Some(2.0), Some(1.0))]]));
    // A row that has no ratio cannot be compared with one that has.
    let then = comparison(rows(&[&[
        both,
        ("masked", Some(2.0), Some(1.0)),
        ("ring0", Some(2.0), None),
    ]]));
    let against = against(&now, &then);
    assert_eq!(against.changes.len(), 1);
    assert_eq!(against.only_now, ["ping target=ring0 cycles_median"]);
    assert_eq!(against.only_then, ["ping target=masked cycles_median"]);
}

#[test]
fn times_are_compared_as_times() {
    let then = comparison(rows(&[&[("halt", Some(2000.0), Some(1000.0))]]));
    let mut now = comparison(rows(&[&[("halt", Some(4000.0), Some(2000.0))]]));
    now.tsc_khz = 2 * then.tsc_khz;
    let against = against(&now, &then);
    assert_eq!(against.changes[0].userspace_change, Some(1.0));
    assert_eq!(against.differences.len(), 1, "{against:?}");
}

#[test]
fn other_surroundings_are_named() {
    let then = comparison(Vec::new());
    let mut now = then.clone();
    now.host.kernel = "6.99".to_owned();
    now.affinity.allowed_cpus = "1".to_owned();
    now.subject.apic_mode = "xapic".to_owned();
    now.subject.cpus = 8;
    assert_eq!(
        against(&now, &then).differences,
        [
            "host kernel: 6.99 now, 6.18 then",
            "CPUs allowed: 1 now, 0-1 then",
            "APIC mode: xapic now, x2apic then",
            "vCPUs: 8 now, 2 then",
        ]
    );
}

#[test]
fn other_files_are_refused_in_a_line() {
    let whole = comparison(Vec::new()).to_json();
    let cut = &whole[..whole.len() - 10];
    for text in [
        "",
        "{}",
        "[]",
        "null",
        "\u{0}",
        r#"{"schema": 1, "run": {}}"#,
        cut,
    ] {
        let error = parse(text).unwrap_err();
        assert!(
            error.contains("then.json") && error.contains("--json"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
    let newer = whole.replace(r#""schema":1"#, r#""schema":2"#);
    let error = parse(&newer).unwrap_err();
    assert!(
        error.contains("schema 2") && error.contains("again"),
        "{error}"
    );
    for path in ["/nowhere/then.json", "/tmp", "/dev/zero"] {
        let error = Baseline::read(Path::new(path)).unwrap_err();
        assert!(matches!(error, BaselineError::Unreadable { .. }), "{error}");
    }
}

/// Keys may be added to the schema, and rows may hold anything.
#[test]
fn a_baseline_may_know_more_and_less() {
    let now = comparison(rows(&[&[("halt", Some(4.0), Some(2.0))]]));
    let more = now.to_json().replacen('{', r#"{"later": [1, 2], "#, 1);
    assert_eq!(parse(&more).unwrap().against(&now).changes.len(), 1);
    let mut odd = now.clone();
    odd.rows[0].userspace = Vec::new();
    odd.rows[0].userspace_median = Some(0.0);
    odd.tsc_khz = 0;
    let change = &against(&now, &odd).changes[0];
    assert_eq!(change.userspace_change, None);
}
