//! Offsets and widths: what is not stated in the datasheet is dropped or reads as zero.

use vapic::spec::ioapic::{EOIR, IOREGSEL, IOWIN};

use crate::driver::*;

fn read<const WIDTH: usize>(board: &Board, offset: u32) -> [u8; WIDTH] {
    let mut data = [0xA5; WIDTH];
    board.ioapic.read(offset, &mut data);
    data
}

#[test]
fn the_index_register_takes_any_width() {
    let mut board = Board::new();
    for data in [
        &[1][..],
        &[1, 0xFF],
        &[1, 2, 3, 4],
        &[1, 2, 3, 4, 5, 6, 7, 8],
    ] {
        board.write_at(IOREGSEL, &[0]);
        board.write_at(IOREGSEL, data);
        assert_eq!(read(&board, IOREGSEL), [1, 0, 0, 0]);
    }
    assert_eq!(board.write_at(IOREGSEL, &[]), NONE);
    assert_eq!(read(&board, IOREGSEL), [1]);
}

#[test]
fn the_window_takes_32_bits_alone() {
    let mut board = Board::new();
    board.write_at(IOREGSEL, &[0]);
    for data in [&[][..], &[5], &[5; 2], &[5; 3], &[5; 8], &[5; 16]] {
        board.write_at(IOWIN, data);
        assert_eq!(read(&board, IOWIN), [0; 4], "{data:?}");
    }
    board.write_at(IOWIN, &[5; 4]);
    assert_eq!(read(&board, IOWIN), [0, 0, 0, 5]);
}

#[test]
fn the_eoi_register_takes_32_bits_alone_and_reads_zero() {
    let mut board = Board::new();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    for data in [&[][..], &[0x41], &[0x41, 0], &[0x41, 0, 0, 0, 0, 0, 0, 0]] {
        assert_eq!(board.write_at(EOIR, data), NONE, "{data:?}");
        assert!(board.entry(3).remote_irr());
    }
    // Bits 31:8 are reserved.
    assert_eq!(board.write_at(EOIR, &[0x41, 0xFF, 0xFF, 0xFF]), [3]);
    assert_eq!(read(&board, EOIR), [0; 4]);
}

#[test]
fn narrow_reads_see_the_bytes_of_the_register() {
    let mut board = Board::new();
    board.write_at(IOREGSEL, &[1]);
    assert_eq!(read(&board, IOWIN), [0x20]);
    assert_eq!(read(&board, IOWIN), [0x20, 0, 0x17, 0, 0, 0, 0, 0]);
    assert_eq!(read(&board, IOWIN + 2), [0x17, 0]);
    assert_eq!(read(&board, IOWIN + 3), [0, 0]);
}

/// Xen b6f43c14ce, ACRN f991d179b: odd offsets and sizes that went past a bounds check.
#[test]
fn unaligned_and_odd_sized_accesses_touch_nothing() {
    let mut board = Board::new();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    let before = board.ioapic.save(0);
    for offset in (0..0x1000).chain([u32::MAX - 3, u32::MAX]) {
        for width in 0..=16 {
            let is_register = matches!(offset, IOREGSEL | IOWIN | EOIR);
            if !is_register {
                assert_eq!(board.write_at(offset, &vec![0x41; width]), NONE);
            }
            board.ioapic.read(offset, &mut vec![0; width]);
        }
    }
    assert_eq!(board.ioapic.save(0), before);
}
