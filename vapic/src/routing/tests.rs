//! Destinations against identities (SDM 3A, APIC §6.2 and §12.10).

extern crate std;

use std::vec::Vec;

use super::*;
use crate::mailbox::Content;
use crate::spec::message::{DeliveryMode, InterruptMessage, Trigger};
use Destination::{All, AllButSender, Logical, Physical, Sender};

mod property;

const fn x2apic(id: u32) -> Identity {
    Identity {
        mode: Mode::X2apic,
        x2apic_id: id,
        xapic_id: 0,
        logical_id: 0,
        model: LogicalModel::Flat,
        software_enabled: true,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "xAPIC mode shows 8 bits of the ID"
)]
const fn xapic(id: u32, model: LogicalModel, logical_id: u8) -> Identity {
    Identity {
        mode: Mode::Xapic,
        xapic_id: id as u8,
        logical_id,
        model,
        ..x2apic(id)
    }
}

const fn flat(id: u32, logical_id: u8) -> Identity {
    xapic(id, LogicalModel::Flat, logical_id)
}

const fn cluster(id: u32, logical_id: u8) -> Identity {
    xapic(id, LogicalModel::Cluster, logical_id)
}

const fn disabled(id: u32) -> Identity {
    Identity {
        mode: Mode::Disabled,
        ..flat(id, 0xFF)
    }
}

fn message(destination: Destination) -> InterruptMessage {
    InterruptMessage {
        destination,
        delivery: DeliveryMode::Fixed,
        vector: 0x40,
        trigger: Trigger::Edge,
    }
}

fn targets(map: &Map, source: Option<usize>, message: &InterruptMessage) -> Vec<usize> {
    let mut targets = Vec::new();
    let content = Content::of(message);
    map.for_each_target(source, message.destination, content, |index| {
        // Which no list of APICs holds.
        if index != usize::from(map::NONE) {
            targets.push(index);
        }
    });
    targets.sort_unstable();
    targets
}

/// What the rule says, APIC by APIC.
fn rule(identities: &[Identity], source: Option<usize>, destination: Destination) -> Vec<usize> {
    let reached = |index| match destination {
        Sender => Some(index) == source,
        AllButSender => Some(index) != source && identities[index].matches(destination),
        _ => identities[index].matches(destination),
    };
    (0..identities.len())
        .filter(|&index| reached(index))
        .collect()
}

/// A row: a destination, and the indices that it reaches when index 0 sends.
fn check(identities: &[Identity], rows: &[(Destination, &[usize])]) {
    let map = Map::new(identities);
    for (destination, expected) in rows {
        let by_table = targets(&map, Some(0), &message(*destination));
        assert_eq!(by_table, *expected, "{destination:x?} by the tables");
        let by_rule = rule(identities, Some(0), *destination);
        assert_eq!(by_rule, *expected, "{destination:x?} by the rule");
    }
}

#[test]
fn physical_in_xapic_mode() {
    check(
        &[flat(0, 0), flat(1, 0), flat(0xFE, 0)],
        &[
            (Physical(0), &[0]),
            (Physical(1), &[1]),
            (Physical(2), &[]),
            (Physical(0xFE), &[2]),
            // The decoder has made a broadcast of an xAPIC 0xFF: this is plainly APIC 255.
            (Physical(0xFF), &[]),
            (Physical(0x101), &[]),
            (Physical(u32::MAX), &[]),
        ],
    );
}

#[test]
fn physical_in_x2apic_mode_has_32_bits() {
    check(
        &[x2apic(0), x2apic(0xFF), x2apic(0x100), x2apic(0x7FFF)],
        &[
            (Physical(0), &[0]),
            (Physical(0xFF), &[1]),
            (Physical(0x100), &[2]),
            (Physical(0x7FFF), &[3]),
            (Physical(0x1_0000), &[]),
            (Physical(u32::MAX), &[]),
        ],
    );
}

#[test]
fn ids_above_255_do_not_alias() {
    // In xAPIC mode the last one shows ID 0x2C: both answer to that, and it alone to 0x12C.
    check(
        &[x2apic(0), flat(0x2C, 0), flat(0x12C, 0)],
        &[
            (Physical(0x2C), &[1, 2]),
            (Physical(0x12C), &[2]),
            (Physical(0x22C), &[]),
        ],
    );
}

#[test]
fn an_id_that_two_share_reaches_both() {
    let moved = Identity {
        xapic_id: 1,
        ..flat(2, 0)
    };
    check(
        &[flat(0, 0), flat(1, 0), moved, x2apic(3)],
        &[
            (Physical(1), &[1, 2]),
            (Physical(2), &[]),
            (Physical(3), &[3]),
            (Physical(0), &[0]),
        ],
    );
}

#[test]
fn logical_flat() {
    check(
        &[flat(0, 0x01), flat(1, 0x02), flat(2, 0x80), flat(3, 0)],
        &[
            (Logical(0x01), &[0]),
            (Logical(0x82), &[1, 2]),
            (Logical(0xFE), &[1, 2]),
            (Logical(0x7C), &[]),
            (Logical(0x00), &[]),
        ],
    );
}

