use proptest::prelude::*;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Overtaken, Posted};

use super::*;
use crate::observe::{Access, Cause, Door, IpiId, Kick, Line, Rest, Source};

const AT: Tsc = Tsc(0x1234_5678_9ABC);
const TURN: Tsc = Tsc(0x1234_5678_0000);

/// Every kind of event, with values that are not their defaults.
fn events() -> Vec<Event> {
    let id = IpiId::new(Source::Vcpu(7), 99);
    let message = |destination, trigger| InterruptMessage {
        destination,
        delivery: DeliveryMode::LowestPriority,
        vector: 0xFD,
        trigger,
    };
    let access = |door, write, fault| Access {
        door,
        write,
        value: 0xFEDC_BA98_7654_3210,
        fault,
        due: u64::from(write) * 77,
    };
    let mut events = vec![
        Event::Exit {
            cause: Cause::Window,
            returned: AT,
            entered: Tsc(AT.0 + 5),
        },
        Event::Arrived {
            arrivals: Arrivals {
                nmis: 2,
                nmis_merged: 1,
                init: true,
                start_page: Some(0x9F),
                start_up_discarded: true,
                smi: true,
                ext_int: true,
                overtaken: Overtaken {
                    nmis: 1,
                    start_ups: 2,
                    smis: 3,
                    ext_ints: 4,
                },
            },
            at: AT,
        },
        Event::Arrived {
            arrivals: Arrivals::default(),
            at: AT,
        },
        Event::Reset,
        Event::Injected {
            vector: 0xFD,
            id: Some(id),
            at: AT,
            turn: TURN,
        },
        Event::ExternalInjected {
            vector: 0x20,
            turn: TURN,
        },
        Event::TaskPriority(0xF),
        Event::Lint0(true),
    ];
    for rest in [Rest::Halted, Rest::WaitingForStartUp] {
        events.push(Event::Rested {
            rest,
            since: AT,
            ticks: u64::MAX,
        });
    }
    for (destination, trigger) in [
        (Destination::Physical(0x1_0001), Trigger::Edge),
        (Destination::Logical(u32::MAX), Trigger::Level),
        (Destination::Sender, Trigger::Edge),
        (Destination::All, Trigger::Edge),
        (Destination::AllButSender, Trigger::Level),
    ] {
        events.push(Event::Sent {
            id,
            message: message(destination, trigger),
        });
    }
    for outcome in [Posted::New, Posted::Coalesced, Posted::Unsupported] {
        events.push(Event::Posted {
            id,
            target: 254,
            delivery: DeliveryMode::Nmi,
            vector: 2,
            outcome,
        });
    }
    events.extend(Kick::ALL.map(|kick| Event::Kicked {
        id,
        target: 3,
        kick,
    }));
    for (acceptance, trigger) in [
        (Acceptance::Accepted, Trigger::Level),
        (Acceptance::Merged, Trigger::Edge),
        (Acceptance::Disabled, Trigger::Level),
        (Acceptance::IllegalVector, Trigger::Edge),
    ] {
        events.push(Event::Drained {
            vector: 0x31,
            trigger,
            acceptance,
            id: Some(id),
            at: AT,
        });
    }
    for id in [None, Some(id)] {
        events.push(Event::NmiInjected {
            id,
            at: AT,
            turn: TURN,
        });
        for line in [Line::Init, Line::StartUp, Line::Vector(9)] {
            events.push(Event::CarriedOut { line, id });
        }
    }
    for (door, write, fault) in [
        (Door::Page(0xFFC, 8), false, false),
        (Door::Page(0x300, 4), true, false),
        (Door::Msr(0x830), true, true),
        (Door::Msr(0x6E0), false, true),
    ] {
        events.push(Event::Access {
            access: access(door, write, fault),
            at: AT,
        });
    }
    for level in [false, true] {
        events.push(Event::Ended {
            vector: 0xEC,
            level,
            id: level.then_some(id),
            at: AT,
        });
    }
    events
}

#[test]
fn an_event_comes_back_from_its_bytes() {
    for event in events() {
        let record = Record::from_bytes(&Record::of(&event).to_bytes());
        let Stamped { at, event: back } = record.decode().unwrap();
        assert_eq!(back, event);
        assert!(event.at().is_none_or(|expected| expected == at));
    }
}

proptest! {
    #[test]
    fn no_bytes_can_do_harm(bytes: [u8; RECORD_SIZE]) {
        let record = Record::from_bytes(&bytes);
        prop_assert_eq!(record.to_bytes(), bytes);
        if let Some(stamped) = record.decode() {
            let again = Record::of(&stamped.event).decode();
            prop_assert_eq!(again.map(|again| again.event), Some(stamped.event));
        }
    }
}
