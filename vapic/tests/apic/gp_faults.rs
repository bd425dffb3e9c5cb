//! Every access that takes #GP in x2APIC mode (SDM 3A, APIC §12.1.2 and §12.1.3).

use vapic::{Effect, GeneralProtection, Mode};

use crate::driver::register::*;
use crate::driver::{Door, Machine};

const READ_ONLY: [u32; 5] = [ID, VERSION, PPR, LDR, TIMER_CURRENT];
const WRITE_ONLY: [u32; 2] = [EOI, SELF_IPI];
/// Registers that xAPIC mode has and x2APIC mode has not.
const ABSENT: [u32; 4] = [APR, RRD, DFR, ICR2];

fn is_hole(register: u32) -> bool {
    matches!(register, 0..=1 | 4..=7 | 0x29..=0x2E | 0x3A..=0x3D | 0x40..)
}

#[test]
fn writes() {
    let read_only = READ_ONLY.into_iter().chain(ISR..ESR);
    let holes = (0..0x100).filter(|&register| is_hole(register));
    let mut machine = Machine::new(Door::Msr, 1);
    for register in read_only.chain(ABSENT).chain(holes) {
        for value in [0, 1] {
            let result = machine.write_msr(0, 0x800 + register, value);
            assert_eq!(
                result,
                Err(GeneralProtection),
                "register {register:#x} := {value}"
            );
        }
    }
}

#[test]
fn reads() {
    let holes = (0..0x100).filter(|&register| is_hole(register));
    let mut machine = Machine::new(Door::Msr, 1);
    for register in WRITE_ONLY.into_iter().chain(ABSENT).chain(holes) {
        let result = machine.apics[0].read_msr(0x800 + register, 0);
        assert_eq!(result, Err(GeneralProtection), "register {register:#x}");
    }
}

#[test]
fn every_other_register_can_be_read() {
    let mut machine = Machine::new(Door::Msr, 1);
    let is_readable = |register: &u32| {
        !is_hole(*register) && !WRITE_ONLY.contains(register) && !ABSENT.contains(register)
    };
    for register in (0..0x100).filter(is_readable) {
        machine.read(0, register);
    }
}

/// Register, and the bits that may be written without a fault.
const LEGAL: [(u32, u64); 15] = [
    (TPR, 0xFF),
    (EOI, 0),
    (SVR, 0x3FF),
    (ESR, 0),
    (ICR, 0xFFFF_FFFF_000C_DFFF),
    (LVT_TIMER, 0x0003_10FF),
    (LVT_CMCI, 0x0001_17FF),
    (LVT_THERMAL, 0x0001_17FF),
    (LVT_PMC, 0x0001_17FF),
    (LVT_LINT0, 0x0001_F7FF),
    (LVT_LINT1, 0x0001_F7FF),
    (LVT_ERROR, 0x0001_10FF),
    (TIMER_INITIAL, 0xFFFF_FFFF),
    (TIMER_DIVIDE, 0xB),
    (SELF_IPI, 0xFF),
];

#[test]
fn reserved_bits_one_by_one() {
    let fresh = Machine::new(Door::Msr, 1).apics.remove(0);
    let write = |register, value| {
        let mut apic = fresh.clone();
        let result = apic.write_msr(0x800 + register, value, 0);
        (result, apic.save(0))
    };
    let before = fresh.clone().save(0);
    for (register, legal) in LEGAL {
        for bit in 0..64 {
            let (result, after) = write(register, 1 << bit);
            if legal >> bit & 1 != 0 {
                assert!(result.is_ok(), "register {register:#x} bit {bit}");
            } else {
                assert_eq!(
                    result,
                    Err(GeneralProtection),
                    "register {register:#x} bit {bit}"
                );
                assert_eq!(after, before, "a write that faults changes nothing");
            }
        }
        assert!(write(register, legal).0.is_ok(), "register {register:#x}");
    }
}

#[test]
fn all_msrs_fault_outside_x2apic_mode() {
    for base in [0xFEE0_0900, 0xFEE0_0100] {
        let mut machine = Machine::at_power_up(1);
        machine.write_base(0, base).unwrap();
        assert_ne!(machine.apics[0].mode(), Mode::X2apic);
        for msr in 0x800..=0x8FF {
            assert_eq!(machine.apics[0].read_msr(msr, 0), Err(GeneralProtection));
            assert_eq!(machine.write_msr(0, msr, 0), Err(GeneralProtection));
        }
    }
}

#[test]
fn numbers_outside_the_range_fault_too() {
    let mut machine = Machine::new(Door::Msr, 1);
    for msr in [0, 0x1B, 0x6E0, 0x7FF, 0x900, 0x1802, u32::MAX] {
        assert_eq!(machine.apics[0].read_msr(msr, 0), Err(GeneralProtection));
        assert_eq!(machine.write_msr(0, msr, 0), Err(GeneralProtection));
    }
}

#[test]
fn a_command_that_is_merely_meaningless_does_not_fault() {
    let mut machine = Machine::new(Door::Msr, 1);
    for delivery in [1u64, 3, 7] {
        assert_eq!(
            machine.write_msr(0, 0x830, delivery << 8 | 0x40),
            Ok(Effect::None)
        );
    }
}
