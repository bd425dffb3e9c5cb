//! `vapic decode`: what a value written to the ICR means (SDM 3A, APIC §6.1 and §12.9).
//!
//! What would be sent is asked of the crate `vapic`, so that the answer is what its APIC does. What
//! the manual thinks of the combination is said here: real APICs, and ours, send some of the
//! combinations that it calls invalid.

mod combination;

use std::fmt;

use serde::Serialize;
use vapic::spec::icr::{Icr, IcrFormat, IcrRefusal, Shorthand};
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage};

/// An ICR value, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decoded {
    /// The value in hexadecimal; numbers of 64 bits do not survive every JSON reader.
    pub value: String,
    /// The sender's mode: `xapic` or `x2apic`.
    pub mode: &'static str,
    /// Bits 7:0.
    pub vector: u8,
    /// Bits 10:8, in a word.
    pub delivery_mode: &'static str,
    /// Bit 11: `physical` or `logical`.
    pub destination_mode: &'static str,
    /// Bit 12: `idle` or `pending`.
    pub delivery_status: &'static str,
    /// Bit 14: `assert` or `deassert`.
    pub level: &'static str,
    /// Bit 15: `edge` or `level`.
    pub trigger_mode: &'static str,
    /// Bits 19:18, in words.
    pub shorthand: &'static str,
    /// The destination field: bits 63:56 in xAPIC mode, 63:32 in x2APIC mode.
    pub destination: u32,
    /// Reserved bits that are set.
    pub reserved_bits_set: Vec<u8>,
    /// What the write does.
    pub effect: Effect,
    /// That in words.
    pub meaning: String,
    /// Why the manual calls the combination invalid; empty if it does not.
    pub invalid: Vec<String>,
    /// What is worth knowing besides.
    pub notes: Vec<String>,
}

/// What a write of the value does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It sends.
    Sent,
    /// It faults with #GP(0) and sends nothing.
    GeneralProtection,
    /// It sends nothing and sets ESR bit 5, send illegal vector.
    EsrSendIllegalVector,
    /// It sends nothing and sets ESR bit 4, redirectable IPI.
    EsrRedirectableIpi,
    /// It sends nothing, silently.
    Ignored,
}

impl Decoded {
    /// Explains `value` as an APIC in the mode of `format` takes it. In xAPIC mode the upper half
    /// is the high register, written before.
    #[must_use]
    pub fn new(value: u64, format: IcrFormat) -> Self {
        let icr = Icr::from_bits(value);
        let decoded = icr.decode(format);
        let (effect, meaning) = match decoded {
            Ok(message) => (Effect::Sent, sends(&message, icr, format)),
            Err(refusal) => refused(refusal, icr),
        };
        Self {
            value: format!("{value:#018x}"),
            mode: mode_name(format),
            vector: icr.vector(),
            delivery_mode: icr.delivery().name(),
            destination_mode: if icr.logical() { "logical" } else { "physical" },
            delivery_status: if icr.delivery_status() {
                "pending"
            } else {
                "idle"
            },
            level: if icr.assert() { "assert" } else { "deassert" },
            trigger_mode: if icr.level_triggered() {
                "level"
            } else {
                "edge"
            },
            shorthand: shorthand_name(icr.shorthand()),
            destination: destination(icr, format),
            reserved_bits_set: reserved_bits_set(value, format),
            effect,
            meaning,
            invalid: combination::invalid(icr, format),
            notes: combination::notes(icr, format),
        }
    }
}

const fn mode_name(format: IcrFormat) -> &'static str {
    match format {
        IcrFormat::Xapic => "xapic",
        IcrFormat::X2apic => "x2apic",
    }
}

const fn shorthand_name(shorthand: Shorthand) -> &'static str {
    match shorthand {
        Shorthand::None => "none",
        Shorthand::Sender => "self",
        Shorthand::All => "all including self",
        Shorthand::AllButSender => "all excluding self",
    }
}

const fn destination(icr: Icr, format: IcrFormat) -> u32 {
    match format {
        IcrFormat::Xapic => icr.destination() >> 24,
        IcrFormat::X2apic => icr.destination(),
    }
}

/// In xAPIC mode bits 55:32 are reserved besides those of x2APIC mode.
fn reserved_bits_set(value: u64, format: IcrFormat) -> Vec<u8> {
    let reserved = match format {
        IcrFormat::Xapic => Icr::X2APIC_RESERVED | 0x00FF_FFFF_0000_0000,
        IcrFormat::X2apic => Icr::X2APIC_RESERVED,
    };
    (0..64)
        .filter(|bit| value & reserved & 1 << bit != 0)
        .collect()
}

