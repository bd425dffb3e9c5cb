//! Our Local APIC against KVM's in-kernel one, by the answers that a guest gets from either.

use tests::differential::deviations::DEVIATIONS;
use tests::differential::{Bench, Punctuality, Tally};

/// Operations of one script.
const SCRIPT: usize = 20_000;

/// Processors of the machines, a script each.
const MACHINES: [u8; 5] = [2, 3, 2, 4, 2];

#[test]
#[ignore = "takes a minute"]
fn a_hundred_thousand_operations_agree() {
    let bench = Bench::new().unwrap();
    let mut total = Tally::default();
    for (seed, processors) in (1..).zip(MACHINES) {
        let tally = bench
            .differ(seed, SCRIPT, processors)
            .unwrap_or_else(|error| panic!("{error:#}"));
        total.add(&tally);
    }
    println!("{total}");
    assert_eq!(total.fault(), None);
    // One-shot with each of four divisors, periodic twice, and the deadline where there is one.
    let kinds = 6 + usize::from(bench.traits().unwrap().tsc_deadline);
    let judged = total.agreement.timers.each_ref().map(Punctuality::judged);
    assert_eq!(judged, [kinds; 2]);
    assert!(total.operations >= 100_000);
}

/// Otherwise the list would rot: an entry that this host's KVM does not need must go.
#[test]
fn every_deviation_is_real() {
    let bench = Bench::new().unwrap();
    let mut unreal = Vec::new();
    for deviation in DEVIATIONS {
        let [ours, kernel] = bench.last_answers(deviation).unwrap();
        println!("{}: userspace {ours}, kernel {kernel}", deviation.name);
        if ours == kernel && !deviation.some_hosts {
            unreal.push(deviation.name);
        }
    }
    assert_eq!(unreal, [""; 0], "the two APICs agree here");
}

#[test]
fn every_deviation_is_recognised_in_its_own_evidence() {
    let bench = Bench::new().unwrap();
    for deviation in DEVIATIONS {
        let script = (deviation.evidence)();
        let mut model = bench.model(2).unwrap();
        let mut recognised = false;
        let (last, before) = script.split_last().unwrap();
        for operation in before {
            recognised |= deviation.avoided.is_some_and(|f| f(&model, operation));
            recognised |= deviation
                .mended
                .is_some_and(|f| !f(&model, operation).is_empty());
            model.execute(operation);
        }
        if deviation.tolerated.is_some() {
            let [ours, kernel] = bench.last_answers(deviation).unwrap();
            recognised |= deviation.explains(&model, last, &ours, &kernel);
        }
        assert!(recognised, "{}", deviation.name);
    }
}
