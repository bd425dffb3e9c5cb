use vapic::Acceptance;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use super::*;
use crate::observe::{Access, Cause, Door, Event, IpiId, Source};
use crate::trace::Stamped;

const ID: u32 = 0x20;
const SVR: u32 = 0xF0;
const ICR: u32 = 0x300;
const EOI: u32 = 0xB0;

fn processor() -> Processor {
    let facts = ApicFacts {
        physical_bits: 46,
        tsc_deadline: false,
        eoi_suppression: false,
        corrected_machine_check: true,
    };
    Processor::new(1, facts, Clock::new(Tsc(0), 1_000_000))
}

fn access(write: bool, offset: u32, value: u64) -> Event {
    Event::Access {
        access: Access {
            door: Door::Page(offset, 4),
            write,
            value,
            fault: false,
            due: 0,
        },
        at: Tsc(1_000),
    }
}

fn sent(vector: u8) -> Event {
    Event::Sent {
        id: IpiId::new(Source::Vcpu(1), 1_000),
        message: InterruptMessage {
            destination: Destination::Physical(0),
            delivery: DeliveryMode::Fixed,
            vector,
            trigger: Trigger::Edge,
        },
    }
}

fn drained(vector: u8, acceptance: Acceptance) -> Event {
    Event::Drained {
        vector,
        trigger: Trigger::Edge,
        acceptance,
        id: None,
        at: Tsc(2_000),
    }
}

fn injected(vector: u8) -> Event {
    Event::Injected {
        vector,
        id: None,
        at: Tsc(2_100),
        turn: Tsc(2_000),
    }
}

fn ended(vector: u8) -> Event {
    Event::Ended {
        vector,
        id: None,
        level: false,
        at: Tsc(1_000),
    }
}

const EXIT: Event = Event::Exit {
    cause: Cause::ApicIcr,
    returned: Tsc(1_000),
    entered: Tsc(1_500),
};

/// What is different, if anything is.
fn replay(events: &[Event], page: Option<&Page>) -> Option<String> {
    let mut processor = processor();
    let step = |event: &Event| {
        let stamped = Stamped {
            at: event.at().unwrap_or(Tsc(0)),
            event: *event,
        };
        processor.step(&stamped).err()
    };
    let stepped = events.iter().find_map(step);
    stepped.or_else(|| {
        let end = processor.end_of_records(page.is_some());
        let same = end.and_then(|()| page.map_or(Ok(()), |page| processor.registers(page)));
        same.err()
    })
}

/// The registers of an APIC that nothing was done to.
fn reset_page() -> Page {
    let mut untouched = processor();
    let config = untouched.facts.config(1);
    let at = Tsc(5_000);
    Page::new(at, &untouched.apic.save(at.0).to_page(config))
}

#[test]
fn a_life_on_both_sides_is_identical_wherever_it_is_cut() {
    let events = [
        access(false, ID, 1 << 24),
        access(true, SVR, 0x1FF),
        access(true, ICR, 0x40),
        sent(0x40),
        EXIT,
        drained(0x50, Acceptance::Accepted),
        drained(0x60, Acceptance::Accepted),
        injected(0x60),
        access(true, EOI, 0),
        ended(0x60),
        injected(0x50),
    ];
    for cut in 0..=events.len() {
        assert_eq!(replay(&events[..cut], None), None, "{cut}");
    }
}

#[test]
fn an_effect_that_no_record_tells_of_is_found_at_the_end_of_a_whole_trace() {
    let events = [access(true, SVR, 0x1FF), access(true, ICR, 0x40)];
    let what = replay(&events, Some(&reset_page()));
    assert!(what.is_some_and(|what| what.contains("the effect")));
}

#[test]
fn every_output_that_differs_is_found() {
    let enable = access(true, SVR, 0x1FF);
    for (events, said) in [
        (&[access(false, ID, 2 << 24)][..], "the value read"),
        (
            &[enable, access(true, ICR, 0x41), sent(0x40)],
            "the message",
        ),
        (&[enable, sent(0x40)], "the message"),
        (&[enable, access(true, ICR, 0x40), EXIT], "the effect"),
        (&[enable, injected(0x60)], "acknowledged"),
        (
            &[enable, drained(0x50, Acceptance::Accepted), injected(0x51)],
            "acknowledged",
        ),
        (
            &[enable, drained(0x50, Acceptance::Merged), EXIT],
            "becomes of the vectors",
        ),
        (
            &[drained(0x50, Acceptance::Accepted)],
            "becomes of the vectors",
        ),
        (&[enable, access(true, EOI, 0), ended(0x60)], "the end"),
    ] {
        let what = replay(events, None).unwrap_or_default();
        assert!(what.contains(said), "{events:?}: {what:?}");
    }
}

#[test]
fn registers_that_differ_at_the_end_are_found() {
    let page = reset_page();
    assert_eq!(replay(&[], Some(&page)), None);
    let what = replay(&[access(true, SVR, 0x1FF)], Some(&page));
    assert!(what.is_some_and(|what| what.contains("registers")));
}
