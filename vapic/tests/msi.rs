//! Message-signalled interrupts against the manual's description (SDM 3A, APIC §11).

#![cfg(not(loom))]

use MsiFormat::{Bits8, Bits15, Bits32};
use MsiRefusal::{LevelDeassert, OutsideWindow, Remappable, ReservedDeliveryMode};
use proptest::prelude::*;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::spec::msi::{MsiAddress, MsiData, MsiFormat, MsiMessage, MsiRefusal, MsiUnencodable};

const FORMATS: [MsiFormat; 3] = [Bits8, Bits15, Bits32];

/// Address bits.
const REDIRECTION_HINT: u64 = 1 << 3;
const LOGICAL: u64 = 1 << 2;
const TO_APIC_5: u64 = 0xFEE0_5000;

/// Data bits.
const ASSERT: u32 = 1 << 14;
const LEVEL: u32 = 1 << 15;

fn decode(format: MsiFormat, address: u64, data: u32) -> Result<InterruptMessage, MsiRefusal> {
    MsiMessage { address, data }.decode(format)
}

#[test]
fn fields_are_where_the_manual_has_them() {
    for (bits, address) in [
        (0x0000_0000_FEE0_0000, MsiAddress::BASE),
        (0x0000_0000_0000_0004, MsiAddress::new().with_logical(true)),
        (
            0x0000_0000_0000_0008,
            MsiAddress::new().with_redirection_hint(true),
        ),
        (
            0x0000_0000_0000_0010,
            MsiAddress::new().with_remappable(true),
        ),
        (
            0x0000_0000_0000_0FE0,
            MsiAddress::new().with_extended_destination(0x7F),
        ),
        (
            0x0000_0000_000F_F000,
            MsiAddress::new().with_destination(0xFF),
        ),
        (
            0xFFFF_FF00_0000_0000,
            MsiAddress::new().with_high_destination(0xFF_FFFF),
        ),
    ] {
        assert_eq!(address.into_bits(), bits, "{address:?}");
    }
    for (bits, data) in [
        (0x00FF, MsiData::new().with_vector(0xFF)),
        (0x0700, MsiData::new().with_delivery(DeliveryMode::ExtInt)),
        (0x4000, MsiData::new().with_assert(true)),
        (0x8000, MsiData::new().with_level_triggered(true)),
    ] {
        assert_eq!(data.into_bits(), bits, "{data:?}");
    }
}

#[test]
fn the_window() {
    for (address, is_interrupt) in [
        (0xFEE0_0000, [true, true, true]),
        (0xFEEF_FFEC, [true, true, true]),
        (0xFEDF_FFFC, [false, false, false]),
        (0xFEF0_0000, [false, false, false]),
        (0, [false, false, false]),
        // Above 4 GiB: a destination to one of the formats, if bits 39:32 are clear.
        (0x1_FEE0_0000, [false, false, false]),
        (0x80_FEE0_0000, [false, false, false]),
        (0x100_FEE0_0000, [false, false, true]),
        (0xFFFF_FF00_FEE0_0000, [false, false, true]),
        (u64::MAX, [false, false, false]),
    ] {
        for (format, expected) in FORMATS.into_iter().zip(is_interrupt) {
            let decoded = decode(format, address, 0x41);
            let is_interrupt = decoded != Err(OutsideWindow);
            assert_eq!(is_interrupt, expected, "{format:?} {address:#x}");
        }
    }
}

