//! What errors and names say: each in words of its own, on one line, with what it is about.

#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::error::Error;

use vapic::snapshot::SnapshotRefusal;
use vapic::spec::message::DeliveryMode;
use vapic::{FabricError, GeneralProtection, IoApicRefusal};

#[track_caller]
fn are_distinct_lines(words: &[String]) {
    let distinct: BTreeSet<_> = words.iter().collect();
    assert_eq!(distinct.len(), words.len(), "{words:?}");
    for words in words {
        assert!(!words.is_empty() && !words.contains('\n'), "{words:?}");
    }
}

#[test]
fn errors_say_what_is_wrong() {
    let errors: [&dyn Error; 16] = [
        &GeneralProtection,
        &FabricError::OutOfRange,
        &FabricError::DuplicateId(7),
        &SnapshotRefusal::Base,
        &SnapshotRefusal::BootstrapWaits,
        &SnapshotRefusal::ReservedBits,
        &SnapshotRefusal::IllegalVector,
        &SnapshotRefusal::Nesting,
        &SnapshotRefusal::Unmasked,
        &SnapshotRefusal::Timer,
        &SnapshotRefusal::Nmis,
        &SnapshotRefusal::Disabled,
        &IoApicRefusal::Id(16),
        &IoApicRefusal::ReservedBits(3),
        &IoApicRefusal::RemoteIrr(3),
        &IoApicRefusal::Storm(3),
    ];
    are_distinct_lines(&errors.map(|error| error.to_string()));
    assert_eq!(GeneralProtection.to_string(), "#GP(0)");
    assert!(FabricError::DuplicateId(7).to_string().ends_with('7'));
    assert!(FabricError::OutOfRange.to_string().contains("32768"));
}

#[test]
fn delivery_modes_have_a_name_and_an_encoding_each() {
    are_distinct_lines(&DeliveryMode::ALL.map(|mode| mode.name().to_owned()));
    for (bits, mode) in (0..8).zip(DeliveryMode::ALL) {
        assert_eq!(mode.into_bits(), bits);
        assert_eq!(DeliveryMode::from_bits(bits | 0xF8), mode);
    }
}
