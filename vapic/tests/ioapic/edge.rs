//! Edge-triggered pins (82093AA datasheet §3.2.4).

use crate::driver::*;

#[test]
fn each_rise_is_one_interrupt() {
    let mut board = Board::new();
    board.low(4, 0x41);
    assert_eq!(board.rise(4), [4]);
    assert_eq!(board.rise(4), NONE, "the line is high already");
    assert_eq!(board.fall(4), NONE);
    assert_eq!(board.rise(4), [4]);
    assert!(!board.entry(4).remote_irr());
}

#[test]
fn a_masked_edge_is_lost() {
    let mut board = Board::new();
    board.low(4, MASKED | 0x41);
    assert_eq!(board.rise(4), NONE);
    assert_eq!(board.low(4, 0x41), NONE);
    assert_eq!(board.fall(4), NONE);
    assert_eq!(board.rise(4), [4]);
}

#[test]
fn an_end_is_not_for_edges() {
    let mut board = Board::new();
    board.low(4, 0x41);
    board.low(5, LEVEL | 0x41);
    assert_eq!(board.rise(4), [4]);
    assert_eq!(board.rise(5), [5]);
    assert_eq!(board.end(0x41), [5]);
}

#[test]
fn an_edge_that_becomes_a_level_sends_if_the_line_is_high() {
    let mut board = Board::new();
    board.low(4, 0x41);
    assert_eq!(board.rise(4), [4]);
    assert_eq!(board.low(4, LEVEL | 0x41), [4]);
}

#[test]
fn a_level_that_becomes_an_edge_waits_for_the_next_rise() {
    let mut board = Board::new();
    board.low(4, MASKED | LEVEL | 0x41);
    assert_eq!(board.rise(4), NONE);
    assert_eq!(board.low(4, 0x41), NONE);
    assert_eq!(board.fall(4), NONE);
    assert_eq!(board.rise(4), [4]);
}
