//! What the manual says of a combination of fields (SDM 3A, APIC §6.1, the tables of valid
//! combinations for the shorthands), whatever an APIC then does with it.

use vapic::spec::icr::{Icr, IcrFormat, Shorthand};
use vapic::spec::message::DeliveryMode;

use super::{destination, reserved_bits_set, shorthand_name};

/// Why the combination is invalid, a clause for each reason.
pub(super) fn invalid(icr: Icr, format: IcrFormat) -> Vec<String> {
    let mode = icr.delivery();
    let mut reasons = Vec::new();
    if !reserved_bits_set(icr.into_bits(), format).is_empty() {
        reasons.push(match format {
            IcrFormat::X2apic => {
                "reserved bits must be 0; in x2APIC mode the write faults".to_owned()
            }
            IcrFormat::Xapic => {
                "reserved bits must be 0; in xAPIC mode they are ignored".to_owned()
            }
        });
    }
    match mode {
        DeliveryMode::RemoteRead | DeliveryMode::ExtInt => {
            reasons.push(format!(
                "delivery mode {} is reserved in the ICR",
                mode.name()
            ));
        }
        DeliveryMode::LowestPriority if format == IcrFormat::X2apic => {
            reasons.push("lowest priority is reserved in x2APIC mode".to_owned());
        }
        DeliveryMode::Fixed | DeliveryMode::LowestPriority if icr.vector() < 16 => {
            reasons.push("vectors 0x00 to 0x0f cannot be sent".to_owned());
        }
        DeliveryMode::Init | DeliveryMode::Smi if icr.vector() != 0 => {
            reasons.push(format!("the vector of {} must be 0x00", in_capitals(mode)));
        }
        _ => {}
    }
    if matches!(icr.shorthand(), Shorthand::Sender | Shorthand::All) && mode != DeliveryMode::Fixed
    {
        let shorthand = shorthand_name(icr.shorthand());
        reasons.push(format!(
            "\"{shorthand}\" goes with fixed delivery only, not {}",
            in_capitals(mode)
        ));
    }
    if icr.level_triggered() {
        reasons.push(match (mode, icr.assert()) {
            (DeliveryMode::Init, false) => {
                "INIT level de-assert ended with the Pentium; later processors do not support it"
                    .to_owned()
            }
            (_, true) => {
                "no IPI is level-triggered; processors send it as edge-triggered".to_owned()
            }
            (_, false) => "no IPI is level-triggered, and only INIT may be de-asserted".to_owned(),
        });
    }
    reasons
}

/// What is worth knowing of a combination, valid or not.
pub(super) fn notes(icr: Icr, format: IcrFormat) -> Vec<String> {
    let mode = icr.delivery();
    let mut notes = Vec::new();
    if icr.shorthand() != Shorthand::None && (destination(icr, format) != 0 || icr.logical()) {
        notes.push("the shorthand overrides destination and destination mode".to_owned());
    }
    if mode == DeliveryMode::Nmi && icr.vector() != 0 {
        notes.push("the vector of an NMI is ignored".to_owned());
    }
    if mode == DeliveryMode::LowestPriority && icr.shorthand() == Shorthand::AllButSender {
        notes.push(
            "with lowest priority even \"all excluding self\" may come back to the sender"
                .to_owned(),
        );
    }
    if mode == DeliveryMode::LowestPriority && format == IcrFormat::Xapic {
        notes.push(
            "whether a processor can send lowest-priority IPIs depends on its model".to_owned(),
        );
    }
    if mode == DeliveryMode::Init && icr.level_triggered() && icr.assert() {
        notes.push("systems commonly write INIT so before the start-up IPIs".to_owned());
    }
    if !icr.assert() && !icr.level_triggered() {
        notes.push(
            "level is 0 where the manual asks for 1; it matters for INIT de-assert only".to_owned(),
        );
    }
    if icr.delivery_status() {
        notes.push("delivery status is read-only: a 1 written there is ignored".to_owned());
    }
    notes
}

fn in_capitals(mode: DeliveryMode) -> String {
    match mode {
        DeliveryMode::Smi | DeliveryMode::Nmi | DeliveryMode::Init => mode.name().to_uppercase(),
        _ => mode.name().to_owned(),
    }
}
