use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use super::super::slice::{Fact, arrow_number};
use super::*;
use crate::observe::{Cause, Door, Kick, Source, Tsc};

const START: u64 = 1000;

/// The stamp of a moment, in nanoseconds from the run's start.
fn tsc(at: u64) -> Tsc {
    Tsc(START + at)
}

fn lane(origin: Origin) -> Lane {
    Lane::new(origin, Clock::new(Tsc(START), 1_000_000))
}

/// What a thread's events become, and when it is said that the trace ends.
fn slices(origin: Origin, events: &[(u64, Event)], end: u64) -> Vec<(Track, Slice)> {
    let mut lane = lane(origin);
    let mut stage = Stage::default();
    for &(at, event) in events {
        let at = event.at().unwrap_or(tsc(at));
        lane.follow(&Stamped { at, event }, &mut stage);
    }
    lane.finish(end, &mut stage);
    for (_, slice) in &stage.slices {
        assert_nested(slice);
    }
    stage.slices
}

fn assert_nested(slice: &Slice) {
    assert!(slice.from <= slice.to, "{slice:?}");
    let mut free = slice.from;
    for inner in &slice.inner {
        assert!(free <= inner.from && inner.to <= slice.to, "{slice:?}");
        free = inner.to;
        assert_nested(inner);
    }
}

fn exit(cause: Cause, returned: u64, entered: u64) -> (u64, Event) {
    let (returned, entered) = (tsc(returned), tsc(entered));
    let event = Event::Exit {
        cause,
        returned,
        entered,
    };
    (0, event)
}

fn rested(since: u64, ticks: u64) -> (u64, Event) {
    let (rest, since) = (Rest::Halted, tsc(since));
    (0, Event::Rested { rest, since, ticks })
}

fn ipi(vcpu: usize, at: u64) -> IpiId {
    IpiId::new(Source::Vcpu(vcpu), at)
}

fn sent(id: IpiId, at: u64) -> (u64, Event) {
    let message = InterruptMessage {
        destination: Destination::AllButSender,
        delivery: DeliveryMode::Fixed,
        vector: 0xFD,
        trigger: Trigger::Edge,
    };
    (at, Event::Sent { id, message })
}

fn posted(id: IpiId, target: usize, at: u64) -> (u64, Event) {
    let event = Event::Posted {
        id,
        target,
        delivery: DeliveryMode::Fixed,
        vector: 0xFD,
        outcome: Posted::New,
    };
    (at, event)
}

fn shape(slices: &[(Track, Slice)]) -> Vec<(u64, u64, String)> {
    let shown = slices.iter();
    shown
        .map(|(_, slice)| (slice.from, slice.to, slice.what.name().into_owned()))
        .collect()
}

fn named(from: u64, to: u64, name: &str) -> (u64, u64, String) {
    (from, to, name.to_owned())
}

#[test]
fn the_guest_runs_from_one_exit_to_the_next() {
    let events = [exit(Cause::Port, 10, 15), exit(Cause::Hlt, 40, 90)];
    assert_eq!(
        shape(&slices(Origin::Vcpu(0), &events, 100)),
        [
            named(0, 10, "guest"),
            named(10, 15, "port I/O"),
            named(15, 40, "guest"),
            named(40, 90, "HLT"),
        ]
    );
}

#[test]
fn rests_lie_in_the_exit_that_they_belong_to() {
    let events = [rested(12, 30), rested(45, 50), exit(Cause::Hlt, 10, 100)];
    let slices = slices(Origin::Vcpu(0), &events, 100);
    let hlt = &slices[1].1;
    let rest = |from, to| Slice::new(from, to, What::Rest(Rest::Halted));
    assert_eq!(hlt.inner, [rest(12, 42), rest(45, 95)]);
}

#[test]
fn stamps_that_overlap_are_cut_to_what_is_free() {
    // Cores whose counters disagree: an exit before the last entry, a rest beyond its exit.
    let events = [
        exit(Cause::Port, 10, 50),
        rested(46, 1000),
        exit(Cause::Hlt, 45, 60),
        exit(Cause::Port, 70, 65),
    ];
    assert_eq!(
        shape(&slices(Origin::Vcpu(0), &events, 100)),
        [
            named(0, 10, "guest"),
            named(10, 50, "port I/O"),
            named(50, 50, "not recorded"),
            named(50, 50, "guest"),
            named(50, 60, "HLT"),
            named(60, 70, "guest"),
            named(70, 70, "port I/O"),
        ]
    );
}

#[test]
fn a_send_has_its_targets_and_lasts_until_the_last_is_woken() {
    let id = ipi(0, 10);
    let access = Access::write(Door::Msr(0x830), 0xFD, false);
    let kicked = |target, at| {
        let kick = Kick::Signal;
        (at, Event::Kicked { id, target, kick })
    };
    let events = [
        (
            0,
            Event::Access {
                access,
                at: tsc(10),
            },
        ),
        sent(id, 13),
        posted(id, 1, 14),
        kicked(1, 16),
        posted(id, 2, 17),
        kicked(2, 20),
        exit(Cause::ApicIcr, 10, 25),
    ];
    let slices = slices(Origin::Vcpu(0), &events, 100);
    let (track, exit) = &slices[1];
    assert_eq!(*track, Track::Vcpu(0));
    assert_eq!(exit.what, What::Exit(Cause::ApicIcr, Some(access)));
    let [send] = exit.inner.as_slice() else {
        panic!("one send in {exit:?}")
    };
    assert_eq!((send.from, send.to), (10, 20));
    let arrows = send.what.arrows();
    assert!(arrows.len() == 2 && arrows[0] != arrows[1], "{arrows:x?}");
    let facts = send.what.facts(10);
    for fact in [
        ("decode_ns".into(), Fact::Number(3)),
        ("targets".into(), Fact::Number(2)),
        ("signalled".into(), Fact::Number(2)),
        ("destination".into(), Fact::Text("all but self".into())),
    ] {
        assert!(facts.contains(&fact), "{fact:?} in {facts:?}");
    }
}