#[test]
fn destinations() {
    use Destination::{All, Logical, Physical};
    let table = [
        // format, address, physical, logical
        (Bits8, 0xFEE0_0000, Physical(0), Logical(0)),
        (Bits8, 0xFEE0_5000, Physical(5), Logical(5)),
        (Bits8, 0xFEEF_E000, Physical(0xFE), Logical(0xFE)),
        (Bits8, 0xFEEF_F000, All, All),
        // Bits 11:4 are reserved, and so ignored.
        (Bits8, 0xFEE0_5FF0, Physical(5), Logical(5)),
        (Bits15, 0xFEE0_5000, Physical(5), Logical(5)),
        (Bits15, 0xFEE0_5020, Physical(0x105), Logical(0x105)),
        (Bits15, 0xFEE0_0FE0, Physical(0x7F00), Logical(0x7F00)),
        // This format has no broadcast.
        (Bits15, 0xFEEF_F000, Physical(0xFF), Logical(0xFF)),
        (Bits15, 0xFEEF_FFE0, Physical(0x7FFF), Logical(0x7FFF)),
        (Bits32, 0xFEE0_5FF0, Physical(5), Logical(5)),
        (Bits32, 0xFEEF_F000, Physical(0xFF), Logical(0xFF)),
        (Bits32, 0x100_FEE0_5000, Physical(0x105), Logical(0x105)),
        (
            Bits32,
            0xFFFF_FF00_FEEF_E000,
            Physical(0xFFFF_FFFE),
            Logical(0xFFFF_FFFE),
        ),
        (Bits32, 0xFFFF_FF00_FEEF_F000, All, All),
    ];
    for (format, address, physical, logical) in table {
        let destination = |address| decode(format, address, 0x41).unwrap().destination;
        assert_eq!(destination(address), physical, "{format:?} {address:#x}");
        let address = address | LOGICAL;
        assert_eq!(destination(address), logical, "{format:?} {address:#x}");
    }
}

#[test]
fn remapping_is_asked_for_where_its_bit_has_meaning() {
    for (format, expected) in [
        (Bits8, Ok(Destination::Physical(5))),
        (Bits15, Err(Remappable)),
        (Bits32, Ok(Destination::Physical(5))),
    ] {
        let decoded = decode(format, TO_APIC_5 | 1 << 4, 0x41);
        assert_eq!(decoded.map(|message| message.destination), expected);
    }
}

#[test]
fn delivery_modes() {
    use DeliveryMode::{ExtInt, Fixed, Init, LowestPriority, Nmi, Smi};
    for (bits, plain, hinted) in [
        // bits 10:8, without and with the redirection hint
        (0b000, Ok(Fixed), Ok(LowestPriority)),
        (0b001, Ok(LowestPriority), Ok(LowestPriority)),
        (0b010, Ok(Smi), Ok(Smi)),
        (0b011, Err(ReservedDeliveryMode), Err(ReservedDeliveryMode)),
        (0b100, Ok(Nmi), Ok(Nmi)),
        (0b101, Ok(Init), Ok(Init)),
        (0b110, Err(ReservedDeliveryMode), Err(ReservedDeliveryMode)),
        (0b111, Ok(ExtInt), Ok(ExtInt)),
    ] {
        for format in FORMATS {
            for logical in [0, LOGICAL] {
                let delivery = |address| {
                    decode(format, address, bits << 8 | 0x41).map(|message| message.delivery)
                };
                assert_eq!(delivery(TO_APIC_5 | logical), plain);
                let address = TO_APIC_5 | logical | REDIRECTION_HINT;
                assert_eq!(delivery(address), hinted);
            }
        }
    }
}

#[test]
fn trigger_and_level() {
    use Trigger::{Edge, Level};
    for (mode, triggers) in [
        // edge, edge asserted, level de-asserted, level asserted
        (0, [Ok(Edge), Ok(Edge), Err(LevelDeassert), Ok(Level)]),
        (1, [Ok(Edge), Ok(Edge), Err(LevelDeassert), Ok(Level)]),
        // SMI, NMI and ExtINT are edges whatever they say; INIT has a de-assertion too.
        (2, [Ok(Edge); 4]),
        (4, [Ok(Edge); 4]),
        (5, [Ok(Edge), Ok(Edge), Err(LevelDeassert), Ok(Edge)]),
        (7, [Ok(Edge); 4]),
    ] {
        for (bits, expected) in [0, ASSERT, LEVEL, LEVEL | ASSERT].into_iter().zip(triggers) {
            let decoded = decode(Bits8, TO_APIC_5, mode << 8 | bits | 0x41);
            let trigger = decoded.map(|message| message.trigger);
            assert_eq!(trigger, expected, "mode {mode:03b}, {bits:#x}");
        }
    }
}

#[test]
fn every_vector_is_passed_on() {
    for vector in 0..=u8::MAX {
        let decoded = decode(Bits8, TO_APIC_5, vector.into());
        assert_eq!(decoded.unwrap().vector, vector);
    }
}

