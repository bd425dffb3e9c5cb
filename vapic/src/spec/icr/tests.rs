//! The decoder against the manual's description of the ICR (SDM 3A, APIC §6.1, §12.9).

use super::IcrFormat::{X2apic, Xapic};
use super::IcrRefusal::{
    IllegalVector, InitDeassert, LevelDeassert, LowestPriorityUnsupported, ReservedBits,
    ReservedDeliveryMode,
};
use super::*;
use proptest::prelude::*;

const BOTH: [IcrFormat; 2] = [Xapic, X2apic];

/// A command with vector 0x40 and delivery mode `mode`, to APIC 5 in the width of `format`.
fn command(format: IcrFormat, mode: DeliveryMode) -> Icr {
    let destination = match format {
        Xapic => 5 << 24,
        X2apic => 5,
    };
    Icr::new()
        .with_vector(0x40)
        .with_delivery(mode)
        .with_destination(destination)
}

fn message(destination: Destination, delivery: DeliveryMode) -> InterruptMessage {
    InterruptMessage {
        destination,
        delivery,
        vector: 0x40,
        trigger: Trigger::Edge,
    }
}

#[test]
fn fields_are_where_the_manual_has_them() {
    let table: [(u64, Icr); 12] = [
        (0x0000_0000_0000_00FF, Icr::new().with_vector(0xFF)),
        (
            0x0000_0000_0000_0700,
            Icr::new().with_delivery(DeliveryMode::ExtInt),
        ),
        (0x0000_0000_0000_0800, Icr::new().with_logical(true)),
        (0x0000_0000_0000_1000, Icr::new().with_delivery_status(true)),
        (0x0000_0000_0000_4000, Icr::new().with_assert(true)),
        (0x0000_0000_0000_8000, Icr::new().with_level_triggered(true)),
        (
            0x0000_0000_0004_0000,
            Icr::new().with_shorthand(Shorthand::Sender),
        ),
        (
            0x0000_0000_0008_0000,
            Icr::new().with_shorthand(Shorthand::All),
        ),
        (
            0x0000_0000_000C_0000,
            Icr::new().with_shorthand(Shorthand::AllButSender),
        ),
        (
            0x1234_5678_0000_0000,
            Icr::new().with_destination(0x1234_5678),
        ),
        (0x1200_0000_0000_0040, Icr::from_xapic(0x40, 0x1200_0000)),
        // The upper register of xAPIC mode has no bits 23:0.
        (0x1200_0000_0000_0040, Icr::from_xapic(0x40, 0x12FF_FFFF)),
    ];
    for (bits, icr) in table {
        assert_eq!(icr.into_bits(), bits, "{icr:?}");
    }
}

#[test]
fn delivery_modes() {
    use DeliveryMode::{Fixed, Init, LowestPriority, Nmi, Smi, StartUp};
    let table = [
        // bits 10:8, in xAPIC mode, in x2APIC mode
        (0b000, Ok(Fixed), Ok(Fixed)),
        (0b001, Ok(LowestPriority), Err(LowestPriorityUnsupported)),
        (0b010, Ok(Smi), Ok(Smi)),
        (0b011, Err(ReservedDeliveryMode), Err(ReservedDeliveryMode)),
        (0b100, Ok(Nmi), Ok(Nmi)),
        (0b101, Ok(Init), Ok(Init)),
        (0b110, Ok(StartUp), Ok(StartUp)),
        (0b111, Err(ReservedDeliveryMode), Err(ReservedDeliveryMode)),
    ];
    for (bits, in_xapic, in_x2apic) in table {
        for (format, expected) in [(Xapic, in_xapic), (X2apic, in_x2apic)] {
            let icr = command(format, DeliveryMode::from_bits(bits));
            let expected = expected.map(|mode| message(Destination::Physical(5), mode));
            assert_eq!(icr.decode(format), expected, "{format:?} mode {bits:03b}");
        }
    }
}

#[test]
fn destinations() {
    use Destination::{All, Logical, Physical};
    let table = [
        // format, destination field, physical (bit 11 = 0), logical (bit 11 = 1)
        (Xapic, 0x0000_0000, Physical(0), Logical(0)),
        (Xapic, 0x0500_0000, Physical(5), Logical(5)),
        (Xapic, 0xFE00_0000, Physical(0xFE), Logical(0xFE)),
        (Xapic, 0xFF00_0000, All, All),
        (X2apic, 0x0000_0000, Physical(0), Logical(0)),
        (X2apic, 0x0000_00FF, Physical(0xFF), Logical(0xFF)),
        (X2apic, 0x0000_0100, Physical(0x100), Logical(0x100)),
        (
            X2apic,
            0xFF00_0000,
            Physical(0xFF00_0000),
            Logical(0xFF00_0000),
        ),
        (
            X2apic,
            0xFFFF_FFFE,
            Physical(0xFFFF_FFFE),
            Logical(0xFFFF_FFFE),
        ),
        (X2apic, 0xFFFF_FFFF, All, All),
    ];
    for (format, field, physical, logical) in table {
        for (bit, expected) in [(false, physical), (true, logical)] {
            for mode in [DeliveryMode::Fixed, DeliveryMode::Nmi] {
                let icr = command(format, mode)
                    .with_destination(field)
                    .with_logical(bit);
                let expected = Ok(message(expected, mode));
                assert_eq!(
                    icr.decode(format),
                    expected,
                    "{format:?} {field:#x} logical {bit}"
                );
            }
        }
    }
}

