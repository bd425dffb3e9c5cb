//! The LINT pins (SDM 3A, APIC §5.1, §4.3).

use vapic::{Lint, Raised};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, MASKED, Machine};

const LEVEL: u32 = 1 << 15;
const REMOTE_IRR: u32 = 1 << 14;
const NMI: u32 = 4 << 8;
const SMI: u32 = 2 << 8;
const INIT: u32 = 5 << 8;
const EXT_INT: u32 = 7 << 8;

fn pin(machine: &mut Machine, lint: Lint, asserted: bool) {
    assert_eq!(machine.apics[0].set_lint(lint, asserted), Raised::Nothing);
}

fn pulse(machine: &mut Machine, lint: Lint) {
    pin(machine, lint, true);
    pin(machine, lint, false);
}

#[test]
fn an_edge_is_one_interrupt() {
    for door in DOORS {
        for (lint, register) in [(Lint::Lint0, LVT_LINT0), (Lint::Lint1, LVT_LINT1)] {
            let mut machine = Machine::new(door, 1);
            machine.write(0, register, 0x50);
            pin(&mut machine, lint, true);
            pin(&mut machine, lint, true);
            assert_eq!(machine.take(0), Some(0x50));
            machine.end(0);
            assert_eq!(machine.ended, [(0x50, false)]);
            assert_eq!(machine.take(0), None, "the pin stays up, the edge is over");
        }
    }
}

#[test]
fn a_masked_edge_is_lost() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, MASKED | 0x50);
    pulse(&mut machine, Lint::Lint0);
    machine.write(0, LVT_LINT0, 0x50);
    assert_eq!(machine.take(0), None);
}

#[test]
fn a_level_has_a_remote_irr_from_acceptance_to_the_end() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_LINT0, LEVEL | 0x50);
        pin(&mut machine, Lint::Lint0, true);
        assert_eq!(machine.read(0, LVT_LINT0), REMOTE_IRR | LEVEL | 0x50);
        assert_eq!(machine.take(0), Some(0x50));
        pulse(&mut machine, Lint::Lint0);
        pin(&mut machine, Lint::Lint0, true);
        assert_eq!(machine.take(0), None, "none more while one is under way");
        machine.end(0);
        assert_eq!(machine.ended, [(0x50, true)]);
        assert_eq!(machine.take(0), Some(0x50), "the level still asks");
        pin(&mut machine, Lint::Lint0, false);
        machine.end(0);
        assert_eq!(machine.read(0, LVT_LINT0), LEVEL | 0x50);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn the_end_of_the_accepted_vector_clears_the_remote_irr_whatever_the_entry_says() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_LINT0, LEVEL | 0x50);
        pin(&mut machine, Lint::Lint0, true);
        assert_eq!(machine.take(0), Some(0x50));
        machine.write(0, LVT_LINT0, LEVEL | 0x60);
        assert_eq!(machine.read(0, LVT_LINT0), REMOTE_IRR | LEVEL | 0x60);
        machine.end(0);
        assert_eq!(machine.take(0), Some(0x60), "the level still asks");
        pin(&mut machine, Lint::Lint0, false);
        machine.end(0);
        assert_eq!(machine.read(0, LVT_LINT0), LEVEL | 0x60);
    }
}

#[test]
fn an_edge_on_the_accepted_vector_leaves_the_end_to_clear_the_remote_irr() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_LINT0, LEVEL | 0x50);
        pin(&mut machine, Lint::Lint0, true);
        assert_eq!(machine.take(0), Some(0x50));
        // It takes the place of the trigger mode.
        machine.interrupt(0, 0x50);
        machine.drain(0);
        machine.end(0);
        assert_eq!(machine.ended, [(0x50, false)]);
        assert_eq!(machine.take(0), Some(0x50), "the edge and the level");
        pin(&mut machine, Lint::Lint0, false);
        machine.end(0);
        assert_eq!(machine.read(0, LVT_LINT0), LEVEL | 0x50);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn a_masked_level_is_looked_at_when_it_is_unmasked() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, MASKED | LEVEL | 0x50);
    pin(&mut machine, Lint::Lint0, true);
    assert_eq!(machine.take(0), None);
    machine.write(0, LVT_LINT0, LEVEL | 0x50);
    assert_eq!(machine.take(0), Some(0x50));
}

#[test]
fn a_rewrite_to_edge_forgets_the_remote_irr() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, LEVEL | 0x50);
    pin(&mut machine, Lint::Lint0, true);
    machine.write(0, LVT_LINT0, 0x50);
    assert_eq!(machine.read(0, LVT_LINT0), 0x50);
}