#[test]
fn reserved_data_bits_are_ignored() {
    let decoded = decode(Bits8, TO_APIC_5, 0xFFFF_3841);
    assert_eq!(decoded, decode(Bits8, TO_APIC_5, 0x0041));
}

#[test]
fn messages_without_an_address() {
    let message = |destination, delivery| InterruptMessage {
        destination,
        delivery,
        vector: 0x41,
        trigger: Trigger::Edge,
    };
    for (format, destination) in [
        (Bits8, Destination::Physical(0x100)),
        (Bits8, Destination::Logical(0x100)),
        // Would read as broadcasts.
        (Bits8, Destination::Physical(0xFF)),
        (Bits8, Destination::Logical(0xFF)),
        (Bits32, Destination::Physical(u32::MAX)),
        (Bits15, Destination::Physical(0x8000)),
        (Bits15, Destination::All),
        (Bits32, Destination::Sender),
        (Bits32, Destination::AllButSender),
    ] {
        let encoded = MsiMessage::encode(&message(destination, DeliveryMode::Fixed), format);
        assert_eq!(
            encoded,
            Err(MsiUnencodable::Destination),
            "{destination:x?}"
        );
    }
    for delivery in [DeliveryMode::RemoteRead, DeliveryMode::StartUp] {
        let encoded = MsiMessage::encode(&message(Destination::Physical(1), delivery), Bits8);
        assert_eq!(encoded, Err(MsiUnencodable::DeliveryMode));
    }
}

#[test]
fn refusals_say_why() {
    for (refusal, word) in [
        (OutsideWindow, "address"),
        (Remappable, "remapping"),
        (ReservedDeliveryMode, "delivery mode"),
        (LevelDeassert, "de-asserted"),
    ] {
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
    for (refusal, word) in [
        (MsiUnencodable::Destination, "destination"),
        (MsiUnencodable::DeliveryMode, "delivery mode"),
    ] {
        assert!(refusal.to_string().contains(word), "{refusal}");
    }
}

fn format() -> impl Strategy<Value = MsiFormat> {
    prop::sample::select(FORMATS.to_vec())
}

/// Writes: mostly into the window, in any format.
fn write() -> impl Strategy<Value = MsiMessage> {
    let window = (any::<u32>(), any::<u32>(), any::<bool>()).prop_map(|(low, high, is_high)| {
        let high = if is_high { high & !0xFF } else { 0 };
        u64::from(high) << 32 | u64::from(low & 0xF_FFFF | 0xFEE0_0000)
    });
    (prop_oneof![9 => window, 1 => any::<u64>()], any::<u32>())
        .prop_map(|(address, data)| MsiMessage { address, data })
}

fn message() -> impl Strategy<Value = InterruptMessage> {
    let id = || prop_oneof![0u32..0x101, 0u32..0x8001, any::<u32>(), Just(u32::MAX)];
    let destination = prop_oneof![
        id().prop_map(Destination::Physical),
        id().prop_map(Destination::Logical),
        Just(Destination::All),
        Just(Destination::Sender),
        Just(Destination::AllButSender),
    ];
    (destination, any::<u8>(), any::<u8>(), any::<bool>()).prop_map(
        |(destination, mode, vector, level)| {
            let delivery = DeliveryMode::from_bits(mode);
            let has_level = matches!(delivery, DeliveryMode::Fixed | DeliveryMode::LowestPriority);
            let trigger = if level && has_level {
                Trigger::Level
            } else {
                Trigger::Edge
            };
            InterruptMessage {
                destination,
                delivery,
                vector,
                trigger,
            }
        },
    )
}

proptest! {
    /// XSA-96: whatever a guest makes a device write, it is a message or a refusal.
    #[test]
    fn any_write_is_a_message_that_encodes_or_a_refusal(write in write(), format in format()) {
        if let Ok(message) = write.decode(format) {
            let encoded = MsiMessage::encode(&message, format).expect("has an address");
            prop_assert_eq!(encoded.decode(format), Ok(message));
        }
    }

    #[test]
    fn what_encodes_decodes_to_itself(message in message(), format in format()) {
        if let Ok(encoded) = MsiMessage::encode(&message, format) {
            prop_assert_eq!(encoded.decode(format), Ok(message));
        }
    }
}
