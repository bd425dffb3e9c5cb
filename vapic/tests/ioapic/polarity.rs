//! The polarity bit: kept, and honoured where the host drives voltages.

use crate::driver::*;

#[test]
fn it_is_without_effect_where_lines_are_asserted_or_not() {
    let mut board = Board::new();
    board.low(3, ACTIVE_LOW | LEVEL | 0x41);
    assert_eq!(board.read(0x16), ACTIVE_LOW | LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.end(0x41), NONE);
}

#[test]
fn an_active_low_level() {
    let mut board = Board::with_voltages();
    assert_eq!(board.rise(3), NONE);
    board.low(3, ACTIVE_LOW | LEVEL | 0x41);
    assert_eq!(board.fall(3), [3]);
    assert_eq!(board.end(0x41), [3]);
    assert_eq!(board.rise(3), NONE);
    assert_eq!(board.end(0x41), NONE);
}

#[test]
fn an_active_low_edge_is_a_fall() {
    let mut board = Board::with_voltages();
    assert_eq!(board.rise(3), NONE);
    board.low(3, ACTIVE_LOW | 0x41);
    assert_eq!(board.fall(3), [3]);
    assert_eq!(board.rise(3), NONE);
    assert_eq!(board.fall(3), [3]);
}

#[test]
fn a_new_polarity_asserts_a_level_but_is_no_edge() {
    let mut board = Board::with_voltages();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.low(3, ACTIVE_LOW | LEVEL | 0x41), [3]);
    board.low(4, 0x42);
    assert_eq!(board.low(4, ACTIVE_LOW | 0x42), NONE);
}
