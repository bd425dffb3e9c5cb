//! Level-triggered pins and remote IRR (82093AA datasheet §3.2.4).

use crate::driver::*;

/// Pin 3 of a new board, level-triggered on vector 0x41.
fn level() -> Board {
    let mut board = Board::new();
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    board
}

#[test]
fn one_assertion_is_one_interrupt() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert!(board.entry(3).remote_irr());
    assert_eq!(board.fall(3), NONE);
    assert!(board.entry(3).remote_irr(), "until its end");
    assert_eq!(board.end(0x41), NONE);
    assert!(!board.entry(3).remote_irr());
    assert_eq!(board.rise(3), [3]);
}

#[test]
fn assertions_before_the_end_coalesce() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.rise(3), NONE);
    assert_eq!(board.end(0x41), [3]);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.end(0x41), NONE);
}

#[test]
fn it_sends_again_after_the_end_while_the_line_is_high() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.end(0x41), [3]);
    assert_eq!(board.end(0x41), [3]);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.end(0x41), NONE);
    assert_eq!(board.end(0x41), NONE);
}

#[test]
fn a_masked_level_is_looked_at_when_it_is_unmasked() {
    let mut board = level();
    board.low(3, MASKED | LEVEL | 0x41);
    assert_eq!(board.rise(3), NONE);
    assert!(!board.entry(3).remote_irr());
    assert_eq!(board.low(3, LEVEL | 0x41), [3]);
    assert_eq!(board.end(0x41), [3]);

    let mut board = level();
    board.low(3, MASKED | LEVEL | 0x41);
    assert_eq!(board.rise(3), NONE);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.low(3, LEVEL | 0x41), NONE, "the device has withdrawn");
}

#[test]
fn an_end_counts_while_masked() {
    // How an interrupt thread works: mask, end, serve, unmask.
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.low(3, MASKED | LEVEL | 0x41), NONE);
    assert!(board.entry(3).remote_irr(), "masking ends nothing");
    assert_eq!(board.end(0x41), NONE);
    assert!(!board.entry(3).remote_irr());
    assert_eq!(board.low(3, LEVEL | 0x41), [3], "not served yet");
}

#[test]
fn unmasking_before_the_end_sends_nothing() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.low(3, MASKED | LEVEL | 0x41), NONE);
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    assert_eq!(board.end(0x41), [3]);
}

#[test]
fn several_pins_on_one_vector_end_together() {
    let mut board = Board::new();
    for pin in [3, 9, 23] {
        board.low(pin, LEVEL | 0x41);
    }
    board.low(10, LEVEL | 0x42);
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.rise(9), [9]);
    assert_eq!(board.rise(10), [10]);
    assert_eq!(board.fall(9), NONE);
    assert_eq!(board.end(0x41), [3], "pin 9 has been served");
    assert!(!board.entry(9).remote_irr());
    assert!(board.entry(10).remote_irr(), "another vector");
    assert_eq!(board.rise(9), [9]);
    assert_eq!(board.rise(23), [23]);
    assert_eq!(board.end(0x41), [3, 9, 23]);
}

#[test]
fn the_guest_ends_through_the_eoi_register() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.directed_end(0x40), NONE);
    assert!(board.entry(3).remote_irr());
    assert_eq!(board.directed_end(0x41), [3]);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.directed_end(0x41), NONE);
    assert!(!board.entry(3).remote_irr());
}

#[test]
fn a_rewrite_to_edge_ends_as_guests_of_version_0x11_do_it() {
    // Mask and make it an edge, then restore the entry.
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.low(3, MASKED | 0x41), NONE);
    assert!(!board.entry(3).remote_irr());
    assert_eq!(board.low(3, LEVEL | 0x41), [3], "the line is still high");
    assert_eq!(board.low(3, MASKED | 0x41), NONE);
    assert_eq!(board.fall(3), NONE);
    assert_eq!(board.low(3, LEVEL | 0x41), NONE);
    assert_eq!(board.rise(3), [3]);
}

#[test]
fn an_end_after_the_destination_moved_still_counts() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.high(3, 0x0200_0000), NONE);
    assert!(board.entry(3).remote_irr());
    assert_eq!(board.end(0x41), [3]);
}

#[test]
fn an_end_is_matched_with_the_vector_of_that_moment() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    assert_eq!(board.low(3, LEVEL | 0x42), NONE);
    assert_eq!(board.end(0x41), NONE);
    assert!(board.entry(3).remote_irr());
    assert_eq!(board.end(0x42), [3]);
}

/// ACRN c2c05a29d: the trigger mode changes while the vector is in service.
#[test]
fn the_trigger_mode_changes_on_a_running_vector() {
    let mut board = level();
    assert_eq!(board.rise(3), [3]);
    board.low(3, 0x41);
    assert_eq!(board.end(0x41), NONE, "an edge now, whose line is high");
    assert_eq!(board.low(3, LEVEL | 0x41), [3]);
    assert_eq!(board.end(0x41), [3]);
}

#[test]
fn pins_that_do_not_exist_are_ignored() {
    let mut board = Board::new();
    for pin in 24..=u8::MAX {
        assert!(board.ioapic.line(pin, true).is_empty());
        assert!(board.ioapic.message(pin).is_none());
        assert!(board.ioapic.entry(pin).is_none());
    }
}
