//! INIT and start-up IPIs: order, loss and what is kept (SDM 3A, APIC §4.7.3; MP initialization 8.4).

use vapic::spec::message::{Destination, Trigger};
use vapic::{Acceptance, Overtaken};

use crate::driver::register::*;
use crate::driver::{ALL_BUT_SELF, DOORS, Door, INIT, Machine, NMI, SELF, START_UP};

const LEVEL: u32 = 1 << 15;
const ASSERT: u32 = 1 << 14;

#[test]
fn init_and_start_up_start_a_processor_once() {
    let mut machine = Machine::at_power_up(2);
    machine.send(0, 1, INIT | ASSERT | LEVEL);
    let arrivals = machine.drain(1).arrivals.unwrap();
    assert_eq!((arrivals.init, arrivals.start_page), (true, None));
    assert!(machine.apics[1].is_waiting_for_start_up());
    machine.send(0, 1, INIT | LEVEL);
    assert!(
        machine.drain(1).arrivals.is_none(),
        "the de-assert is ignored"
    );
    machine.send(0, 1, START_UP | 0x08);
    assert_eq!(machine.drain(1).arrivals.unwrap().start_page, Some(0x08));
    assert!(!machine.apics[1].is_waiting_for_start_up());
    // The second of the pair finds it running.
    machine.send(0, 1, START_UP | 0x08);
    let arrivals = machine.drain(1).arrivals.unwrap();
    assert_eq!(
        (arrivals.start_page, arrivals.start_up_discarded),
        (None, true)
    );
}

#[test]
fn both_may_be_drained_at_once_and_take_effect_in_order() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, INIT);
        machine.send(0, 1, START_UP | 0x12);
        machine.send(0, 1, START_UP | 0x12);
        let arrivals = machine.drain(1).arrivals.unwrap();
        assert_eq!((arrivals.init, arrivals.start_page), (true, Some(0x12)));
        assert!(!machine.apics[1].is_waiting_for_start_up());
    }
}

#[test]
fn a_start_up_before_the_init_is_lost() {
    let mut machine = Machine::at_power_up(2);
    machine.send(0, 1, START_UP | 0x08);
    machine.send(0, 1, INIT);
    let arrivals = machine.drain(1).arrivals.unwrap();
    assert_eq!((arrivals.init, arrivals.start_page), (true, None));
    assert_eq!(
        arrivals.overtaken,
        Overtaken {
            start_ups: 1,
            ..Overtaken::default()
        }
    );
    assert!(
        machine.apics[1].is_waiting_for_start_up(),
        "it starts by a later one"
    );
    machine.send(0, 1, START_UP | 0x09);
    assert_eq!(machine.drain(1).arrivals.unwrap().start_page, Some(0x09));
}

#[test]
fn start_up_pages_below_16_are_legal() {
    for page in 0..16 {
        let mut machine = Machine::at_power_up(2);
        machine.send(0, 1, START_UP | page);
        assert_eq!(
            machine.drain(1).arrivals.unwrap().start_page.map(u32::from),
            Some(page)
        );
        for cpu in 0..2 {
            machine.write(cpu, ESR, 0);
            assert_eq!(machine.read(cpu, ESR), 0);
        }
    }
}

#[test]
fn the_bootstrap_processor_starts_over_without_waiting() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(1, 0, INIT);
        let arrivals = machine.drain(0).arrivals.unwrap();
        assert!(arrivals.init);
        assert!(!machine.apics[0].is_waiting_for_start_up());
    }
}

#[test]
fn init_to_self_and_to_all_but_self() {
    for door in DOORS {
        let mut machine = Machine::new(door, 3);
        machine.send(2, 0, INIT | SELF);
        assert!(
            machine
                .drain(2)
                .arrivals
                .is_some_and(|arrivals| arrivals.init)
        );
        machine.send(0, 0, INIT | ALL_BUT_SELF);
        let init = [0, 1, 2].map(|cpu| machine.drain(cpu).arrivals.is_some_and(|a| a.init));
        assert_eq!(init, [false, true, true]);
    }
}

