//! What each register holds, reads back and ignores (SDM 3A, APIC §4.1, §4.7.1, §12.1.2).

use crate::driver::register::*;
use crate::driver::{DOORS, Door, MASKED, Machine};

#[test]
fn after_power_up() {
    let mut machine = Machine::at_power_up(2);
    for (register, value) in [
        (ID, 1 << 24),
        (VERSION, 0x0006_0014),
        (TPR, 0),
        (APR, 0),
        (PPR, 0),
        (EOI, 0),
        (RRD, 0),
        (LDR, 0),
        (DFR, 0xFFFF_FFFF),
        (SVR, 0xFF),
        (ESR, 0),
        (ICR, 0),
        (ICR2, 0),
        (LVT_CMCI, MASKED),
        (LVT_TIMER, MASKED),
        (LVT_THERMAL, MASKED),
        (LVT_PMC, MASKED),
        (LVT_LINT0, MASKED),
        (LVT_LINT1, MASKED),
        (LVT_ERROR, MASKED),
        (TIMER_INITIAL, 0),
        (TIMER_CURRENT, 0),
        (TIMER_DIVIDE, 0),
    ] {
        assert_eq!(machine.read(1, register), value, "register {register:#x}");
    }
    for first in [ISR, TMR, IRR] {
        assert_eq!(machine.read_vectors(1, first), []);
    }
    assert_eq!(machine.apics[0].base().into_bits(), 0xFEE0_0900);
    assert_eq!(machine.apics[1].base().into_bits(), 0xFEE0_0800);
    assert_eq!(machine.apics[0].page(), Some(0xFEE0_0000));
}

/// Register, value written through the page, value read back.
#[test]
fn the_page_keeps_what_exists_and_drops_the_rest() {
    let all = u32::MAX;
    let mut machine = Machine::new(Door::Page, 1);
    for (register, written, read) in [
        (ID, all, 0xFF00_0000),
        (VERSION, all, 0x0006_0014),
        (TPR, all, 0xFF),
        (APR, all, 0),
        (PPR, 0, 0xFF),
        (RRD, all, 0),
        (LDR, all, 0xFF00_0000),
        (DFR, 0, 0x0FFF_FFFF),
        (DFR, 0x5000_0000, 0x5FFF_FFFF),
        (SVR, all, 0x3FF),
        (ISR, all, 0),
        (TMR, all, 0),
        (IRR, all, 0),
        (ICR2, all, 0xFF00_0000),
        (LVT_TIMER, all, 0x0003_00FF),
        (LVT_THERMAL, all, 0x0001_07FF),
        (LVT_PMC, all, 0x0001_07FF),
        (LVT_CMCI, all, 0x0001_07FF),
        (LVT_LINT0, all, 0x0001_A7FF),
        (LVT_LINT1, all, 0x0001_A7FF),
        (LVT_ERROR, all, 0x0001_00FF),
        (TIMER_INITIAL, all, all),
        (TIMER_CURRENT, 0, all),
        (TIMER_DIVIDE, all, 0xB),
    ] {
        machine.write(0, register, written);
        assert_eq!(machine.read(0, register), read, "register {register:#x}");
    }
}

/// Every bit that the x2APIC register has may be set, and reads back unless it is read-only.
#[test]
fn the_msrs_keep_what_exists() {
    let mut machine = Machine::new(Door::Msr, 1);
    for (register, written, read) in [
        (TPR, 0xFF, 0xFF),
        (SVR, 0x3FF, 0x3FF),
        (LVT_TIMER, 0x0003_10FF, 0x0003_00FF),
        (LVT_THERMAL, 0x0001_17FF, 0x0001_07FF),
        (LVT_PMC, 0x0001_17FF, 0x0001_07FF),
        (LVT_CMCI, 0x0001_17FF, 0x0001_07FF),
        (LVT_LINT0, 0x0001_F7FF, 0x0001_A7FF),
        (LVT_LINT1, 0x0001_F7FF, 0x0001_A7FF),
        (LVT_ERROR, 0x0001_10FF, 0x0001_00FF),
        (TIMER_INITIAL, u32::MAX, u32::MAX),
        (TIMER_DIVIDE, 0xB, 0xB),
    ] {
        machine.write(0, register, written);
        assert_eq!(machine.read(0, register), read, "register {register:#x}");
    }
}

#[test]
fn ids_through_both_doors() {
    let mut machine = Machine::new(Door::Page, 3);
    assert_eq!(machine.read(2, ID), 0x0200_0000);
    let mut machine = Machine::new(Door::Msr, 0x123);
    assert_eq!(
        (machine.read(0x122, ID), machine.read(0x122, VERSION)),
        (0x122, 0x0006_0014)
    );
    for (cpu, ldr) in [
        (0, 0x0000_0001),
        (15, 0x0000_8000),
        (16, 0x0001_0001),
        (0x122, 0x0012_0004),
    ] {
        assert_eq!(
            machine.read(cpu, LDR),
            ldr,
            "cluster and bit of APIC {cpu:#x}"
        );
    }
}

#[test]
fn the_command_reads_back_idle() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(0, ICR2, 0x01FF_FFFF);
    machine.write(0, ICR, 0x1040 | 1 << 14);
    assert_eq!(
        (machine.read(0, ICR), machine.read(0, ICR2)),
        (0x4040, 0x0100_0000)
    );

    let mut machine = Machine::new(Door::Msr, 2);
    let effect = machine.write_msr(0, 0x830, 0x0000_0001_0000_5040).unwrap();
    machine.perform(0, effect);
    assert_eq!(
        machine.apics[0].read_msr(0x830, 0),
        Ok(0x0000_0001_0000_4040)
    );
}

#[test]
fn the_command_keeps_reserved_bits_on_the_page() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(0, ICR2, 1 << 24);
    machine.write(0, ICR, 0xFFF3_2040);
    assert_eq!(machine.read(0, ICR), 0xFFF3_2040);
    assert_eq!(machine.take(1), Some(0x40), "they have no effect");
}

#[test]
fn irr_isr_and_tmr_show_each_vector_in_its_place() {
    for door in DOORS {
        for vector in 16..=u8::MAX {
            let mut machine = Machine::new(door, 1);
            machine.interrupt(0, vector);
            machine.drain(0);
            assert_eq!(machine.read_vectors(0, IRR), [vector]);
            assert_eq!(machine.read_vectors(0, ISR), []);
            assert_eq!(machine.take(0), Some(vector));
            assert_eq!(machine.read_vectors(0, IRR), []);
            assert_eq!(machine.read_vectors(0, ISR), [vector]);
            assert_eq!(machine.read_vectors(0, TMR), [], "edge-triggered");
        }
    }
}

#[test]
fn a_read_changes_nothing() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for vector in [0x31, 0x45, 0xFE] {
            machine.interrupt(0, vector);
        }
        assert_eq!(machine.take(0), Some(0xFE));
        machine.drain(0);
        let before = format!("{:?}", machine.apics[0]);
        for register in
            (ISR..ESR).chain([ID, VERSION, TPR, PPR, SVR, ESR, LVT_TIMER, TIMER_CURRENT])
        {
            machine.read(0, register);
        }
        assert_eq!(format!("{:?}", machine.apics[0]), before, "{door:?}");
    }
}
