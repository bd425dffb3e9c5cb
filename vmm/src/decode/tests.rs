use super::*;

const XAPIC: IcrFormat = IcrFormat::Xapic;
const X2APIC: IcrFormat = IcrFormat::X2apic;

const ASSERT: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const LOGICAL: u64 = 1 << 11;
const TO_SELF: u64 = 1 << 18;
const TO_ALL: u64 = 2 << 18;
const TO_OTHERS: u64 = 3 << 18;
const LOWEST: u64 = 1 << 8;
const SMI: u64 = 2 << 8;
const REMOTE_READ: u64 = 3 << 8;
const NMI: u64 = 4 << 8;
const INIT: u64 = 5 << 8;
const START_UP: u64 = 6 << 8;
const EXT_INT: u64 = 7 << 8;

/// A write, its effect, and words that must occur in its meaning and among the reasons.
#[test]
fn the_tables_of_the_manual() {
    use Effect::{EsrRedirectableIpi, EsrSendIllegalVector, GeneralProtection, Ignored, Sent};
    let valid = "";
    for (value, format, effect, meaning, invalid) in [
        // No shorthand.
        (
            3 << 32 | ASSERT | 0xFB,
            X2APIC,
            Sent,
            "vector 0xfb to the APIC with ID 3",
            valid,
        ),
        (
            3 << 56 | ASSERT | 0xFB,
            XAPIC,
            Sent,
            "vector 0xfb to the APIC with ID 3",
            valid,
        ),
        (
            0xFF << 56 | ASSERT | 0xFB,
            XAPIC,
            Sent,
            "all APICs, the sender included: a dest",
            valid,
        ),
        (
            0xFF << 32 | ASSERT | 0xFB,
            X2APIC,
            Sent,
            "the APIC with ID 255",
            valid,
        ),
        (
            0xFFFF_FFFF << 32 | ASSERT | 0xFB,
            X2APIC,
            Sent,
            "broadcast",
            valid,
        ),
        (
            LOGICAL | 0x1_0005 << 32 | ASSERT | 0x40,
            X2APIC,
            Sent,
            "cluster 1, APIC ID 16, 18",
            valid,
        ),
        (
            LOGICAL | 0x1_0000 << 32 | ASSERT | 0x40,
            X2APIC,
            Sent,
            "nobody",
            valid,
        ),
        (
            LOGICAL | 0x25 << 56 | ASSERT | 0x40,
            XAPIC,
            Sent,
            "cluster 2 and shares a bit with 0x5",
            valid,
        ),
        (LOGICAL | ASSERT | 0x40, XAPIC, Sent, "nobody", valid),
        (
            LOWEST | ASSERT | 0x40,
            XAPIC,
            Sent,
            "lowest priority of",
            valid,
        ),
        (SMI | ASSERT, XAPIC, Sent, "an SMI", valid),
        (NMI | ASSERT, X2APIC, Sent, "an NMI", valid),
        (INIT | ASSERT, X2APIC, Sent, "an INIT", valid),
        (START_UP | ASSERT | 8, X2APIC, Sent, "0x08000", valid),
        (
            LEVEL | ASSERT | 0x40,
            XAPIC,
            Sent,
            "0x40",
            "no IPI is level-triggered",
        ),
        (
            START_UP | LEVEL | ASSERT | 8,
            XAPIC,
            Sent,
            "start-up",
            "no IPI is level-triggered",
        ),
        (
            INIT | LEVEL | ASSERT,
            XAPIC,
            Sent,
            "an INIT",
            "no IPI is level-triggered",
        ),
        (
            INIT | LEVEL,
            XAPIC,
            Ignored,
            "INIT level de-assert",
            "INIT level de-assert",
        ),
        (
            LEVEL | 0x40,
            XAPIC,
            Ignored,
            "not asserted",
            "only INIT may be de-asserted",
        ),
        // Self.
        (
            TO_SELF | ASSERT | 0x40,
            XAPIC,
            Sent,
            "the sender itself",
            valid,
        ),
        (
            TO_SELF | NMI | ASSERT,
            XAPIC,
            Sent,
            "NMI to the sender",
            "\"self\" goes with fixed",
        ),
        (
            TO_SELF | INIT | ASSERT,
            X2APIC,
            Sent,
            "INIT to the sender",
            "not INIT",
        ),
        (
            TO_SELF | LEVEL | ASSERT | 0x40,
            XAPIC,
            Sent,
            "the sender",
            "no IPI is level-triggered",
        ),
        // All including self.
        (
            TO_ALL | ASSERT | 0x40,
            X2APIC,
            Sent,
            "all APICs, the sender included",
            valid,
        ),
        (
            TO_ALL | LOWEST | ASSERT | 0x40,
            XAPIC,
            Sent,
            "lowest",
            "not lowest-priority",
        ),
        (
            TO_ALL | START_UP | ASSERT | 8,
            XAPIC,
            Sent,
            "start-up",
            "not start-up",
        ),
        // All excluding self.
        (
            TO_OTHERS | ASSERT | 0xFD,
            XAPIC,
            Sent,
            "all APICs but the sender",
            valid,
        ),
        (
            TO_OTHERS | NMI | ASSERT,
            X2APIC,
            Sent,
            "NMI to all APICs but",
            valid,
        ),
        (
            TO_OTHERS | LEVEL | ASSERT | 0x40,
            X2APIC,
            Sent,
            "but the sender",
            "no IPI is level",
        ),
        // What sends nothing.
        (
            ASSERT | 0x0F,
            X2APIC,
            EsrSendIllegalVector,
            "ESR bit 5",
            "0x00 to 0x0f",
        ),
        (
            LOWEST | ASSERT | 0x0F,
            XAPIC,
            EsrSendIllegalVector,
            "ESR bit 5",
            "0x00 to 0x0f",
        ),
        (
            LOWEST | ASSERT | 0x40,
            X2APIC,
            EsrRedirectableIpi,
            "ESR bit 4",
            "reserved in x2APIC",
        ),
        (
            REMOTE_READ | ASSERT | 0x40,
            XAPIC,
            Ignored,
            "mode 011",
            "remote-read is reserved",
        ),
        (
            EXT_INT | ASSERT | 0x40,
            X2APIC,
            Ignored,
            "mode 111",
            "ext-int is reserved",
        ),
        (
            1 << 13 | ASSERT | 0x40,
            X2APIC,
            GeneralProtection,
            "#GP(0)",
            "the write faults",
        ),
        (
            1 << 20 | ASSERT | 0x40,
            X2APIC,
            GeneralProtection,
            "#GP(0)",
            "the write faults",
        ),
        // The same in xAPIC mode is ignored.
        (
            1 << 13 | ASSERT | 0x40,
            XAPIC,
            Sent,
            "ID 0",
            "they are ignored",
        ),
        (
            1 << 40 | ASSERT | 0x40,
            XAPIC,
            Sent,
            "ID 0",
            "they are ignored",
        ),
        (
            INIT | ASSERT | 1,
            XAPIC,
            Sent,
            "an INIT",
            "vector of INIT must be 0x00",
        ),
    ] {
        let decoded = Decoded::new(value, format);
        assert_eq!(decoded.effect, effect, "{decoded}");
        assert!(
            decoded.meaning.contains(meaning),
            "{meaning:?} in {decoded}"
        );
        let reasons = decoded.invalid.join("; ");
        assert!(reasons.contains(invalid), "{invalid:?} in {decoded}");
        assert_eq!(reasons.is_empty(), invalid.is_empty(), "{decoded}");
    }
}