fn sends(message: &InterruptMessage, icr: Icr, format: IcrFormat) -> String {
    let vector = message.vector;
    let what = match message.delivery {
        DeliveryMode::Fixed => format!("the interrupt on vector {vector:#04x}"),
        DeliveryMode::LowestPriority => {
            format!("the interrupt on vector {vector:#04x} to the one of lowest priority")
        }
        DeliveryMode::Smi => "an SMI".to_owned(),
        DeliveryMode::Nmi => "an NMI".to_owned(),
        DeliveryMode::Init => "an INIT".to_owned(),
        DeliveryMode::StartUp => {
            let address = u32::from(vector) << 12;
            format!("a start-up IPI (real mode, from physical address {address:#07x})")
        }
        DeliveryMode::RemoteRead | DeliveryMode::ExtInt => message.delivery.name().to_owned(),
    };
    let of = if message.delivery == DeliveryMode::LowestPriority {
        "of"
    } else {
        "to"
    };
    format!(
        "sends {what} {of} {}",
        whom(message.destination, icr, format)
    )
}

fn whom(destination: Destination, icr: Icr, format: IcrFormat) -> String {
    match (destination, format) {
        (Destination::Physical(id), _) => format!("the APIC with ID {id}"),
        (Destination::Logical(0), _) => "nobody: the logical destination is empty".to_owned(),
        (Destination::Logical(mask), IcrFormat::Xapic) => format!(
            "the APICs whose logical ID matches {mask:#04x} (flat model: shares a bit with it; \
             cluster model: is in cluster {} and shares a bit with {:#x})",
            mask >> 4,
            mask & 0xF
        ),
        (Destination::Logical(address), IcrFormat::X2apic) => {
            let (cluster, members) = (address >> 16, address & 0xFFFF);
            let ids: Vec<_> = (0..16)
                .filter(|bit| members >> bit & 1 != 0)
                .map(|bit| (cluster * 16 + bit).to_string())
                .collect();
            match ids.as_slice() {
                [] => format!("nobody: no member of cluster {cluster} is named"),
                ids => format!("cluster {cluster}, APIC ID {}", ids.join(", ")),
            }
        }
        (Destination::Sender, _) => "the sender itself".to_owned(),
        (Destination::AllButSender, _) => "all APICs but the sender".to_owned(),
        (Destination::All, _) if icr.shorthand() == Shorthand::All => {
            "all APICs, the sender included".to_owned()
        }
        (Destination::All, _) => {
            "all APICs, the sender included: a destination of all ones is a broadcast".to_owned()
        }
    }
}

fn refused(refusal: IcrRefusal, icr: Icr) -> (Effect, String) {
    let (effect, text) = match refusal {
        IcrRefusal::ReservedBits => (
            Effect::GeneralProtection,
            "the WRMSR takes #GP(0): a reserved bit is set".to_owned(),
        ),
        IcrRefusal::IllegalVector => (
            Effect::EsrSendIllegalVector,
            format!(
                "sends nothing and sets ESR bit 5 (send illegal vector): {:#04x} is below 0x10",
                icr.vector()
            ),
        ),
        IcrRefusal::LowestPriorityUnsupported => (
            Effect::EsrRedirectableIpi,
            "sends nothing and sets ESR bit 4 (redirectable IPI): x2APIC mode has no \
             lowest-priority IPIs"
                .to_owned(),
        ),
        IcrRefusal::ReservedDeliveryMode => (
            Effect::Ignored,
            format!(
                "sends nothing: delivery mode {:03b} ({}) is reserved in the ICR",
                icr.delivery().into_bits(),
                icr.delivery().name()
            ),
        ),
        IcrRefusal::InitDeassert => (
            Effect::Ignored,
            "sends nothing: INIT level de-assert has had no effect since the Pentium 4".to_owned(),
        ),
        IcrRefusal::LevelDeassert => (
            Effect::Ignored,
            "sends nothing: a level-triggered interrupt that is not asserted".to_owned(),
        ),
    };
    (effect, text)
}

impl fmt::Display for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, bits, width) = if self.mode == "xapic" {
            ("xAPIC", "63:56", 4)
        } else {
            ("x2APIC", "63:32", 10)
        };
        writeln!(f, "ICR {} in {mode} mode: {}.", self.value, self.meaning)?;
        writeln!(f)?;
        let row = |f: &mut fmt::Formatter<'_>, bits: &str, name: &str, value: &str| {
            writeln!(f, "  {bits:<6} {name:<17} {value}")
        };
        let destination = format!("{0:#0width$x} ({0})", self.destination);
        row(f, bits, "destination", &destination)?;
        row(f, "19:18", "shorthand", self.shorthand)?;
        row(f, "15", "trigger mode", self.trigger_mode)?;
        row(f, "14", "level", self.level)?;
        row(f, "12", "delivery status", self.delivery_status)?;
        row(f, "11", "destination mode", self.destination_mode)?;
        row(f, "10:8", "delivery mode", self.delivery_mode)?;
        row(f, "7:0", "vector", &format!("{0:#04x} ({0})", self.vector))?;
        if !self.reserved_bits_set.is_empty() {
            let bits: Vec<_> = self.reserved_bits_set.iter().map(u8::to_string).collect();
            row(f, "", "reserved bits set", &bits.join(", "))?;
        }
        if !(self.invalid.is_empty() && self.notes.is_empty()) {
            writeln!(f)?;
        }
        self.invalid
            .iter()
            .try_for_each(|reason| writeln!(f, "  invalid: {reason}."))?;
        self.notes
            .iter()
            .try_for_each(|note| writeln!(f, "  note: {note}."))
    }
}

#[cfg(test)]
mod tests;
