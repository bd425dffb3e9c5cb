//! What an entry sends: destinations and delivery modes (82093AA datasheet §3.2.4).

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::spec::msi::{MsiFormat, MsiMessage};

use crate::driver::*;

/// What pin 3 sends with this entry.
fn message(format: MsiFormat, high: u32, low: u32) -> InterruptMessage {
    let mut board = Board::with_format(format);
    board.high(3, high);
    board.low(3, low);
    assert_eq!(board.rise(3), [3]);
    board.ioapic.message(3).unwrap()
}

#[test]
fn destinations() {
    use Destination::{All, Logical, Physical};
    use MsiFormat::{Bits8, Bits15, Bits32};
    let table = [
        // format, high half, physical, logical
        (Bits8, 0x0000_0000, Physical(0), Logical(0)),
        (Bits8, 0x0500_0000, Physical(5), Logical(5)),
        (Bits8, 0xFE00_0000, Physical(0xFE), Logical(0xFE)),
        (Bits8, 0xFF00_0000, All, All),
        // Bits that this format has not.
        (Bits8, 0x05FF_FFFF, Physical(5), Logical(5)),
        (Bits15, 0x0500_0000, Physical(5), Logical(5)),
        (Bits15, 0x0502_0000, Physical(0x105), Logical(0x105)),
        (Bits15, 0xFF00_0000, Physical(0xFF), Logical(0xFF)),
        (Bits15, 0xFFFE_0000, Physical(0x7FFF), Logical(0x7FFF)),
        // Bit 48 asks for remapping, is reserved without, and so is not kept.
        (Bits15, 0x0503_0000, Physical(0x105), Logical(0x105)),
        (Bits32, 0xFF00_0000, Physical(0xFF), Logical(0xFF)),
    ];
    for (format, high, physical, logical) in table {
        let destination = message(format, high, 0x41).destination;
        assert_eq!(destination, physical, "{format:?} {high:#x}");
        let destination = message(format, high, LOGICAL | 0x41).destination;
        assert_eq!(destination, logical, "{format:?} {high:#x}");
    }
}

#[test]
fn only_fixed_and_lowest_priority_have_a_level() {
    use DeliveryMode::{ExtInt, Fixed, Init, LowestPriority, Nmi, Smi};
    for (mode, trigger) in [
        (Fixed, Trigger::Level),
        (LowestPriority, Trigger::Level),
        (Smi, Trigger::Edge),
        (Nmi, Trigger::Edge),
        (Init, Trigger::Edge),
        (ExtInt, Trigger::Edge),
    ] {
        let mode_bits = u32::from(mode.into_bits()) << 8;
        let sent = message(MsiFormat::Bits8, 0, mode_bits | LEVEL | 0x41);
        assert_eq!((sent.delivery, sent.trigger), (mode, trigger));
        let sent = message(MsiFormat::Bits8, 0, mode_bits | 0x41);
        assert_eq!((sent.delivery, sent.trigger), (mode, Trigger::Edge));
    }
}

#[test]
fn an_nmi_entry_never_waits_for_an_end() {
    // No end of an NMI is ever broadcast: with a remote IRR the pin would be dead.
    const NMI: u32 = 4 << 8;
    let mut board = Board::new();
    board.low(3, NMI | LEVEL);
    for _ in 0..3 {
        assert_eq!(board.rise(3), [3]);
        assert!(!board.entry(3).remote_irr());
        assert_eq!(board.fall(3), NONE);
    }
}

#[test]
fn reserved_delivery_modes_send_nothing() {
    for mode in [3, 6] {
        for level in [0, LEVEL] {
            let mut board = Board::new();
            board.low(3, mode << 8 | level | 0x41);
            assert_eq!(board.rise(3), NONE);
            assert!(!board.entry(3).remote_irr());
            assert_eq!(board.ioapic.message(3), None);
            assert_eq!(board.low(3, LEVEL | 0x41), [3], "a mode that sends");
        }
    }
}

#[test]
fn a_vector_below_16_is_for_the_receiver_to_refuse() {
    let sent = message(MsiFormat::Bits8, 0, 0x0F);
    assert_eq!(sent.vector, 0x0F);
}

#[test]
fn the_write_to_memory_that_an_entry_causes() {
    let mut board = Board::with_format(MsiFormat::Bits15);
    for (high, low, address, data) in [
        (0x0500_0000, 0x41, 0xFEE0_5000, 0x0041),
        (0x0500_0000, LEVEL | 0x41, 0xFEE0_5000, 0xC041),
        (0x0502_0000, LOGICAL | 0x41, 0xFEE0_5024, 0x0041),
        (0x0500_0000, LOWEST_PRIORITY | 0x41, 0xFEE0_5008, 0x0141),
    ] {
        board.high(3, high);
        board.low(3, MASKED | low);
        assert_eq!(board.ioapic.msi(3), Some(MsiMessage { address, data }));
    }
}