fn received(id: IpiId) -> [(u64, Event); 3] {
    let vector = 0xFD;
    let drained = Event::Drained {
        vector,
        trigger: Trigger::Edge,
        acceptance: Acceptance::Accepted,
        id: Some(id),
        at: tsc(30),
    };
    let injected = Event::Injected {
        vector,
        id: Some(id),
        at: tsc(38),
        turn: tsc(30),
    };
    let ended = Event::Ended {
        vector,
        id: Some(id),
        level: false,
        at: tsc(60),
    };
    [(0, drained), (0, injected), (0, ended)]
}

#[test]
fn an_ipi_is_followed_from_its_send_to_its_end() {
    let id = ipi(0, 32);
    let [drained, injected, ended] = received(id);
    let events = [
        drained,
        injected,
        exit(Cause::Kick, 20, 40),
        ended,
        exit(Cause::ApicEoi, 60, 65),
    ];
    let slices = slices(Origin::Vcpu(3), &events, 100);
    let arrow = Arrow {
        id,
        target: 3,
        sent: 32,
    };
    let service = What::Service {
        vector: 0xFD,
        arrow: Some(arrow),
        ended: true,
    };
    let found = slices
        .iter()
        .find(|(track, _)| *track == Track::Interrupts(3));
    assert_eq!(
        found.map(|(_, slice)| slice),
        Some(&Slice::new(38, 60, service.clone()))
    );
    let (_, eoi) = slices.last().expect("the exit of the EOI");
    assert_eq!((eoi.from, eoi.to), (60, 65));
    let [end] = eoi.inner.as_slice() else {
        panic!("one end in {eoi:?}")
    };
    assert_eq!(service.arrows(), [end.what.last_of().expect("an arrow")]);
    assert_eq!(service.arrows(), [arrow_number(id, 3)]);
}

#[test]
fn a_processor_waits_until_it_is_started() {
    let line = |line| Event::CarriedOut { line, id: None };
    let events = [
        (50, line(Line::Init)),
        (80, line(Line::StartUp)),
        exit(Cause::Port, 95, 96),
    ];
    let slices = slices(Origin::Vcpu(1), &events, 100);
    assert_eq!(
        shape(&slices),
        [
            named(0, 80, "waiting for SIPI"),
            named(80, 95, "guest"),
            named(95, 96, "port I/O"),
        ]
    );
    let inner: Vec<_> = slices[0].1.inner.iter().map(|slice| slice.from).collect();
    assert_eq!(inner, [50, 80]);
}

#[test]
fn where_an_exit_is_missing_nothing_is_made_up() {
    let events = [
        exit(Cause::Port, 10, 15),
        // Of an exit that was lost.
        rested(22, 8),
        exit(Cause::Hlt, 40, 50),
    ];
    assert_eq!(
        shape(&slices(Origin::Vcpu(0), &events, 100))[2..],
        [
            named(15, 30, "not recorded"),
            named(30, 40, "guest"),
            named(40, 50, "HLT"),
        ]
    );
}

#[test]
fn a_trace_that_was_cut_off_leaves_nothing_open() {
    let [drained, injected, _] = received(ipi(0, 32));
    let events = [
        drained,
        injected,
        exit(Cause::Kick, 20, 40),
        // The exit that this belongs to was not over.
        rested(50, 30),
    ];
    let slices = slices(Origin::Vcpu(0), &events, 100);
    assert_eq!(
        shape(&slices)[2..],
        [named(40, 80, "not recorded"), named(38, 100, "vector 0xfd")]
    );
    let (_, service) = slices.last().expect("the service");
    assert!(
        service
            .what
            .facts(38)
            .contains(&("ended".into(), Fact::Truth(false)))
    );
}

#[test]
fn an_init_and_a_reset_end_what_is_in_service() {
    for reset in [
        Event::Reset,
        Event::CarriedOut {
            line: Line::Init,
            id: None,
        },
    ] {
        let [drained, injected, ended] = received(ipi(0, 32));
        let events = [
            drained,
            injected,
            exit(Cause::Kick, 20, 40),
            (55, reset),
            exit(Cause::ApicBase, 50, 58),
            ended,
            exit(Cause::ApicEoi, 60, 65),
        ];
        let slices = slices(Origin::Vcpu(0), &events, 100);
        let services: Vec<_> = slices
            .iter()
            .filter(|(track, _)| *track == Track::Interrupts(0))
            .map(|(_, slice)| (slice.from, slice.to))
            .collect();
        assert_eq!(services, [(38, 55)]);
        // The EOI ended nothing.
        let (_, eoi) = slices.last().expect("the exit of the EOI");
        assert_eq!(eoi.inner[0].what.last_of(), None);
    }
}

#[test]
fn what_devices_send_does_not_overlap() {
    let id = |at| IpiId::new(Source::Device, at);
    let events = [
        sent(id(10), 12),
        posted(id(10), 0, 18),
        // Of the same moment: it begins where the first ends.
        sent(id(11), 20),
        posted(id(11), 0, 25),
    ];
    let slices = slices(Origin::Devices, &events, 100);
    assert_eq!(
        shape(&slices),
        [named(10, 18, "send 0xfd"), named(18, 25, "send 0xfd")]
    );
}