#[test]
fn an_edge_init_counts_whatever_its_level() {
    for command in [INIT, INIT | ASSERT, INIT | ASSERT | LEVEL] {
        let mut machine = Machine::new(Door::Msr, 2);
        machine.send(0, 1, command);
        assert!(
            machine
                .drain(1)
                .arrivals
                .is_some_and(|arrivals| arrivals.init),
            "{command:#x}"
        );
    }
}

#[test]
fn init_resets_the_registers_but_the_base_the_mode_and_the_id() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        if door == Door::Page {
            machine.write(1, ID, 0x77 << 24);
            machine.write(1, LDR, 0x01 << 24);
            machine.write(1, DFR, 0);
        }
        machine.write(1, TPR, 0x20);
        machine.write(1, LVT_TIMER, 0x50);
        machine.write(1, TIMER_INITIAL, 1000);
        let interrupted = if door == Door::Page { 0x77 } else { 1 };
        machine.interrupt(interrupted, 0x90);
        machine.interrupt(interrupted, 0x80);
        assert_eq!(machine.take(1), Some(0x90));
        let base = machine.apics[1].base();
        machine.send(0, interrupted as usize, INIT);
        machine.drain(1);

        assert_eq!(machine.apics[1].base(), base);
        assert_eq!(machine.apics[1].page().is_some(), door == Door::Page);
        let id = if door == Door::Page { 0x77 << 24 } else { 1 };
        assert_eq!(machine.read(1, ID), id);
        let reset = [
            (TPR, 0),
            (SVR, 0xFF),
            (LVT_TIMER, 0x1_0000),
            (TIMER_INITIAL, 0),
            (TIMER_CURRENT, 0),
            (TIMER_DIVIDE, 0),
        ];
        for (register, value) in reset {
            assert_eq!(machine.read(1, register), value, "{door:?} {register:#x}");
        }
        for first in [ISR, TMR, IRR] {
            assert_eq!(machine.read_vectors(1, first), []);
        }
        match door {
            Door::Page => assert_eq!((machine.read(1, LDR), machine.read(1, DFR)), (0, u32::MAX)),
            Door::Msr => assert_eq!(machine.read(1, LDR), 2),
        }
    }
}

#[test]
fn init_overtakes_what_waits_and_says_so() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, 0x40);
        machine.send(0, 1, NMI);
        machine.send(0, 1, NMI);
        machine.send(0, 1, INIT);
        machine.send(0, 1, NMI);
        let drained = machine.drain(1);
        let arrivals = drained.arrivals.unwrap();
        assert_eq!(
            arrivals.overtaken,
            Overtaken {
                nmis: 2,
                ..Overtaken::default()
            }
        );
        assert_eq!(arrivals.nmis, 1, "the one after the INIT");
        assert_eq!(drained.vectors, [(0x40, Acceptance::Disabled)]);
        assert_eq!(machine.apics[1].deliverable(), None);
    }
}

#[test]
fn repeated_inits_keep_count_of_what_they_overtook() {
    let mut machine = Machine::new(Door::Msr, 2);
    for _ in 0..300 {
        machine.send(0, 1, START_UP | 8);
        machine.send(0, 1, INIT);
    }
    let arrivals = machine.drain(1).arrivals.unwrap();
    assert_eq!(arrivals.overtaken.start_ups, 255, "the count saturates");
    assert!(arrivals.init && arrivals.start_page.is_none());
}

#[test]
fn init_drops_a_latched_nmi() {
    let mut machine = Machine::new(Door::Msr, 2);
    machine.send(0, 1, NMI);
    machine.drain(1);
    machine.send(0, 1, INIT);
    machine.send(0, 1, START_UP | 8);
    machine.drain(1);
    assert!(!machine.apics[1].take_nmi());
}

#[test]
fn vectors_of_either_trigger_that_wait_at_an_init_are_refused() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.interrupt(1, 0x40);
        machine.post(Destination::Physical(1), 0x41, Trigger::Level);
        machine.send(0, 1, INIT);
        let refused = [(0x40, Acceptance::Disabled), (0x41, Acceptance::Disabled)];
        assert_eq!(machine.drain(1).vectors, refused);
    }
}
