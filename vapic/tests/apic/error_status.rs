//! The ESR, what sets it, and the error entry (SDM 3A, APIC §5.3).

use vapic::Acceptance;
use vapic::spec::lvt::LvtSource;

use crate::driver::register::*;
use crate::driver::{DOORS, Door, FIXED, LOWEST_PRIORITY, Machine, START_UP};

const REDIRECTABLE_IPI: u32 = 1 << 4;
const SEND_ILLEGAL_VECTOR: u32 = 1 << 5;
const RECEIVE_ILLEGAL_VECTOR: u32 = 1 << 6;
const ILLEGAL_REGISTER: u32 = 1 << 7;

/// Writes the register, which shows what has collected, and reads it.
#[track_caller]
fn errors(machine: &mut Machine, cpu: usize) -> u32 {
    machine.write(cpu, ESR, 0);
    machine.read(cpu, ESR)
}

#[test]
fn errors_show_when_the_register_is_written_and_not_before() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(machine.read(0, ESR), 0);
        machine.write(0, ESR, 0);
        assert_eq!(machine.read(0, ESR), SEND_ILLEGAL_VECTOR);
        assert_eq!(
            machine.read(0, ESR),
            SEND_ILLEGAL_VECTOR,
            "a read clears nothing"
        );
        assert_eq!(errors(&mut machine, 0), 0);
    }
}

#[test]
fn illegal_vectors_on_the_sending_side() {
    for door in DOORS {
        for vector in 0..=16 {
            let mut machine = Machine::new(door, 2);
            machine.send(0, 1, FIXED | vector);
            let error = if vector < 16 { SEND_ILLEGAL_VECTOR } else { 0 };
            assert_eq!(
                (errors(&mut machine, 0), errors(&mut machine, 1)),
                (error, 0)
            );
            assert_eq!(machine.drain(1).vectors.len(), usize::from(vector >= 16));
        }
    }
    let mut machine = Machine::new(Door::Page, 2);
    machine.send(0, 1, LOWEST_PRIORITY | 0x0F);
    assert_eq!(errors(&mut machine, 0), SEND_ILLEGAL_VECTOR);
    let mut machine = Machine::new(Door::Msr, 1);
    machine.write(0, SELF_IPI, 0x0F);
    assert_eq!(
        (errors(&mut machine, 0), machine.take(0)),
        (SEND_ILLEGAL_VECTOR, None)
    );
}

#[test]
fn illegal_vectors_on_the_receiving_side() {
    for door in DOORS {
        for vector in 0..16 {
            let mut machine = Machine::new(door, 2);
            machine.interrupt(1, vector);
            assert_eq!(
                machine.drain(1).vectors,
                [(vector, Acceptance::IllegalVector)]
            );
            assert_eq!(
                (errors(&mut machine, 0), errors(&mut machine, 1)),
                (0, RECEIVE_ILLEGAL_VECTOR)
            );
            assert_eq!(machine.read_vectors(1, IRR), []);
        }
    }
}

#[test]
fn illegal_vectors_of_the_local_vector_table() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_THERMAL, 0x0F);
        assert_eq!(errors(&mut machine, 0), 0, "the entry alone is no error");
        let _ = machine.apics[0].raise(LvtSource::Thermal);
        assert_eq!(errors(&mut machine, 0), RECEIVE_ILLEGAL_VECTOR);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn lowest_priority_in_x2apic_mode_is_a_redirectable_ipi() {
    let mut machine = Machine::new(Door::Msr, 2);
    machine.send(0, 1, LOWEST_PRIORITY | 0x40);
    assert_eq!(errors(&mut machine, 0), REDIRECTABLE_IPI);
    machine.send(0, 1, LOWEST_PRIORITY | 0x0F);
    assert_eq!(
        errors(&mut machine, 0),
        REDIRECTABLE_IPI,
        "not an illegal vector as well"
    );
}

#[test]
fn what_is_no_error() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, START_UP | 0x08);
        machine.send(0, 1, crate::driver::NMI);
        machine.send(0, 99, 0x40);
        machine.drain(1);
        assert_eq!((errors(&mut machine, 0), errors(&mut machine, 1)), (0, 0));
    }
}

#[test]
fn holes_of_the_page() {
    let holes = (0..0x100).map(|index| index << 4).filter(|offset| {
        matches!(offset, 0x00..=0x10 | 0x40..=0x70 | 0x290..=0x2E0 | 0x3A0..=0x3D0 | 0x3F0..)
    });
    for offset in holes {
        let mut machine = Machine::new(Door::Page, 1);
        machine.read(0, offset >> 4);
        assert_eq!(
            errors(&mut machine, 0),
            ILLEGAL_REGISTER,
            "read of {offset:#x}"
        );
        machine.write(0, offset >> 4, 0);
        assert_eq!(
            errors(&mut machine, 0),
            ILLEGAL_REGISTER,
            "write to {offset:#x}"
        );
    }
    let mut machine = Machine::new(Door::Page, 1);
    for register in [
        ID,
        VERSION,
        APR,
        EOI,
        RRD,
        DFR,
        ICR2,
        LVT_CMCI,
        TIMER_CURRENT,
    ] {
        machine.read(0, register);
        machine.write(0, register, 0);
    }
    assert_eq!(
        errors(&mut machine, 0),
        0,
        "registers that exist, read-only ones among them"
    );
}

#[test]
fn the_error_entry_fires_once_for_each_error_until_the_register_is_written() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write(0, LVT_ERROR, 0xFE);
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(machine.take(0), Some(0xFE));
        machine.end(0);
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(machine.take(0), None, "the same error again");
        machine.interrupt(0, 0x0F);
        assert_eq!(machine.take(0), Some(0xFE), "another error");
        machine.end(0);
        assert_eq!(
            errors(&mut machine, 0),
            SEND_ILLEGAL_VECTOR | RECEIVE_ILLEGAL_VECTOR
        );
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(machine.take(0), Some(0xFE), "armed again");
    }
}

#[test]
fn a_masked_error_entry_only_collects() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write(0, LVT_ERROR, crate::driver::MASKED | 0xFE);
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(
            (machine.take(0), errors(&mut machine, 0)),
            (None, SEND_ILLEGAL_VECTOR)
        );
    }
}

#[test]
fn an_error_entry_with_an_illegal_vector_does_not_recurse() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write(0, LVT_ERROR, 0x05);
        machine.send(0, 1, FIXED | 0x0F);
        assert_eq!(machine.take(0), None);
        assert_eq!(
            errors(&mut machine, 0),
            SEND_ILLEGAL_VECTOR | RECEIVE_ILLEGAL_VECTOR
        );
    }
}