#[test]
fn notes_say_what_is_ignored() {
    for (value, format, note) in [
        (
            TO_OTHERS | 7 << 32 | ASSERT | 0x40,
            X2APIC,
            "overrides destination",
        ),
        (NMI | ASSERT | 2, X2APIC, "vector of an NMI"),
        (0x40, X2APIC, "level is 0"),
        (1 << 12 | ASSERT | 0x40, X2APIC, "read-only"),
        (
            TO_OTHERS | LOWEST | ASSERT | 0x40,
            XAPIC,
            "come back to the sender",
        ),
        (INIT | LEVEL | ASSERT, XAPIC, "commonly"),
    ] {
        let decoded = Decoded::new(value, format);
        assert!(
            decoded.notes.iter().any(|known| known.contains(note)),
            "{note:?} in {decoded}"
        );
    }
    let plain = Decoded::new(3 << 32 | ASSERT | 0xFB, X2APIC);
    assert!(
        plain.invalid.is_empty() && plain.notes.is_empty(),
        "{plain}"
    );
}

#[test]
fn the_text_is_this() {
    let text = Decoded::new(0x0003_0005_000C_C4FB, X2APIC).to_string();
    let expected = "\
ICR 0x00030005000cc4fb in x2APIC mode: sends an NMI to all APICs but the sender.

  63:32  destination       0x00030005 (196613)
  19:18  shorthand         all excluding self
  15     trigger mode      level
  14     level             assert
  12     delivery status   idle
  11     destination mode  physical
  10:8   delivery mode     nmi
  7:0    vector            0xfb (251)

  invalid: no IPI is level-triggered; processors send it as edge-triggered.
  note: the shorthand overrides destination and destination mode.
  note: the vector of an NMI is ignored.
";
    assert_eq!(text, expected, "{text}");
}

#[test]
fn every_value_is_explained() {
    // xorshift64: repeatable.
    let mut value = 0x9E37_79B9_7F4A_7C15u64;
    for _ in 0..100_000 {
        value ^= value << 13;
        value ^= value >> 7;
        value ^= value << 17;
        for format in [XAPIC, X2APIC] {
            let decoded = Decoded::new(value & 0xFFFF_FFFF_000C_FFFF, format);
            let faults = format == X2APIC && !decoded.reserved_bits_set.is_empty();
            assert_eq!(
                decoded.effect == Effect::GeneralProtection,
                faults,
                "{decoded}"
            );
            assert!(!decoded.to_string().is_empty());
        }
    }
}

#[test]
fn json_has_the_fields_by_name() {
    let json = serde_json::to_value(Decoded::new(LOWEST | 0x40, X2APIC)).expect("JSON");
    assert_eq!(json["value"], "0x0000000000000140");
    assert_eq!(json["effect"], "esr_redirectable_ipi");
    assert_eq!(json["delivery_mode"], "lowest-priority");
    assert_eq!(json["vector"], 0x40);
    assert_eq!(json["reserved_bits_set"], serde_json::json!([]));
}