#[test]
fn shorthands_override_destination_and_destination_mode() {
    use Destination::{All, AllButSender, Physical, Sender};
    let table = [
        // bits 19:18
        (0b00, Physical(5)),
        (0b01, Sender),
        (0b10, All),
        (0b11, AllButSender),
    ];
    for (bits, expected) in table {
        for format in BOTH {
            let icr =
                command(format, DeliveryMode::Fixed).with_shorthand(Shorthand::from_bits(bits));
            assert_eq!(
                icr.decode(format),
                Ok(message(expected, DeliveryMode::Fixed))
            );
            if bits != 0 {
                for field in [0, 5, u32::MAX] {
                    let icr = icr.with_destination(field).with_logical(true);
                    let decoded = icr.decode(format).map(|message| message.destination);
                    assert_eq!(decoded, Ok(expected), "{format:?} {bits:02b} {field:#x}");
                }
            }
        }
    }
}

#[test]
fn level_and_trigger() {
    use DeliveryMode::{Fixed, Init, LowestPriority, Nmi, Smi, StartUp};
    let edge = Ok(Trigger::Edge);
    let table = [
        // delivery, edge de-assert, edge assert, level de-assert, level assert
        (Fixed, edge, edge, Err(LevelDeassert), edge),
        (LowestPriority, edge, edge, Err(LevelDeassert), edge),
        (Smi, edge, edge, edge, edge),
        (Nmi, edge, edge, edge, edge),
        (Init, edge, edge, Err(InitDeassert), edge),
        (StartUp, edge, edge, edge, edge),
    ];
    for (mode, edge_deassert, edge_assert, level_deassert, level_assert) in table {
        for (level, assert, expected) in [
            (false, false, edge_deassert),
            (false, true, edge_assert),
            (true, false, level_deassert),
            (true, true, level_assert),
        ] {
            let icr = command(Xapic, mode)
                .with_level_triggered(level)
                .with_assert(assert);
            let decoded = icr.decode(Xapic).map(|message| message.trigger);
            assert_eq!(
                decoded, expected,
                "{mode:?} level-triggered {level} assert {assert}"
            );
        }
    }
}

#[test]
fn vectors_below_16_are_illegal_where_the_vector_is_one() {
    use DeliveryMode::{Fixed, Init, LowestPriority, Nmi, Smi, StartUp};
    let table = [
        // delivery, vectors 0 to 15, whether the vector goes out
        (Fixed, Err(IllegalVector)),
        (LowestPriority, Err(IllegalVector)),
        (Smi, Ok(())),
        (Nmi, Ok(())),
        (Init, Ok(())),
        (StartUp, Ok(())),
    ];
    for (mode, below_16) in table {
        for vector in 0..=u8::MAX {
            let expected = if vector < 16 { below_16 } else { Ok(()) };
            let decoded = command(Xapic, mode).with_vector(vector).decode(Xapic);
            let expected = expected.map(|()| InterruptMessage {
                vector,
                ..message(Destination::Physical(5), mode)
            });
            assert_eq!(decoded, expected, "{mode:?} vector {vector:#x}");
        }
    }
}

#[test]
fn reserved_bits_fault_in_x2apic_mode_and_are_ignored_in_xapic_mode() {
    let reserved = |bit| matches!(bit, 13 | 16 | 17 | 20..=31);
    for bit in 0..64u32 {
        for mode in DeliveryMode::ALL {
            let icr = Icr::from_bits(command(X2apic, mode).into_bits() | 1 << bit);
            let faults = icr.decode(X2apic) == Err(ReservedBits);
            assert_eq!(faults, reserved(bit), "{mode:?} bit {bit}");
        }
        if reserved(bit) || bit == 12 {
            let plain = command(Xapic, DeliveryMode::Fixed);
            let with_bit = Icr::from_bits(plain.into_bits() | 1 << bit);
            assert_eq!(with_bit.decode(Xapic), plain.decode(Xapic), "bit {bit}");
        }
    }
}

#[test]
fn the_read_only_delivery_status_is_ignored() {
    for format in BOTH {
        let icr = command(format, DeliveryMode::Fixed).with_delivery_status(true);
        let expected = message(Destination::Physical(5), DeliveryMode::Fixed);
        assert_eq!(icr.decode(format), Ok(expected));
    }
}

#[test]
fn the_first_applicable_refusal_is_given() {
    let base = Icr::new().with_level_triggered(true);
    let table = [
        // A fault comes before all else; then the mode; then its vector; then the level.
        (
            X2apic,
            Icr::from_bits(base.into_bits() | 1 << 13),
            ReservedBits,
        ),
        (
            X2apic,
            base.with_delivery(DeliveryMode::RemoteRead),
            ReservedDeliveryMode,
        ),
        (
            X2apic,
            base.with_delivery(DeliveryMode::LowestPriority),
            LowestPriorityUnsupported,
        ),
        (
            Xapic,
            base.with_delivery(DeliveryMode::LowestPriority),
            IllegalVector,
        ),
        (Xapic, base, IllegalVector),
        (Xapic, base.with_vector(16), LevelDeassert),
        (Xapic, base.with_delivery(DeliveryMode::Init), InitDeassert),
    ];
    for (format, icr, refusal) in table {
        assert_eq!(icr.decode(format), Err(refusal), "{icr:?}");
    }
}

proptest! {
    #[test]
    fn the_short_way_of_the_commonest_command_agrees_with_the_long_one(
        // Few bits are set in a value that the short way may take.
        bits in prop_oneof![any::<u64>(), any::<u64>().prop_map(|bits| bits & 0xFFFF_FFFF_0000_40FF)],
    ) {
        for format in BOTH {
            let icr = Icr::from_bits(bits);
            prop_assert_eq!(icr.decode(format), icr.decode_any(format));
        }
    }
}
