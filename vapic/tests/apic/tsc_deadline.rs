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
        apic.write_tsc_deadline(3000, 1000, 10).unwrap();
        assert_eq!(
            (apic.deadline(), apic.read_tsc_deadline(999)),
            (Some(1000), Ok(3000))
        );
        assert_eq!(apic.read_tsc_deadline(1000), Ok(0));
        assert_eq!(machine.take(0), Some(0x50));
        machine.end(0);
        machine.apics[0].advance(u64::MAX);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn a_deadline_that_has_passed_fires_at_once() {
    let mut machine = machine(Door::Msr, DEADLINE | 0x50);
    for (due, now) in [(1000, 1000), (1, u64::MAX)] {
        let apic = &mut machine.apics[0];
        apic.write_tsc_deadline(3000, due, now).unwrap();
        assert_eq!(apic.read_tsc_deadline(now), Ok(0));
        assert_eq!(machine.take(0), Some(0x50));
        machine.end(0);
    }
}

#[test]
fn zero_disarms_and_a_new_deadline_replaces_the_old() {
    let mut machine = machine(Door::Msr, DEADLINE | 0x50);
    let apic = &mut machine.apics[0];
    apic.write_tsc_deadline(3000, 1000, 0).unwrap();
    apic.write_tsc_deadline(0, 1, 1).unwrap();
    assert_eq!(apic.deadline(), None);
    apic.write_tsc_deadline(3000, 1000, 2).unwrap();
    apic.write_tsc_deadline(6000, 2000, 3).unwrap();
    apic.advance(1999);
    assert_eq!(machine.take(0), None);
}

/// The next access of the guest after the deadline has come finds that it has, even if nobody
/// looked at the clock before.
#[test]
fn a_deadline_that_is_due_fires_before_an_access_that_would_forget_it() {
    type Access = fn(&mut Machine);
    let forget: [Access; 5] = [
        |machine| machine.write(0, LVT_TIMER, MASKED | DEADLINE | 0x50),
        |machine| machine.write(0, LVT_TIMER, DEADLINE | 0x60),
        |machine| machine.write(0, LVT_TIMER, PERIODIC | 0x60),
        |machine| machine.write(0, SVR, 0xFF),
        |machine| {
            let now = machine.now;
            let _ = machine.apics[0].write_tsc_deadline(9000, 3000, now);
        },
    ];
    for door in DOORS {
        for access in forget {
            let mut machine = machine(door, DEADLINE | 0x50);
            machine.apics[0].write_tsc_deadline(3000, 1000, 0).unwrap();
            machine.now = 1000;
            access(&mut machine);
            assert_eq!(machine.take(0), Some(0x50));
        }
    }
}

#[test]
fn the_divisor_and_the_count_leave_it_alone() {
    for door in DOORS {
        let mut machine = machine(door, DEADLINE | 0x50);
        machine.apics[0].write_tsc_deadline(3000, 1000, 0).unwrap();
        machine.write(0, TIMER_DIVIDE, 0xB);
        machine.write(0, TIMER_INITIAL, 5);
        assert_eq!(machine.apics[0].deadline(), Some(1000));
        assert_eq!(machine.read(0, TIMER_CURRENT), 0);
    }
}

#[test]
fn one_beyond_the_end_of_time_is_armed_all_the_same() {
    let mut machine = machine(Door::Msr, DEADLINE | 0x50);
    let apic = &mut machine.apics[0];
    apic.write_tsc_deadline(u64::MAX, u64::MAX, 5).unwrap();
    assert_eq!(apic.read_tsc_deadline(6), Ok(u64::MAX));
    assert!(apic.deadline().is_some());
}

#[test]
fn a_masked_expiry_is_lost() {
    for door in DOORS {
        let mut machine = machine(door, MASKED | DEADLINE | 0x50);
        machine.apics[0].write_tsc_deadline(3000, 1000, 0).unwrap();
        assert_eq!(machine.apics[0].deadline(), None, "nothing to wake up for");
        assert_eq!(machine.apics[0].read_tsc_deadline(1000), Ok(0));
        machine.write(0, LVT_TIMER, DEADLINE | 0x50);
        machine.apics[0].advance(2000);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn the_register_is_dead_in_other_modes() {
    for mode in [0, PERIODIC] {
        let mut machine = machine(Door::Msr, mode | 0x50);
        let apic = &mut machine.apics[0];
        apic.write_tsc_deadline(3000, 1000, 0).unwrap();
        assert_eq!((apic.read_tsc_deadline(0), apic.deadline()), (Ok(0), None));
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
        machine.apics[0].write_tsc_deadline(3000, 1000, 0).unwrap();
        machine.write(0, LVT_TIMER, DEADLINE | 0x51);
        let deadline = machine.apics[0].deadline();
        assert_eq!(deadline, Some(1000), "a new vector keeps it");
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        assert_eq!(machine.apics[0].deadline(), None);
        machine.write(0, LVT_TIMER, DEADLINE | 0x50);
        assert_eq!(machine.apics[0].deadline(), None);
        assert_eq!(machine.apics[0].read_tsc_deadline(0), Ok(0));
    }
}

#[test]
fn both_mode_bits_are_no_mode() {
    let mut page = machine(Door::Page, DEADLINE | PERIODIC | 0x50);
    page.write(0, TIMER_INITIAL, 1000);
    page.apics[0].write_tsc_deadline(3000, 1000, 0).unwrap();
    let armed = page.apics[0].read_tsc_deadline(0);
    assert_eq!((page.apics[0].deadline(), armed), (None, Ok(0)));
    let mut msr = machine(Door::Msr, 0x50);
    let both = u64::from(DEADLINE | PERIODIC | 0x50);
    assert_eq!(msr.write_msr(0, 0x832, both), Err(GeneralProtection));
}

#[test]
fn without_the_feature_there_is_neither_register_nor_mode() {
    let mut machine = Machine::new(Door::Msr, 1);
    assert_eq!(
        machine.apics[0].write_tsc_deadline(1, 1, 0),
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
