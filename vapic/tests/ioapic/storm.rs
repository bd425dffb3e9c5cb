//! The storm brake: the interrupt after 10,000 ends without a change of the line waits 10 ms.

use crate::driver::*;

const ENDS: u32 = 10_000;
const PAUSE: u64 = 10_000_000;

/// Pin 3 on vector 0x41, asserted: `left` ends from here on start the pause.
fn stormy(left: u32) -> Board {
    let mut board = Board::new();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    board.skip_ends(3, ENDS - left);
    board
}

/// The count has started over: `ENDS` ends from here on, not one less, start the pause.
#[track_caller]
fn counts_anew(board: &mut Board) {
    board.skip_ends(3, ENDS - 2);
    assert_eq!(board.end(0x41), [3]);
    assert_eq!(board.ioapic.deadline(), None);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.ioapic.deadline(), Some(board.now + PAUSE));
}

#[test]
fn ten_thousand_ends_are_too_many() {
    let mut board = Board::new();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    for _ in 1..ENDS {
        assert_eq!(board.end(0x41), [3]);
    }
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.ioapic.deadline(), Some(PAUSE));
}

#[test]
fn the_interrupt_waits_and_then_comes() {
    let mut board = stormy(1);
    board.now = 5;
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.ioapic.deadline(), Some(5 + PAUSE));
    assert_eq!(board.read(0x16), DELIVERY_STATUS | LEVEL | 0x41, "it waits");
    assert_eq!(board.at(4 + PAUSE), NONE);
    assert_eq!(board.ioapic.deadline(), Some(5 + PAUSE));
    assert_eq!(board.at(5 + PAUSE), [3]);
    assert_eq!(board.read(0x16), REMOTE_IRR | LEVEL | 0x41);
    assert_eq!(board.ioapic.deadline(), None);
    assert_eq!(board.at(6 + PAUSE), NONE);
}

#[test]
fn it_counts_anew_after_the_pause() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.at(PAUSE), [3]);
    counts_anew(&mut board);
}

#[test]
fn a_change_of_the_line_starts_the_count_over() {
    let mut board = stormy(1);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.rise(3), NONE, "not ended yet");
    counts_anew(&mut board);
}

#[test]
fn an_end_of_a_masked_pin_starts_the_count_over() {
    let mut board = stormy(1);
    board.low(3, MASKED | LEVEL | 0x41);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.low(3, LEVEL | 0x41), [3]);
    counts_anew(&mut board);
}

#[test]
fn a_device_that_withdraws_ends_the_pause() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.ioapic.deadline(), None);
    assert_eq!(board.read(0x16), LEVEL | 0x41);
    assert_eq!(board.at(PAUSE), NONE);
    assert_eq!(board.rise(3), [3]);
}

#[test]
fn neither_an_end_nor_unmasking_gets_round_the_pause() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.directed_end(0x41), NONE);
    assert_eq!(board.low(3, MASKED | LEVEL | 0x41), NONE);
    assert_eq!(board.ioapic.deadline(), None, "nothing can be sent");
    assert_eq!(board.read(0x16), MASKED | LEVEL | 0x41, "nothing waits");
    assert_eq!(board.at(PAUSE - 1), NONE);
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    assert_eq!(board.at(PAUSE), [3]);
}

#[test]
fn unmasking_after_the_pause_sends_at_once() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.low(3, MASKED | LEVEL | 0x41), NONE);
    board.now = PAUSE;
    assert_eq!(board.low(3, LEVEL | 0x41), [3]);
}

#[test]
fn a_rewrite_to_edge_ends_the_pause() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.low(3, 0x41), NONE);
    assert_eq!(board.ioapic.deadline(), None);
    assert_eq!(board.low(3, LEVEL | 0x41), [3]);
}

#[test]
fn other_pins_are_not_held() {
    let mut board = stormy(1);
    board.low(4, LEVEL | 0x41);
    assert_eq!(board.rise(4), [4]);
    assert_eq!(board.end(0x41), [4], "pin 3 waits");
    assert_eq!(board.at(PAUSE), [3]);
    assert_eq!(board.end(0x41), [3, 4]);
}

#[test]
fn reset_ends_the_pause() {
    let mut board = stormy(1);
    assert_eq!(board.end(0x41), NONE);
    board.ioapic.reset();
    assert_eq!(board.ioapic.deadline(), None);
}

#[test]
fn a_clock_at_its_end_only_delays() {
    let mut board = stormy(1);
    board.now = u64::MAX - 1;
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.ioapic.deadline(), Some(u64::MAX));
    assert_eq!(board.at(0), NONE, "time that runs backwards delays too");
    assert_eq!(board.at(u64::MAX), [3]);
}
