//! Priorities, nesting, EOI, TPR and CR8 (SDM 3A, APIC §8.3 to §8.6).

use vapic::spec::message::{Destination, Trigger};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, Machine};

#[test]
fn the_highest_vector_goes_first() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for vector in [0x31, 0xFE, 0x75] {
            machine.interrupt(0, vector);
        }
        for vector in [0xFE, 0x75, 0x31] {
            assert_eq!(machine.take(0), Some(vector));
            machine.end(0);
        }
        assert_eq!(machine.take(0), None);
        assert_eq!(machine.ended, [(0xFE, false), (0x75, false), (0x31, false)]);
    }
}

#[test]
fn higher_classes_nest_and_end_from_the_top() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for vector in [0x31, 0x45, 0xFE] {
            machine.interrupt(0, vector);
            assert_eq!(machine.take(0), Some(vector));
        }
        assert_eq!(machine.read_vectors(0, ISR), [0x31, 0x45, 0xFE]);
        assert_eq!(machine.read(0, PPR), 0xF0);
        machine.end(0);
        assert_eq!(machine.read(0, PPR), 0x40);
        machine.end(0);
        machine.end(0);
        assert_eq!(machine.read(0, PPR), 0);
        assert_eq!(machine.ended, [(0xFE, false), (0x45, false), (0x31, false)]);
    }
}

#[test]
fn a_class_waits_for_its_own_class() {
    for door in DOORS {
        for class in 1..16u8 {
            let [first, highest] = [class << 4 | 1, class << 4 | 0xF];
            let mut machine = Machine::new(door, 1);
            machine.interrupt(0, first);
            assert_eq!(machine.take(0), Some(first));
            // Higher in the same class, and the very same vector again: both wait.
            machine.interrupt(0, highest);
            machine.interrupt(0, first);
            assert_eq!(machine.take(0), None);
            assert_eq!(machine.read_vectors(0, IRR), [first, highest]);
            assert_eq!(machine.read_vectors(0, ISR), [first]);
            machine.end(0);
            assert_eq!(machine.take(0), Some(highest));
            machine.end(0);
            assert_eq!(machine.take(0), Some(first));
        }
    }
}

#[test]
fn an_end_without_service_does_nothing() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.end(0);
        machine.interrupt(0, 0x40);
        machine.drain(0);
        machine.end(0);
        assert_eq!(machine.ended, []);
        assert_eq!(machine.take(0), Some(0x40), "a request is not ended");
    }
}

#[test]
fn the_task_priority_holds_back_its_class_and_below() {
    for door in DOORS {
        for (vector, below, own, above) in [(0x50, 0x4F, 0x50, 0x60), (0xE5, 0xDF, 0xE0, 0xF0)] {
            let mut machine = Machine::new(door, 1);
            machine.interrupt(0, vector);
            machine.drain(0);
            for (tpr, takes) in [
                (0, true),
                (below, true),
                (own, false),
                (own | 0xF, false),
                (above, false),
            ] {
                machine.write(0, TPR, tpr);
                let apic = &machine.apics[0];
                let state = (apic.deliverable().is_some(), apic.held_by_task_priority());
                assert_eq!(state, (takes, !takes), "{vector:#x} at TPR {tpr:#x}");
                assert_eq!(apic.clone().acknowledge().is_some(), takes);
                assert_eq!(machine.read(0, PPR), tpr);
            }
        }
    }
}

#[test]
fn what_is_in_service_is_not_held_by_the_task_priority() {
    let mut machine = Machine::new(Door::Msr, 1);
    machine.interrupt(0, 0x60);
    assert_eq!(machine.take(0), Some(0x60));
    machine.interrupt(0, 0x61);
    machine.drain(0);
    machine.write(0, TPR, 0x90);
    assert!(
        !machine.apics[0].held_by_task_priority(),
        "the class in service holds it back"
    );
    machine.end(0);
    assert!(machine.apics[0].held_by_task_priority());
}

/// PPR takes its sub-class from the TPR if the TPR's class is at least that in service.
#[test]
fn processor_priority() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.interrupt(0, 0x5A);
        assert_eq!(machine.take(0), Some(0x5A));
        for (tpr, ppr) in [
            (0, 0x50),
            (0x4F, 0x50),
            (0x53, 0x53),
            (0x67, 0x67),
            (0xFF, 0xFF),
        ] {
            machine.write(0, TPR, tpr);
            assert_eq!(machine.read(0, PPR), ppr, "TPR {tpr:#x}");
            assert_eq!(u32::from(machine.apics[0].processor_priority()), ppr);
        }
    }
}

#[test]
fn cr8_is_the_class_and_keeps_the_sub_class_until_it_moves() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, TPR, 0x5C);
        assert_eq!(machine.apics[0].cr8(), 5);
        // What was loaded into the processor comes back at each exit.
        machine.apics[0].set_cr8(5);
        assert_eq!(machine.read(0, TPR), 0x5C);
        machine.apics[0].set_cr8(7);
        assert_eq!(machine.read(0, TPR), 0x70);
        machine.apics[0].set_cr8(0);
        assert_eq!((machine.read(0, TPR), machine.apics[0].cr8()), (0, 0));
        machine.apics[0].set_cr8(0xFF);
        assert_eq!(machine.read(0, TPR), 0xF0, "CR8 has four bits");
    }
}

#[test]
fn cr8_works_while_the_apic_is_disabled() {
    let mut machine = Machine::at_power_up(1);
    machine.write_base(0, 0xFEE0_0100).unwrap();
    machine.apics[0].set_cr8(9);
    assert_eq!(machine.apics[0].cr8(), 9);
}

#[test]
fn the_trigger_mode_is_decided_at_acceptance_and_left_alone_by_the_end() {
    for door in DOORS {
        for vector in [0x60, 0xE0] {
            let mut machine = Machine::new(door, 1);
            machine.post(Destination::Physical(0), vector, Trigger::Level);
            assert_eq!(machine.take(0), Some(vector));
            assert_eq!(machine.read_vectors(0, TMR), [vector]);
            machine.end(0);
            assert_eq!(machine.read_vectors(0, TMR), [vector], "the end leaves it");
            machine.interrupt(0, vector);
            assert_eq!(machine.take(0), Some(vector));
            assert_eq!(
                machine.read_vectors(0, TMR),
                [],
                "the next acceptance clears it"
            );
            machine.end(0);
            assert_eq!(machine.ended, [(vector, true), (vector, false)]);
        }
    }
}