#[test]
fn the_guest_cannot_write_the_remote_irr() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_LINT0, REMOTE_IRR | LEVEL | 0x50);
        assert_eq!(machine.read(0, LVT_LINT0), LEVEL | 0x50);
    }
}

#[test]
fn lint1_knows_no_level() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT1, LEVEL | 0x50);
    pin(&mut machine, Lint::Lint1, true);
    assert_eq!(machine.take(0), Some(0x50));
    machine.end(0);
    assert_eq!(
        (machine.ended.pop(), machine.take(0)),
        (Some((0x50, false)), None)
    );
}

#[test]
fn nmi_and_smi_are_edges_whatever_the_trigger_bit_says() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_LINT1, NMI | LEVEL);
        pin(&mut machine, Lint::Lint1, true);
        pin(&mut machine, Lint::Lint1, true);
        assert_eq!([0; 2].map(|_| machine.apics[0].take_nmi()), [true, false]);
        pin(&mut machine, Lint::Lint1, false);
        machine.write(0, LVT_LINT1, SMI);
        pulse(&mut machine, Lint::Lint1);
        assert_eq!([0; 2].map(|_| machine.apics[0].take_smi()), [true, false]);
    }
}

#[test]
fn init_resets_and_is_told() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, INIT);
    assert_eq!(machine.apics[0].set_lint(Lint::Lint0, true), Raised::Init);
    assert_eq!(machine.read(0, SVR), 0xFF);
}

#[test]
fn ext_int_is_a_level_that_passes_an_unmasked_entry() {
    for door in DOORS {
        for (lint, register) in [(Lint::Lint0, LVT_LINT0), (Lint::Lint1, LVT_LINT1)] {
            let mut machine = Machine::new(door, 1);
            machine.write(0, register, MASKED | EXT_INT);
            pin(&mut machine, lint, true);
            assert!(!machine.apics[0].ext_int());
            machine.write(0, register, EXT_INT);
            assert!(machine.apics[0].ext_int());
            machine.apics[0].end_ext_int();
            assert!(machine.apics[0].ext_int(), "as long as the 8259 asks");
            assert_eq!(machine.take(0), None, "it is no request of the APIC");
            pin(&mut machine, lint, false);
            assert!(!machine.apics[0].ext_int());
        }
    }
}

#[test]
fn a_processor_that_waits_takes_no_ext_int() {
    let mut machine = Machine::at_power_up(2);
    let base = machine.apics[1].base().with_enabled(false);
    machine.write_base(1, base.into_bits()).unwrap();
    let _ = machine.apics[1].set_lint(Lint::Lint0, true);
    assert!(machine.apics[1].is_waiting_for_start_up());
    assert!(!machine.apics[1].ext_int());
}

#[test]
fn init_leaves_the_wires_as_they_are() {
    let mut machine = Machine::new(Door::Page, 1);
    pin(&mut machine, Lint::Lint0, true);
    machine.send(0, 0, INIT);
    machine.drain(0);
    machine.write(0, SVR, 0x1FF);
    machine.write(0, LVT_LINT0, LEVEL | 0x50);
    assert_eq!(machine.take(0), Some(0x50), "nobody has lowered the pin");
}

#[test]
fn disabling_leaves_the_wires_as_they_are() {
    let mut machine = Machine::new(Door::Page, 1);
    pin(&mut machine, Lint::Lint0, true);
    for enabled in [false, true] {
        let base = machine.apics[0].base().with_enabled(enabled);
        machine.write_base(0, base.into_bits()).unwrap();
    }
    machine.write(0, SVR, 0x1FF);
    machine.write(0, LVT_LINT0, EXT_INT);
    assert!(machine.apics[0].ext_int());
}

#[test]
fn with_the_apic_disabled_the_pins_are_intr_and_nmi() {
    let mut machine = Machine::new(Door::Page, 1);
    let base = machine.apics[0].base().with_enabled(false);
    machine.write_base(0, base.into_bits()).unwrap();
    pin(&mut machine, Lint::Lint0, true);
    assert!(machine.apics[0].ext_int());
    pulse(&mut machine, Lint::Lint1);
    assert!(machine.apics[0].take_nmi());
}

#[test]
fn a_vector_below_16_is_an_error_and_no_level() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, LEVEL | 0x0F);
    pin(&mut machine, Lint::Lint0, true);
    assert_eq!(machine.read(0, LVT_LINT0), LEVEL | 0x0F);
    machine.write(0, ESR, 0);
    assert_eq!(machine.read(0, ESR), 1 << 6, "receive illegal vector");
}
