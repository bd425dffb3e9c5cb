//! What the registers keep and show (82093AA datasheet §3).

use vapic::spec::msi::MsiFormat;

use crate::driver::*;

const ID: u8 = 0;
const VERSION: u8 = 1;
const ARBITRATION: u8 = 2;

#[test]
fn after_power_up() {
    let mut board = Board::new();
    assert_eq!(board.read(ID), 0);
    assert_eq!(board.read(VERSION), 0x0017_0020);
    assert_eq!(board.read(ARBITRATION), 0);
    for pin in 0..24 {
        assert_eq!(board.read(0x10 + 2 * pin), MASKED);
        assert_eq!(board.read(0x11 + 2 * pin), 0);
    }
    assert_eq!(board.ioapic.deadline(), None);
}

#[test]
fn the_version_has_an_eoi_register_and_24_entries() {
    let mut board = Board::new();
    board.write(VERSION, u32::MAX);
    let version = board.read(VERSION);
    assert_eq!(version & 0xFF, 0x20);
    assert_eq!(version >> 16 & 0xFF, 23, "the last entry");
    assert_eq!(version >> 15 & 1, 0, "no pin assertion register");
}

#[test]
fn the_id_has_four_bits_and_the_arbitration_id_follows_it() {
    let mut board = Board::new();
    for (written, kept) in [
        (0x0500_0000, 0x0500_0000),
        (u32::MAX, 0x0F00_0000),
        (0xF0FF_FFFF, 0),
    ] {
        board.write(ID, written);
        assert_eq!(board.read(ID), kept);
        assert_eq!(board.read(ARBITRATION), kept);
    }
    board.write(ID, 0x0300_0000);
    board.write(ARBITRATION, 0x0700_0000);
    assert_eq!(
        (board.read(ID), board.read(ARBITRATION)),
        (0x0300_0000, 0x0300_0000)
    );
}

#[test]
fn holes_read_zero_and_drop_writes() {
    let mut board = Board::new();
    for index in (3..0x10).chain(0x40..=0xFF) {
        assert_eq!(board.write(index, u32::MAX), NONE);
        assert_eq!(board.read(index), 0, "index {index:#x}");
    }
}

#[test]
fn reserved_bits_of_an_entry_read_zero() {
    for (format, high) in [
        (MsiFormat::Bits8, 0xFF00_0000),
        (MsiFormat::Bits15, 0xFFFE_0000),
        (MsiFormat::Bits32, 0xFF00_0000),
    ] {
        let mut board = Board::with_format(format);
        for pin in 0..24 {
            board.low(pin, u32::MAX);
            board.high(pin, u32::MAX);
            assert_eq!(board.read(0x10 + 2 * pin), 0x0001_AFFF);
            assert_eq!(board.read(0x11 + 2 * pin), high);
        }
    }
}

#[test]
fn the_halves_of_an_entry_are_apart() {
    let mut board = Board::new();
    board.low(7, MASKED | LEVEL | 0x41);
    board.high(7, 0x1200_0000);
    assert_eq!(board.entry(7).into_bits(), 0x1200_0000_0001_8041);
    board.low(7, 0x42);
    assert_eq!(board.entry(7).into_bits(), 0x1200_0000_0000_0042);
    board.high(7, 0);
    assert_eq!(board.entry(7).into_bits(), 0x42);
    assert_eq!(board.entry(6).into_bits(), u64::from(MASKED));
    assert_eq!(board.entry(8).into_bits(), u64::from(MASKED));
}

#[test]
fn delivery_status_and_remote_irr_are_read_only() {
    let mut board = Board::new();
    board.low(3, DELIVERY_STATUS | REMOTE_IRR | LEVEL | MASKED | 0x41);
    assert_eq!(board.read(0x16), LEVEL | MASKED | 0x41);
    // A write of zeros to a set remote IRR would deliver the interrupt twice.
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    assert_eq!(board.high(3, 0x0100_0000), NONE);
    assert_eq!(board.read(0x16), REMOTE_IRR | LEVEL | 0x41);
    assert_eq!(board.end(0x41), [3]);
}

#[test]
fn reset_forgets_registers_and_lines() {
    let mut board = Board::new();
    board.write(ID, 0x0500_0000);
    board.low(3, LEVEL | 0x41);
    board.high(3, 0x0100_0000);
    assert_eq!(board.rise(3), [3]);
    board.ioapic.reset();
    assert_eq!(board.read(ID), 0);
    assert_eq!(board.read(0x16), MASKED);
    assert_eq!(board.read(0x17), 0);
    // The line was forgotten too: nothing is sent until the device drives it again.
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    assert_eq!(board.rise(3), [3]);
}
