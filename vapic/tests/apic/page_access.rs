//! Widths and alignment on the page, and the page where there is none (SDM 3A, APIC §4.1.2, §12.1).

use vapic::Effect;

use crate::driver::register::*;
use crate::driver::{Door, Machine};

fn read(machine: &mut Machine, offset: u32, width: usize) -> Vec<u8> {
    let mut data = vec![0xA5; width];
    machine.apics[0].read_page(offset, &mut data, 0);
    data
}

#[test]
fn reads_of_every_width() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, 0x0001_8732);
    let table: [(u32, &[u8]); 11] = [
        (0x350, &[0x32]),
        (0x351, &[0x87]),
        (0x350, &[0x32, 0x87]),
        (0x352, &[0x01, 0x00]),
        (0x350, &[0x32, 0x87, 0x01, 0x00]),
        (0x352, &[0x01, 0x00, 0x00, 0x00]),
        (0x350, &[0x32, 0x87, 0x01, 0x00, 0, 0, 0, 0]),
        // Between two registers there is nothing.
        (0x354, &[0, 0, 0, 0]),
        (0x35F, &[0]),
        (0x35C, &[0, 0, 0, 0, 0, 0, 0, 0]),
        (0x350, &[]),
    ];
    for (offset, expected) in table {
        assert_eq!(
            read(&mut machine, offset, expected.len()),
            expected,
            "{offset:#x}"
        );
    }
}

#[test]
fn nothing_but_an_aligned_32_bit_write_has_an_effect() {
    let ipi = 0x0004_0040u32.to_le_bytes();
    for offset in [0x301, 0x304, 0x308, 0x30F] {
        let mut machine = Machine::new(Door::Page, 1);
        assert_eq!(machine.write_page(0, offset, &ipi), Effect::None);
        assert_eq!(machine.read(0, ICR), 0);
    }
    for width in [0, 1, 2, 3, 5, 8, 16] {
        let mut machine = Machine::new(Door::Page, 1);
        let mut data = [0; 16];
        data[..4].copy_from_slice(&ipi);
        assert_eq!(machine.write_page(0, 0x300, &data[..width]), Effect::None);
        assert_eq!(machine.read(0, ICR), 0);
    }
    let mut machine = Machine::new(Door::Page, 1);
    assert!(matches!(
        machine.write_page(0, 0x300, &ipi),
        Effect::Send(_)
    ));
}

#[test]
fn the_page_is_closed_in_x2apic_mode_and_while_disabled() {
    let x2apic = Machine::new(Door::Msr, 1);
    let mut disabled = Machine::at_power_up(1);
    disabled.write_base(0, 0xFEE0_0100).unwrap();
    for mut machine in [x2apic, disabled] {
        assert_eq!(machine.apics[0].page(), None);
        let before = format!("{:?}", machine.apics[0]);
        for offset in (0..0x1000).step_by(4) {
            assert_eq!(read(&mut machine, offset, 4), [0xFF; 4], "{offset:#x}");
            assert_eq!(read(&mut machine, offset, 1), [0xFF]);
            assert_eq!(machine.write_page(0, offset, &[0; 4]), Effect::None);
        }
        assert_eq!(
            format!("{:?}", machine.apics[0]),
            before,
            "nothing claims the page"
        );
    }
}

#[test]
fn a_read_of_eoi_ends_nothing() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.interrupt(0, 0x40);
    assert_eq!(machine.take(0), Some(0x40));
    assert_eq!(machine.read(0, EOI), 0);
    assert_eq!(machine.apics[0].in_service(), Some(0x40));
}

#[test]
fn a_write_of_rrd_ends_nothing() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.interrupt(0, 0x40);
    assert_eq!(machine.take(0), Some(0x40));
    machine.write(0, RRD, 0);
    assert_eq!(machine.apics[0].in_service(), Some(0x40));
    assert_eq!(machine.ended, []);
}

#[test]
fn any_value_ends_in_xapic_mode() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.interrupt(0, 0x40);
    assert_eq!(machine.take(0), Some(0x40));
    machine.write(0, EOI, u32::MAX);
    assert_eq!(machine.ended, [(0x40, false)]);
}
