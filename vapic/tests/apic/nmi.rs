//! NMIs are counted: one being handled and one latched, more merge (SDM 3A, 6.7.1).

use vapic::Arrivals;

use crate::driver::register::*;
use crate::driver::{ALL, ALL_BUT_SELF, DOORS, Machine, NMI, SELF};

/// Takes all NMIs of `cpu`.
fn take_all(machine: &mut Machine, cpu: usize) -> usize {
    machine.drain(cpu);
    std::iter::from_fn(|| machine.apics[cpu].take_nmi().then_some(())).count()
}

#[test]
fn one_is_one() {
    for door in DOORS {
        let mut machine = Machine::new(door, 3);
        machine.send(0, 1, NMI);
        let arrivals = machine.drain(1).arrivals.unwrap();
        assert_eq!((arrivals.nmis, arrivals.nmis_merged), (1, 0));
        assert_eq!(machine.apics[1].nmis(), 1);
        assert_eq!(
            (take_all(&mut machine, 1), take_all(&mut machine, 2)),
            (1, 0)
        );
    }
}

#[test]
fn two_senders_are_two_and_three_are_two() {
    for door in DOORS {
        let mut machine = Machine::new(door, 4);
        machine.send(0, 3, NMI);
        machine.send(1, 3, NMI);
        assert_eq!(take_all(&mut machine, 3), 2);
        for sender in 0..3 {
            machine.send(sender, 3, NMI);
        }
        assert_eq!(take_all(&mut machine, 3), 2);
    }
}

#[test]
fn any_number_at_once_is_two_and_nothing_else() {
    for door in DOORS {
        for count in 2..10 {
            let mut machine = Machine::new(door, 2);
            for _ in 0..count {
                machine.send(0, 1, NMI);
            }
            let arrivals = machine.drain(1).arrivals.unwrap();
            let only_nmis = Arrivals {
                nmis: 2,
                ..Arrivals::default()
            };
            assert_eq!(arrivals, only_nmis, "{count} NMIs");
        }
    }
}

#[test]
fn merged_ones_are_told() {
    let mut machine = Machine::new(DOORS[1], 2);
    machine.send(0, 1, NMI);
    machine.drain(1);
    machine.send(0, 1, NMI);
    machine.send(0, 1, NMI);
    let arrivals = machine.drain(1).arrivals.unwrap();
    assert_eq!((arrivals.nmis, arrivals.nmis_merged), (1, 1));
}

#[test]
fn shorthands_reach_as_they_do_for_vectors() {
    for door in DOORS {
        for (shorthand, counts) in [
            (SELF, [0, 1, 0]),
            (ALL, [1, 1, 1]),
            (ALL_BUT_SELF, [1, 0, 1]),
        ] {
            let mut machine = Machine::new(door, 3);
            machine.send(1, 0, NMI | shorthand);
            assert_eq!([0, 1, 2].map(|cpu| take_all(&mut machine, cpu)), counts);
        }
    }
}

#[test]
fn neither_vector_nor_priority_nor_disable_stops_it() {
    for door in DOORS {
        for command in [NMI, NMI | 0x0F, NMI | 1 << 14, NMI | 3 << 14, NMI | 1 << 15] {
            let mut machine = Machine::new(door, 2);
            machine.write(1, TPR, 0xFF);
            machine.write(1, SVR, 0xFF);
            machine.send(0, 1, command);
            assert_eq!(take_all(&mut machine, 1), 1, "{door:?} {command:#x}");
            machine.write(1, ESR, 0);
            assert_eq!(machine.read(1, ESR), 0);
        }
    }
}

#[test]
fn it_is_not_taken_while_waiting_for_a_start_up() {
    let mut machine = Machine::at_power_up(2);
    machine.send(0, 1, NMI);
    machine.drain(1);
    assert!(machine.apics[1].is_waiting_for_start_up());
    assert!(!machine.apics[1].take_nmi());
    assert_eq!(machine.apics[1].nmis(), 1, "it stays latched");
}
