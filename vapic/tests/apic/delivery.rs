//! From the ICR to the target's request bit, and what became of each message (SDM 3A, APIC §6, §8.4).

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Posted};

use crate::driver::register::*;
use crate::driver::{ALL, ALL_BUT_SELF, DOORS, Door, FIXED, LOWEST_PRIORITY, Machine, SELF};

/// Who got a vector since the last time.
fn reached(machine: &mut Machine) -> Vec<usize> {
    let count = machine.apics.len();
    (0..count)
        .filter(|&cpu| !machine.drain(cpu).vectors.is_empty())
        .collect()
}

#[test]
fn unicast_and_shorthands() {
    let table: [(u32, &[usize]); 5] = [
        (FIXED, &[2]),
        (SELF, &[1]),
        (ALL, &[0, 1, 2, 3]),
        (ALL_BUT_SELF, &[0, 2, 3]),
        (LOWEST_PRIORITY | ALL, &[0]),
    ];
    for door in DOORS {
        for (command, expected) in table {
            let in_door = !(door == Door::Msr && command & LOWEST_PRIORITY != 0);
            let mut machine = Machine::new(door, 4);
            machine.send(1, 2, command | 0x40);
            assert_eq!(
                reached(&mut machine),
                if in_door { expected } else { &[] },
                "{door:?}"
            );
        }
    }
}

#[test]
fn broadcast_addresses_have_the_width_of_the_sender() {
    let mut machine = Machine::new(Door::Page, 3);
    machine.send(1, 0xFF, 0x40);
    assert_eq!(reached(&mut machine), [0, 1, 2]);

    let mut machine = Machine::new(Door::Msr, 3);
    machine.send(1, 0xFF, 0x40);
    assert_eq!(reached(&mut machine), [], "APIC 255 does not exist");
    machine.send(1, 0xFFFF_FFFF, 0x40);
    assert_eq!(reached(&mut machine), [0, 1, 2]);
}

#[test]
fn an_absent_target_is_no_error() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 77, 0x40);
        assert_eq!(reached(&mut machine), []);
        machine.write(0, ESR, 0);
        assert_eq!(machine.read(0, ESR), 0);
    }
}

#[test]
fn self_ipi_register() {
    let mut machine = Machine::new(Door::Msr, 2);
    machine.write(1, SELF_IPI, 0x40);
    assert_eq!(machine.take(1), Some(0x40));
    assert_eq!(reached(&mut machine), []);
}

#[test]
fn a_second_post_before_the_drain_coalesces() {
    let mut machine = Machine::new(Door::Msr, 2);
    let message = InterruptMessage {
        destination: Destination::Physical(1),
        delivery: DeliveryMode::Fixed,
        vector: 0x40,
        trigger: Trigger::Edge,
    };
    assert_eq!(machine.deliver(0, &message), [(1, Posted::New)]);
    assert_eq!(machine.deliver(0, &message), [(1, Posted::Coalesced)]);
    let level = InterruptMessage {
        trigger: Trigger::Level,
        ..message
    };
    assert_eq!(
        machine.deliver(0, &level),
        [(1, Posted::New)],
        "level requests are kept apart"
    );
    assert_eq!(machine.drain(1).vectors.len(), 2);
    assert_eq!(machine.deliver(0, &message), [(1, Posted::New)]);
    assert_eq!(machine.drain(1).vectors, [(0x40, Acceptance::Merged)]);
}

#[test]
fn what_no_apic_takes_is_said_so() {
    let mut machine = Machine::new(Door::Msr, 2);
    let message = InterruptMessage {
        destination: Destination::Physical(1),
        delivery: DeliveryMode::RemoteRead,
        vector: 0x40,
        trigger: Trigger::Edge,
    };
    assert_eq!(machine.deliver(0, &message), [(1, Posted::Unsupported)]);
    assert!(machine.fabric.mailboxes()[1].is_empty());
}

#[test]
fn every_vector_has_an_outcome() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.interrupt(1, 0x40);
        machine.drain(1);
        for vector in [0x0F, 0x40, 0x41, 0xFF] {
            machine.interrupt(1, vector);
        }
        let outcomes = [
            (0x0F, Acceptance::IllegalVector),
            (0x40, Acceptance::Merged),
            (0x41, Acceptance::Accepted),
            (0xFF, Acceptance::Accepted),
        ];
        assert_eq!(machine.drain(1).vectors, outcomes);
        assert_eq!(machine.read_vectors(1, IRR), [0x40, 0x41, 0xFF]);
    }
}

#[test]
fn a_request_in_service_takes_one_more_of_its_vector() {
    for door in DOORS {
        for vector in [0x40, 0xFB] {
            let mut machine = Machine::new(door, 2);
            machine.send(0, 1, vector.into());
            assert_eq!(machine.take(1), Some(vector));
            machine.send(0, 1, vector.into());
            assert_eq!(machine.drain(1).vectors, [(vector, Acceptance::Accepted)]);
            machine.send(0, 1, vector.into());
            assert_eq!(machine.drain(1).vectors, [(vector, Acceptance::Merged)]);
            machine.end(1);
            assert_eq!(machine.take(1), Some(vector));
            machine.end(1);
            assert_eq!(machine.take(1), None);
        }
    }
}

/// The short way of a drain must leave what waits already alone.
#[test]
fn requests_beside_one_another_all_stay() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        let vectors = [0x10, 0x3F, 0x40, 0x80, 0xBF, 0xC0, 0xC1, 0xFE, 0xFF];
        for vector in vectors {
            machine.interrupt(0, vector);
            assert_eq!(machine.drain(0).vectors, [(vector, Acceptance::Accepted)]);
        }
        assert_eq!(machine.read_vectors(0, IRR), vectors);
    }
}

#[test]
fn an_ipi_is_edge_triggered_whatever_it_says() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, 0x40 | 1 << 15 | 1 << 14);
        assert_eq!(machine.take(1), Some(0x40));
        machine.end(1);
        assert_eq!(machine.ended, [(0x40, false)]);
    }
}

#[test]
fn edge_and_level_of_one_vector_are_one_interrupt_that_is_level() {
    let mut machine = Machine::new(Door::Msr, 1);
    machine.interrupt(0, 0x40);
    machine.post(Destination::All, 0x40, Trigger::Level);
    let outcomes = [(0x40, Acceptance::Accepted), (0x40, Acceptance::Merged)];
    assert_eq!(
        machine.drain(0).vectors,
        outcomes,
        "two posts have two outcomes"
    );
    assert_eq!(machine.take(0), Some(0x40));
    machine.end(0);
    assert_eq!(
        machine.ended,
        [(0x40, true)],
        "the line is told, or it would stay blocked"
    );
}

#[test]
fn nothing_waiting_is_nothing() {
    let mut machine = Machine::new(Door::Page, 1);
    let drained = machine.drain(0);
    assert!(drained.vectors.is_empty() && drained.arrivals.is_none());
    assert_eq!(machine.apics[0].acknowledge(), None);
    assert!(machine.apics[0].requests().is_empty());
}
