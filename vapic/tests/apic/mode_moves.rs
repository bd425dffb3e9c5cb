//! IA32_APIC_BASE: the moves between modes, and what each keeps (SDM 3A, APIC §4.3, §12.5).

use vapic::{GeneralProtection, Mode};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, Machine};

const PAGE: u64 = 0xFEE0_0000;
const BSP: u64 = 1 << 8;
const EXTD: u64 = 1 << 10;
const EN: u64 = 1 << 11;

#[test]
fn every_move() {
    let disabled = PAGE | BSP;
    let xapic = PAGE | BSP | EN;
    let x2apic = PAGE | BSP | EN | EXTD;
    let invalid = PAGE | BSP | EXTD;
    let table: [(&[u64], Result<Mode, GeneralProtection>); 12] = [
        (&[disabled], Ok(Mode::Disabled)),
        (&[xapic], Ok(Mode::Xapic)),
        (&[x2apic], Ok(Mode::X2apic)),
        (&[invalid], Err(GeneralProtection)),
        (&[disabled, disabled], Ok(Mode::Disabled)),
        (&[disabled, xapic], Ok(Mode::Xapic)),
        (&[disabled, x2apic], Err(GeneralProtection)),
        (&[disabled, invalid], Err(GeneralProtection)),
        (&[x2apic, disabled], Ok(Mode::Disabled)),
        (&[x2apic, xapic], Err(GeneralProtection)),
        (&[x2apic, x2apic], Ok(Mode::X2apic)),
        (&[x2apic, invalid], Err(GeneralProtection)),
    ];
    for (writes, expected) in table {
        let mut machine = Machine::at_power_up(1);
        let (last, first) = writes.split_last().unwrap();
        for base in first {
            machine.write_base(0, *base).unwrap();
        }
        let before = machine.apics[0].base();
        let moved = machine
            .write_base(0, *last)
            .map(|()| machine.apics[0].mode());
        assert_eq!(moved, expected, "{writes:x?}");
        if moved.is_err() {
            assert_eq!(
                machine.apics[0].base(),
                before,
                "a write that faults changes nothing"
            );
        }
    }
}

#[test]
fn reserved_bits_fault() {
    // MAXPHYADDR is 46 here.
    for bit in (0..8).chain([9]).chain(46..64) {
        let mut machine = Machine::at_power_up(1);
        let result = machine.write_base(0, PAGE | EN | 1 << bit);
        assert_eq!(result, Err(GeneralProtection), "bit {bit}");
    }
}

#[test]
fn the_page_moves() {
    let mut machine = Machine::at_power_up(1);
    machine.write_base(0, 0x3FFF_FEED_0000 | BSP | EN).unwrap();
    assert_eq!(machine.apics[0].page(), Some(0x3FFF_FEED_0000));
    assert_eq!(machine.read(0, SVR), 0xFF);
}

#[test]
fn x2apic_mode_keeps_the_registers() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, TPR, 0x35);
    machine.write(0, LVT_LINT0, 0x0001_0741);
    machine.interrupt(0, 0x40);
    machine.drain(0);
    machine.write_base(0, PAGE | BSP | EN | EXTD).unwrap();
    for (msr, value) in [
        (0x808, 0x35),
        (0x835, 0x0001_0741),
        (0x80F, 0x1FF),
        (0x822, 1),
    ] {
        assert_eq!(machine.apics[0].read_msr(msr, 0), Ok(value), "MSR {msr:#x}");
    }
    assert_eq!(machine.take(0), Some(0x40));
}

#[test]
fn disabling_loses_all_registers() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write(1, TPR, 0x20);
        machine.write(1, TIMER_INITIAL, 1000);
        machine.write(1, LVT_TIMER, 0x50);
        machine.interrupt(1, 0x90);
        machine.interrupt(1, 0x80);
        assert_eq!(machine.take(1), Some(0x90));
        machine.write_base(1, PAGE).unwrap();
        assert_eq!(machine.apics[1].deadline(), None);
        assert_eq!(
            (machine.take(1), machine.apics[1].in_service()),
            (None, None)
        );
        machine.write_base(1, PAGE | EN).unwrap();
        let fresh = Machine::at_power_up(2).apics.remove(1);
        assert_eq!(machine.apics[1].identity(), fresh.identity());
        assert!(
            !machine.apics[1].is_waiting_for_start_up(),
            "the processor itself runs on"
        );
        let mut data = [0; 4];
        for offset in (0..0x400).step_by(16) {
            machine.apics[1].read_page(offset, &mut data, 0);
            let mut expected = [0; 4];
            fresh.clone().read_page(offset, &mut expected, 0);
            assert_eq!(data, expected, "{door:?} {offset:#x}");
        }
    }
}

#[test]
fn a_disabled_apic_is_not_reached() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.write_base(1, PAGE).unwrap();
        machine.send(0, 1, 0x40);
        machine.send(0, 1, crate::driver::NMI);
        assert!(machine.fabric.mailboxes()[1].is_empty(), "{door:?}");
    }
}

#[test]
fn what_was_posted_before_a_disable_is_refused_after_it() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.send(0, 1, 0x40);
    machine.write_base(1, PAGE).unwrap();
    assert_eq!(
        machine.drain(1).vectors,
        [(0x40, vapic::Acceptance::Disabled)]
    );
}