#[test]
fn logical_cluster() {
    check(
        &[
            cluster(0, 0x01),
            cluster(1, 0x02),
            cluster(2, 0x11),
            cluster(3, 0x10),
        ],
        &[
            (Logical(0x01), &[0]),
            (Logical(0x03), &[0, 1]),
            (Logical(0x0C), &[]),
            (Logical(0x11), &[2]),
            (Logical(0x1F), &[2]),
            (Logical(0x2F), &[]),
            // Cluster 15 is every cluster.
            (Logical(0xF1), &[0, 2]),
            (Logical(0xFE), &[1]),
        ],
    );
}

#[test]
fn a_receiver_may_sit_in_cluster_15() {
    check(
        &[cluster(0, 0xF1), cluster(1, 0x01)],
        &[(Logical(0xF1), &[0, 1]), (Logical(0x01), &[1])],
    );
}

#[test]
fn logical_in_x2apic_mode_is_cluster_and_bit() {
    check(
        &[x2apic(0), x2apic(1), x2apic(15), x2apic(16), x2apic(0x7FFF)],
        &[
            (Logical(0x0000_0001), &[0]),
            (Logical(0x0000_FFFF), &[0, 1, 2]),
            (Logical(0x0000_8002), &[1, 2]),
            (Logical(0x0001_0001), &[3]),
            (Logical(0x0001_FFFE), &[]),
            (Logical(0x07FF_8000), &[4]),
            (Logical(0x07FF_7FFF), &[]),
            (Logical(0xFFFF_0001), &[]),
            (Logical(0x0000_0000), &[]),
        ],
    );
}

#[test]
fn broadcasts_and_shorthands() {
    let mixed = [
        flat(0, 1),
        x2apic(1),
        disabled(2),
        x2apic(0x300),
        cluster(4, 0),
    ];
    check(
        &mixed,
        &[
            (All, &[0, 1, 3, 4]),
            (AllButSender, &[1, 3, 4]),
            (Sender, &[0]),
        ],
    );
    let map = Map::new(&mixed);
    // A device is nobody: it reaches all, and has no self.
    assert_eq!(targets(&map, None, &message(AllButSender)), [0, 1, 3, 4]);
    assert!(targets(&map, None, &message(Sender)).is_empty());
}

#[test]
fn a_disabled_apic_receives_nothing() {
    check(
        &[x2apic(0), disabled(1)],
        &[
            (Physical(1), &[]),
            (Logical(0x02), &[]),
            (Logical(0xFF), &[0]),
            (All, &[0]),
        ],
    );
}

#[test]
fn a_software_disabled_apic_is_addressed_all_the_same() {
    let silent = Identity {
        software_enabled: false,
        ..flat(1, 2)
    };
    check(
        &[flat(0, 1), silent],
        &[
            (Physical(1), &[1]),
            (Logical(3), &[0, 1]),
            (AllButSender, &[1]),
        ],
    );
}

#[test]
fn each_receiver_reads_a_logical_address_in_its_own_mode() {
    check(
        &[x2apic(0), flat(1, 0x02), cluster(2, 0x01), x2apic(3)],
        &[
            (Logical(0x01), &[0, 2]),
            (Logical(0x02), &[1]),
            (Logical(0x08), &[3]),
            (Logical(0x0B), &[0, 1, 2, 3]),
        ],
    );
}

#[test]
fn an_empty_or_unreadable_ldr_matches_nothing_but_broadcasts() {
    let unreadable = xapic(2, LogicalModel::Unknown, 0xFF);
    check(
        &[flat(0, 0), cluster(1, 0xF0), unreadable],
        &[
            (Logical(0xFE), &[]),
            (Logical(0x01), &[]),
            (All, &[0, 1, 2]),
        ],
    );
}

#[test]
fn one_bit_may_stand_for_two_apics_and_one_apic_have_two_bits() {
    check(
        &[flat(0, 0x01), flat(1, 0x01), flat(2, 0x06)],
        &[
            (Logical(0x01), &[0, 1]),
            (Logical(0x02), &[2]),
            (Logical(0x06), &[2]),
            (Logical(0x07), &[0, 1, 2]),
        ],
    );
}

#[test]
fn lowest_priority_takes_one_enabled_candidate_by_vector() {
    let silent = Identity {
        software_enabled: false,
        ..flat(1, 2)
    };
    let map = Map::new(&[flat(0, 1), silent, flat(2, 4), disabled(3)]);
    let table: [(Destination, u8, &[usize]); 9] = [
        (All, 0x40, &[0]),
        (All, 0x41, &[2]),
        (All, 0x42, &[0]),
        (AllButSender, 0x40, &[2]),
        (Sender, 0x41, &[0]),
        (Logical(0x06), 0x40, &[2]),
        (Logical(0x02), 0x40, &[]),
        (Physical(2), 0x41, &[2]),
        (Physical(3), 0x40, &[]),
    ];
    for (destination, vector, expected) in table {
        let delivery = DeliveryMode::LowestPriority;
        let message = InterruptMessage {
            vector,
            delivery,
            ..message(destination)
        };
        let chosen = targets(&map, Some(0), &message);
        assert_eq!(chosen, expected, "{destination:x?} vector {vector:#x}");
    }
}
