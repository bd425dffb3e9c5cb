//! What a guest writes into LDR, DFR and ID decides who hears it (SDM 3A, APIC §6.2.2).

use crate::driver::register::*;
use crate::driver::{DOORS, Door, LOGICAL, Machine};

/// Sends a logical interrupt from processor 0 and lists who got it.
fn reached(machine: &mut Machine, address: usize) -> Vec<usize> {
    machine.send(0, address, LOGICAL | 0x40);
    let mut reached = Vec::new();
    for cpu in 0..machine.apics.len() {
        if machine.take(cpu).is_some() {
            machine.end(cpu);
            reached.push(cpu);
        }
    }
    reached
}

#[test]
fn flat() {
    let mut machine = Machine::new(Door::Page, 4);
    for cpu in 0..4 {
        machine.write(cpu, LDR, 1 << (24 + cpu));
    }
    for (address, expected) in [
        (0x01, vec![0]),
        (0x0A, vec![1, 3]),
        (0x0F, vec![0, 1, 2, 3]),
        (0xF0, vec![]),
        (0xFF, vec![0, 1, 2, 3]),
    ] {
        assert_eq!(
            reached(&mut machine, address),
            expected,
            "address {address:#x}"
        );
    }
}

#[test]
fn clusters() {
    let mut machine = Machine::new(Door::Page, 4);
    for (cpu, logical_id) in [(0, 0x11), (1, 0x12), (2, 0x21), (3, 0x22)] {
        machine.write(cpu, DFR, 0x0FFF_FFFF);
        machine.write(cpu, LDR, logical_id << 24);
    }
    for (address, expected) in [
        (0x11, vec![0]),
        (0x13, vec![0, 1]),
        (0x22, vec![3]),
        (0x33, vec![]),
        (0xF2, vec![1, 3]),
        (0xFF, vec![0, 1, 2, 3]),
    ] {
        assert_eq!(
            reached(&mut machine, address),
            expected,
            "address {address:#x}"
        );
    }
}

#[test]
fn a_format_that_does_not_exist_hears_broadcasts_alone() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(1, LDR, 0xFF00_0000);
    machine.write(1, DFR, 0x5FFF_FFFF);
    assert_eq!(reached(&mut machine, 0x7F), []);
    assert_eq!(reached(&mut machine, 0xFF), [0, 1]);
}

#[test]
fn x2apic_clusters_are_fixed() {
    let mut machine = Machine::new(Door::Msr, 18);
    assert_eq!(reached(&mut machine, 0x0000_0006), [1, 2]);
    assert_eq!(reached(&mut machine, 0x0001_0003), [16, 17]);
    assert_eq!(reached(&mut machine, 0x0002_0001), []);
}

#[test]
fn an_id_that_the_guest_changes_is_where_it_is_reached() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(1, ID, 0x42 << 24);
    machine.send(0, 1, 0x40);
    assert_eq!(machine.take(1), None);
    machine.send(0, 0x42, 0x40);
    assert_eq!(machine.take(1), Some(0x40));
}

#[test]
fn processors_of_both_modes_reach_each_other() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        if door == Door::Page {
            let base = machine.apics[1].base().with_x2apic(true);
            machine.write_base(1, base.into_bits()).unwrap();
            machine.send(0, 1, 0x40);
            assert_eq!(machine.take(1), Some(0x40), "from xAPIC to x2APIC");
        } else {
            machine.write_base(1, 0xFEE0_0000).unwrap();
            machine.write_base(1, 0xFEE0_0800).unwrap();
            assert_eq!(
                machine.write_page(1, 0xF0, &0x1FFu32.to_le_bytes()),
                vapic::Effect::Identity
            );
            machine.send(0, 1, 0x40);
            assert_eq!(machine.take(1), Some(0x40), "from x2APIC to xAPIC");
        }
    }
}
