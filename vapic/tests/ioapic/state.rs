//! Saving and restoring: what is kept, and what is refused.

use vapic::spec::msi::MsiFormat;
use vapic::{IoApicRefusal, IoApicState};

use crate::driver::*;

/// One pin of each kind: served, in service, withdrawn, masked, pausing.
fn busy() -> Board {
    let mut board = Board::new();
    board.write(0, 0x0900_0000);
    for (pin, vector) in [(1, 0x31), (2, 0x32), (3, 0x41)] {
        board.low(pin, LEVEL | vector);
        board.high(pin, 0x0200_0000);
        assert_eq!(board.rise(pin), [pin]);
    }
    board.fall(2);
    board.low(4, MASKED | LEVEL | 0x34);
    board.rise(4);
    board.low(5, 0x35);
    board.rise(5);
    board.skip_ends(3, 9_999);
    assert_eq!(board.end(0x41), NONE);
    board
}

fn restored(state: &IoApicState, now: u64) -> Board {
    let mut board = Board::new();
    board.now = now;
    let owed = board.ioapic.restore(state, now).unwrap();
    assert!(owed.is_empty(), "what was saved owes nothing");
    board
}

#[test]
fn what_is_restored_goes_on_as_it_would_have() {
    let original = busy();
    let mut board = restored(&original.ioapic.save(0), 0);
    assert_eq!(board.ioapic.save(0), original.ioapic.save(0));
    assert_eq!(board.read(0), 0x0900_0000);
    assert_eq!(board.end(0x31), [1]);
    assert_eq!(board.end(0x32), NONE);
    assert_eq!(board.low(4, LEVEL | 0x34), [4]);
    assert_eq!(board.rise(5), NONE, "high already");
    assert_eq!(board.at(10_000_000), [3]);
}

#[test]
fn the_selected_register_is_kept() {
    let mut board = busy();
    board.read(1);
    let board = restored(&board.ioapic.save(0), 0);
    let mut data = [0; 4];
    board.ioapic.read(0x10, &mut data);
    assert_eq!(u32::from_le_bytes(data), 0x0017_0020);
}

#[test]
fn a_pause_goes_on_under_another_clock() {
    let original = busy();
    // Four of its ten milliseconds have gone by.
    let state = original.ioapic.save(4_000_000);
    let mut board = restored(&state, 77);
    assert_eq!(board.ioapic.deadline(), Some(77 + 6_000_000));
    assert_eq!(board.at(77 + 6_000_000), [3]);
}

#[test]
fn a_pause_that_ran_out_before_it_was_saved_is_owed() {
    let state = busy().ioapic.save(10_000_000);
    let owed = Board::new().ioapic.restore(&state, 0).unwrap();
    assert_eq!(owed.iter().collect::<Vec<_>>(), [3]);
}

#[test]
fn a_clock_that_ran_backwards_makes_no_longer_pause() {
    let mut original = busy();
    original.at(10_000_000);
    original.now = 20_000_000;
    original.skip_ends(3, 9_999);
    assert_eq!(original.end(0x41), NONE);
    let board = restored(&original.ioapic.save(5), 5);
    assert_eq!(board.ioapic.deadline(), Some(5 + 10_000_000));
}

#[test]
fn the_count_of_ends_is_kept() {
    let mut original = Board::new();
    original.low(3, LEVEL | 0x41);
    original.rise(3);
    for _ in 0..5 {
        assert_eq!(original.end(0x41), [3]);
    }
    let state = original.ioapic.save(0);
    assert_eq!(state.pins[3].ends, 5);
    let mut board = restored(&state, 0);
    board.skip_ends(3, 9_994);
    assert_eq!(board.end(0x41), NONE);
}

#[test]
fn a_state_that_owes_an_interrupt_sends_it() {
    let mut state = busy().ioapic.save(0);
    state.pins[6].entry = u64::from(LEVEL | 0x36);
    state.pins[6].line = true;
    let owed = Board::new().ioapic.restore(&state, 0).unwrap();
    assert_eq!(owed.iter().collect::<Vec<_>>(), [6]);
    assert_eq!(owed.bits(), 1 << 6);
}

#[test]
fn what_no_ioapic_can_be_is_refused() {
    type Change = fn(&mut IoApicState);
    let table: [(Change, IoApicRefusal, &str); 10] = [
        (|s| s.id = 16, IoApicRefusal::Id(16), "ID 16"),
        (
            |s| s.pins[6].entry |= 1 << 17,
            IoApicRefusal::ReservedBits(6),
            "entry 6",
        ),
        // Delivery status.
        (
            |s| s.pins[3].entry |= 1 << 12,
            IoApicRefusal::ReservedBits(3),
            "entry 3",
        ),
        // A destination bit of another format.
        (
            |s| s.pins[23].entry |= 1 << 49,
            IoApicRefusal::ReservedBits(23),
            "entry 23",
        ),
        // An edge that waits for its end.
        (
            |s| s.pins[5].entry |= 1 << 14,
            IoApicRefusal::RemoteIrr(5),
            "entry 5",
        ),
        // Longer than any pause.
        (
            |s| s.pins[3].pause = Some(10_000_001),
            IoApicRefusal::Storm(3),
            "pin 3",
        ),
        (
            |s| s.pins[3].ends = 10_000,
            IoApicRefusal::Storm(3),
            "pin 3",
        ),
        // Waiting to be sent, and sent.
        (
            |s| s.pins[3].entry |= 1 << 14,
            IoApicRefusal::Storm(3),
            "pin 3",
        ),
        // A storm on a line that is low, and one on an edge.
        (|s| s.pins[3].line = false, IoApicRefusal::Storm(3), "pin 3"),
        (|s| s.pins[5].ends = 1, IoApicRefusal::Storm(5), "pin 5"),
    ];
    for (change, refusal, text) in table {
        let mut state = busy().ioapic.save(0);
        change(&mut state);
        let mut board = busy();
        let before = board.ioapic.save(0);
        assert_eq!(board.ioapic.restore(&state, 0), Err(refusal));
        assert!(refusal.to_string().contains(text), "{refusal}");
        assert_eq!(board.ioapic.save(0), before, "left as it was");
    }
}

#[test]
fn a_destination_of_15_bits_is_kept_where_there_are_15() {
    let mut board = Board::with_format(MsiFormat::Bits15);
    board.high(3, 0x0502_0000);
    let state = board.ioapic.save(0);
    let mut board = Board::with_format(MsiFormat::Bits15);
    assert!(board.ioapic.restore(&state, 0).unwrap().is_empty());
    assert_eq!(board.read(0x17), 0x0502_0000);
}
