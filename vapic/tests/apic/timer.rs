//! The timer through its registers (SDM 3A, APIC §5.4). At divide 1 a tick is a nanosecond.

use crate::driver::register::*;
use crate::driver::{DOORS, MASKED, Machine, PERIODIC};

const BY_ONE: u32 = 0xB;

fn machine(door: crate::driver::Door, entry: u32) -> Machine {
    let mut machine = Machine::new(door, 1);
    machine.write(0, TIMER_DIVIDE, BY_ONE);
    machine.write(0, LVT_TIMER, entry);
    machine
}

#[test]
fn one_shot() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.at(100);
        machine.write(0, TIMER_INITIAL, 1000);
        assert_eq!(machine.apics[0].deadline(), Some(1100));
        for (now, count) in [(100, 1000), (101, 999), (1099, 1)] {
            machine.at(now);
            assert_eq!(
                (machine.read(0, TIMER_CURRENT), machine.take(0)),
                (count, None)
            );
        }
        machine.at(1100);
        assert_eq!(
            (machine.read(0, TIMER_CURRENT), machine.take(0)),
            (0, Some(0x50))
        );
        machine.end(0);
        machine.at(10_000);
        assert_eq!((machine.apics[0].deadline(), machine.take(0)), (None, None));
        assert_eq!(
            (
                machine.read(0, TIMER_CURRENT),
                machine.read(0, TIMER_INITIAL)
            ),
            (0, 1000)
        );
    }
}

#[test]
fn periodic() {
    for door in DOORS {
        let mut machine = machine(door, PERIODIC | 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        for period in 1..4 {
            machine.at(period * 1000 - 1);
            assert_eq!(machine.take(0), None);
            machine.at(period * 1000);
            assert_eq!(machine.take(0), Some(0x50));
            machine.end(0);
            assert_eq!(machine.apics[0].deadline(), Some(period * 1000 + 1000));
        }
        // A long absence is one interrupt, and the phase is kept.
        machine.at(9400);
        assert_eq!((machine.take(0), machine.take(0)), (Some(0x50), None));
        assert_eq!(
            (machine.apics[0].deadline(), machine.read(0, TIMER_CURRENT)),
            (Some(10_000), 600)
        );
    }
}

#[test]
fn zero_stops() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.write(0, TIMER_INITIAL, 0);
        machine.at(5000);
        assert_eq!((machine.apics[0].deadline(), machine.take(0)), (None, None));
    }
}

#[test]
fn a_masked_expiry_is_lost() {
    for door in DOORS {
        let mut machine = machine(door, MASKED | 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        assert_eq!(machine.apics[0].deadline(), None, "it can cause nothing");
        assert_eq!(machine.read(0, TIMER_CURRENT), 1000, "it counts");
        machine.at(1500);
        machine.write(0, LVT_TIMER, 0x50);
        assert_eq!(machine.take(0), None);
    }
}

/// The host may come late: what was due before an access has happened before it.
#[test]
fn what_is_due_happens_before_the_access() {
    let accesses = [
        (LVT_TIMER, MASKED | 0x50),
        (LVT_TIMER, 0x60),
        (TIMER_INITIAL, 0),
        (TIMER_INITIAL, 5000),
        (TIMER_DIVIDE, 0),
        (SVR, 0x0FF),
    ];
    for door in DOORS {
        for (register, value) in accesses {
            let mut machine = machine(door, 0x50);
            machine.write(0, TIMER_INITIAL, 1000);
            machine.now = 1500;
            machine.write(0, register, value);
            machine.at(1600);
            assert_eq!(
                machine.take(0),
                Some(0x50),
                "{door:?} {register:#x} := {value:#x}"
            );
        }
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.now = 1500;
        assert_eq!(machine.read_vectors(0, IRR), [0x50], "{door:?}");
    }
}

#[test]
fn modes_exchange_without_touching_the_count() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.at(400);
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        assert_eq!(machine.read(0, TIMER_CURRENT), 600);
        machine.at(1000);
        assert_eq!(
            (machine.take(0), machine.apics[0].deadline()),
            (Some(0x50), Some(2000))
        );
        machine.end(0);
        machine.write(0, LVT_TIMER, 0x50);
        machine.at(2000);
        assert_eq!(
            (machine.take(0), machine.apics[0].deadline()),
            (Some(0x50), None)
        );
        // An expired one-shot that becomes periodic stays at zero.
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        assert_eq!(
            (machine.read(0, TIMER_CURRENT), machine.apics[0].deadline()),
            (0, None)
        );
    }
}

#[test]
fn the_divisor_counts_from_now() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.at(400);
        machine.write(0, TIMER_DIVIDE, 0x0);
        assert_eq!(machine.read(0, TIMER_CURRENT), 600);
        assert_eq!(machine.apics[0].deadline(), Some(1600));
        machine.at(1000);
        assert_eq!(machine.read(0, TIMER_CURRENT), 300);
    }
}

#[test]
fn the_entry_decides_at_expiry() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.at(500);
        machine.write(0, LVT_TIMER, 0x60);
        machine.at(1000);
        assert_eq!(machine.take(0), Some(0x60));
    }
}

#[test]
fn its_interrupt_is_edge_triggered() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.at(1000);
        assert_eq!(machine.take(0), Some(0x50));
        machine.end(0);
        assert_eq!(machine.ended, [(0x50, false)]);
    }
}

/// A tick that has begun still counts: the count reaches zero when the timer fires, not before.
#[test]
fn the_count_is_rounded_up_to_whole_ticks() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_DIVIDE, 0x3);
        machine.write(0, TIMER_INITIAL, 10);
        for (now, count) in [(0, 10), (1, 10), (15, 10), (16, 9), (159, 1), (160, 0)] {
            machine.at(now);
            assert_eq!(machine.read(0, TIMER_CURRENT), count, "{door:?} at {now}");
        }
        assert_eq!(machine.take(0), Some(0x50));
    }
}

#[test]
fn the_divisor_that_it_has_delays_nothing() {
    for door in DOORS {
        let mut machine = machine(door, 0x50);
        machine.write(0, TIMER_DIVIDE, 0xA);
        machine.write(0, TIMER_INITIAL, 10);
        for now in (60..1280).step_by(60) {
            machine.at(now);
            machine.write(0, TIMER_DIVIDE, 0xA);
            assert_eq!(machine.apics[0].deadline(), Some(1280), "{door:?} at {now}");
        }
    }
}
