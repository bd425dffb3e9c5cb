//! TSC-deadline mode (SDM 3A, APIC §5.4.1).

use vapic::{Features, GeneralProtection};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, MASKED, Machine, PERIODIC};

const DEADLINE: u32 = 1 << 18;

fn machine(door: Door, entry: u32) -> Machine {
    let features = Features {
        tsc_deadline: true,
        ..Features::default()
    };
    let mut machine = Machine::of_model(1, features).started(door);
    machine.write(0, LVT_TIMER, entry);
    machine
}

#[test]
fn it_fires_at_the_deadline_and_is_disarmed() {
    for door in DOORS {
        let mut machine = machine(door, DEADLINE | 0x50);
        let apic = &mut machine.apics[0];
        apic.write_tsc_deadline(1000, 10).unwrap();
        assert_eq!(
            (apic.tsc_deadline(), apic.read_tsc_deadline(999)),
            (Some(1000), Ok(1000))
        );
        assert_eq!(apic.read_tsc_deadline(1000), Ok(0));
        assert_eq!(machine.take(0), Some(0x50));
        machine.end(0);
        machine.apics[0].advance_tsc(u64::MAX);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn a_deadline_that_has_passed_fires_at_once() {
    let mut machine = machine(Door::Msr, DEADLINE | 0x50);
    for (deadline, tsc) in [(1000, 1000), (1, u64::MAX)] {
        machine.apics[0].write_tsc_deadline(deadline, tsc).unwrap();
        assert_eq!(machine.take(0), Some(0x50));
        machine.end(0);
    }
}

#[test]
fn zero_disarms_and_a_new_deadline_replaces_the_old() {
    let mut machine = machine(Door::Msr, DEADLINE | 0x50);
    let apic = &mut machine.apics[0];
    apic.write_tsc_deadline(1000, 0).unwrap();
    apic.write_tsc_deadline(0, 1).unwrap();
    assert_eq!(apic.tsc_deadline(), None);
    apic.write_tsc_deadline(1000, 2).unwrap();
    apic.write_tsc_deadline(2000, 3).unwrap();
    apic.advance_tsc(1999);
    assert_eq!(machine.take(0), None);
}

#[test]
fn a_masked_expiry_is_lost() {
    for door in DOORS {
        let mut machine = machine(door, MASKED | DEADLINE | 0x50);
        machine.apics[0].write_tsc_deadline(1000, 0).unwrap();
        assert_eq!(
            machine.apics[0].tsc_deadline(),
            None,
            "nothing to wake up for"
        );
        assert_eq!(machine.apics[0].read_tsc_deadline(1000), Ok(0));
        machine.write(0, LVT_TIMER, DEADLINE | 0x50);
        machine.apics[0].advance_tsc(2000);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn the_register_is_dead_in_other_modes() {
    for mode in [0, PERIODIC] {
        let mut machine = machine(Door::Msr, mode | 0x50);
        let apic = &mut machine.apics[0];
        apic.write_tsc_deadline(1000, 0).unwrap();
        assert_eq!(
            (apic.read_tsc_deadline(0), apic.tsc_deadline()),
            (Ok(0), None)
        );
    }
}

#[test]
fn the_count_is_dead_in_deadline_mode() {
    for door in DOORS {
        let mut machine = machine(door, DEADLINE | 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        assert_eq!(machine.read(0, TIMER_INITIAL), 0);
        assert_eq!(
            (machine.read(0, TIMER_CURRENT), machine.apics[0].deadline()),
            (0, None)
        );
    }
}

#[test]
fn a_move_to_or_from_the_mode_disarms_both() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.write(0, LVT_TIMER, DEADLINE | 0x50);
        assert_eq!(machine.apics[0].deadline(), None);
        machine.apics[0].write_tsc_deadline(1000, 0).unwrap();
        machine.write(0, LVT_TIMER, DEADLINE | 0x51);
        assert_eq!(
            machine.apics[0].tsc_deadline(),
            Some(1000),
            "a new vector keeps it"
        );
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        assert_eq!(machine.apics[0].tsc_deadline(), None);
        machine.write(0, LVT_TIMER, DEADLINE | 0x50);
        assert_eq!(machine.apics[0].tsc_deadline(), None);
    }
}

#[test]
fn both_mode_bits_are_no_mode() {
    let mut page = machine(Door::Page, DEADLINE | PERIODIC | 0x50);
    page.write(0, TIMER_INITIAL, 1000);
    page.apics[0].write_tsc_deadline(1000, 0).unwrap();
    assert_eq!(
        (page.apics[0].deadline(), page.apics[0].tsc_deadline()),
        (None, None)
    );
    let mut msr = machine(Door::Msr, 0x50);
    let both = u64::from(DEADLINE | PERIODIC | 0x50);
    assert_eq!(msr.write_msr(0, 0x832, both), Err(GeneralProtection));
}

#[test]
fn without_the_feature_there_is_neither_register_nor_mode() {
    let mut machine = Machine::new(Door::Msr, 1);
    assert_eq!(
        machine.apics[0].write_tsc_deadline(1, 0),
        Err(GeneralProtection)
    );
    assert_eq!(
        machine.apics[0].read_tsc_deadline(0),
        Err(GeneralProtection)
    );
    assert_eq!(
        machine.write_msr(0, 0x832, u64::from(DEADLINE)),
        Err(GeneralProtection)
    );
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_TIMER, DEADLINE | 0x50);
    assert_eq!(machine.read(0, LVT_TIMER), 0x50);
}
