use super::*;
use crate::observe::{Event, Tsc};
use crate::trace::Policy;
use crate::trace::format::write_block;
use crate::trace::header::ClockFacts;

fn file(blocks: &[(Origin, &[Record])]) -> tempfile::NamedTempFile {
    file_of(crate::observe::report::tests::run(2), &[], blocks)
}

/// A trace without an end, whose ticks are nanoseconds.
pub(crate) fn file_of(
    run: crate::observe::report::Run,
    marks: &[Mark],
    blocks: &[(Origin, &[Record])],
) -> tempfile::NamedTempFile {
    let mut bytes = file_head().to_vec();
    let header = Header {
        run,
        clock: ClockFacts {
            start: 0,
            khz: 1_000_000,
            guest_offsets: Vec::new(),
        },
        policy: Policy::Drop,
        apic: None,
    };
    let header = serde_json::to_vec(&header).unwrap();
    write_block(&mut bytes, Content::Header, Origin::Devices, &header, 0).unwrap();
    for mark in marks {
        let mark = serde_json::to_vec(mark).unwrap();
        write_block(&mut bytes, Content::Mark, Origin::Devices, &mark, 0).unwrap();
    }
    for (origin, records) in blocks {
        let records: Vec<u8> = records
            .iter()
            .flat_map(|record| record.to_bytes())
            .collect();
        write_block(&mut bytes, Content::Records, *origin, &records, 3).unwrap();
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    file
}

fn ended(at: u64) -> Record {
    Record::of(&Event::Ended {
        vector: 0x40,
        id: None,
        level: false,
        at: Tsc(at),
    })
}

#[test]
fn threads_are_merged_by_time_and_each_keeps_its_order() {
    let [one, two] = [Origin::Vcpu(0), Origin::Vcpu(1)];
    // The second of the first thread is older than the one before it: it waits behind that.
    let file = file(&[
        (one, &[ended(10), ended(5)]),
        (two, &[ended(7), ended(12)]),
        (one, &[ended(20)]),
    ]);
    let trace = Trace::open(file.path()).unwrap();
    assert_eq!((trace.record_count(), trace.lost_records), (5, 3));
    let merged: Vec<_> = trace
        .merged()
        .map(|item| {
            item.map(|(origin, stamped)| (origin, stamped.at.0))
                .unwrap()
        })
        .collect();
    assert_eq!(
        merged,
        [(two, 7), (one, 10), (one, 5), (two, 12), (one, 20)]
    );
    assert_eq!(trace.events(one).count(), 3);
    assert_eq!(trace.events(Origin::Devices).count(), 0);
}

#[test]
fn records_of_no_vcpu_or_of_no_meaning_are_damage() {
    let stranger = file(&[(Origin::Vcpu(2), &[ended(1)])]);
    assert!(matches!(
        Trace::open(stranger.path()),
        Err(TraceError::Damaged { .. })
    ));
    let meaningless = file(&[(Origin::Vcpu(0), &[ended(1), Record::default()])]);
    let trace = Trace::open(meaningless.path()).unwrap();
    let items: Vec<_> = trace.merged().collect();
    assert!(matches!(
        items.as_slice(),
        [Err(TraceError::Damaged { .. })]
    ));
}

#[test]
fn zeros_after_the_last_block_end_the_trace() {
    let file = file(&[(Origin::Vcpu(0), &[ended(1)])]);
    let mut bytes = std::fs::read(file.path()).unwrap();
    bytes.extend([0; 4096]);
    std::fs::write(file.path(), bytes).unwrap();
    let trace = Trace::open(file.path()).unwrap();
    assert_eq!(trace.record_count(), 1);
    assert!(trace.end.is_none());
}

#[test]
fn more_vcpus_than_a_machine_has_are_damage() {
    let file = file_of(crate::observe::report::tests::run(1 << 62), &[], &[]);
    let refused = Trace::open(file.path());
    assert!(matches!(refused, Err(TraceError::Damaged { .. })));
}

#[test]
fn what_a_terminal_would_obey_is_not_shown() {
    let run = crate::observe::report::Run {
        scenario: "\u{1b}]0;x\u{7}".to_owned(),
        ..crate::observe::report::tests::run(1)
    };
    let file = file_of(run, &[], &[]);
    let trace = Trace::open(file.path()).unwrap();
    assert_eq!(trace.header.run.scenario, "\u{FFFD}]0;x\u{FFFD}");
}
