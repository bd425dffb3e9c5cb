//! SVR bit 8 clear: what stops and what does not (SDM 3A, APIC §4.7.2).

use vapic::Acceptance;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use crate::driver::register::*;
use crate::driver::{DOORS, MASKED, Machine};

const DISABLED: u32 = 0x0FF;
const ENABLED: u32 = 0x1FF;
const ENTRIES: [u32; 7] = [
    LVT_CMCI,
    LVT_TIMER,
    LVT_THERMAL,
    LVT_PMC,
    LVT_LINT0,
    LVT_LINT1,
    LVT_ERROR,
];

#[test]
fn entries_are_masked_and_stay_so() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for entry in ENTRIES {
            machine.write(0, entry, 0x40);
        }
        machine.write(0, SVR, DISABLED);
        for entry in ENTRIES {
            assert_eq!(machine.read(0, entry), MASKED | 0x40, "{door:?} {entry:#x}");
            machine.write(0, entry, 0x41);
            assert_eq!(
                machine.read(0, entry),
                MASKED | 0x41,
                "the mask cannot be cleared"
            );
        }
        machine.write(0, SVR, ENABLED);
        for entry in ENTRIES {
            assert_eq!(
                machine.read(0, entry),
                MASKED | 0x41,
                "nor does enabling clear it"
            );
            machine.write(0, entry, 0x41);
            assert_eq!(machine.read(0, entry), 0x41);
        }
    }
}

#[test]
fn vectors_are_refused() {
    for door in DOORS {
        for vector in [0x0F, 0x40, 0xFB] {
            let mut machine = Machine::new(door, 2);
            machine.write(1, SVR, DISABLED);
            machine.interrupt(1, vector);
            assert_eq!(machine.drain(1).vectors, [(vector, Acceptance::Disabled)]);
            machine.write(1, SVR, ENABLED);
            assert_eq!(machine.take(1), None, "a refused vector is not kept");
        }
    }
}

#[test]
fn what_was_accepted_before_is_held_and_delivered() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.interrupt(0, 0x40);
        machine.interrupt(0, 0x90);
        assert_eq!(machine.take(0), Some(0x90));
        machine.write(0, SVR, DISABLED);
        assert_eq!(machine.read_vectors(0, IRR), [0x40]);
        assert_eq!(machine.read_vectors(0, ISR), [0x90]);
        machine.end(0);
        assert_eq!(
            machine.take(0),
            Some(0x40),
            "the processor may still take it"
        );
    }
}

#[test]
fn commands_still_go_out() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write(0, SVR, DISABLED);
        machine.send(0, 1, 0x40);
        assert_eq!(machine.take(1), Some(0x40));
    }
}

#[test]
fn lowest_priority_passes_over_it() {
    let mut machine = Machine::new(DOORS[0], 3);
    machine.write(1, SVR, DISABLED);
    for vector in 0x40..0x50 {
        machine.send(
            0,
            0,
            crate::driver::LOWEST_PRIORITY | crate::driver::ALL_BUT_SELF | vector,
        );
    }
    assert!(machine.fabric.mailboxes()[1].is_empty());
    assert_eq!(machine.drain(2).vectors.len(), 16);
}

#[test]
fn an_ext_int_message_is_refused() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for (svr, latched) in [(DISABLED, false), (ENABLED, true)] {
            machine.write(0, SVR, svr);
            let message = InterruptMessage {
                destination: Destination::Physical(0),
                delivery: DeliveryMode::ExtInt,
                vector: 0,
                trigger: Trigger::Edge,
            };
            machine.fabric.mailboxes()[0].post(&message);
            assert!(machine.drain(0).arrivals.unwrap().ext_int);
            assert_eq!(machine.apics[0].ext_int(), latched, "{door:?}");
        }
    }
}
