//! What the processors of a VM share, without any processor: its bounds, whom a message reaches,
//! and what waits in a mailbox.

#![cfg(not(loom))]

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{
    Fabric, FabricError, Identity, LogicalModel, MAX_APICS, Mode, Overtaken, Posted, Router,
    Waiting,
};

/// An enabled x2APIC.
fn identity(id: u32) -> Identity {
    Identity {
        mode: Mode::X2apic,
        x2apic_id: id,
        xapic_id: id.to_le_bytes()[0],
        logical_id: 0,
        model: LogicalModel::Flat,
        software_enabled: true,
    }
}

fn message(destination: Destination, delivery: DeliveryMode, vector: u8) -> InterruptMessage {
    InterruptMessage {
        destination,
        delivery,
        vector,
        trigger: Trigger::Edge,
    }
}

#[test]
fn ids_are_distinct_and_below_the_bound() {
    let fabric = |ids: &[u32]| Fabric::new(ids.iter().copied().map(identity)).err();
    assert_eq!(fabric(&[]), None);
    assert_eq!(fabric(&[MAX_APICS - 1]), None);
    assert_eq!(fabric(&[MAX_APICS]), Some(FabricError::OutOfRange));
    assert_eq!(fabric(&[5, 3, 5]), Some(FabricError::DuplicateId(5)));
}

#[test]
fn asking_for_targets_sends_nothing() {
    let fabric = Fabric::new((0..4).map(identity)).unwrap();
    let mut router = Router::new(fabric.clone(), Some(1));
    let mut targets = |destination, delivery| {
        let mut targets = Vec::new();
        router.for_each_target(&message(destination, delivery, 0x40), |index| {
            targets.push(index);
        });
        targets
    };
    let fixed = DeliveryMode::Fixed;
    assert_eq!(targets(Destination::Physical(2), fixed), [2]);
    assert_eq!(targets(Destination::Physical(77), fixed), []);
    assert_eq!(targets(Destination::Logical(0b1010), fixed), [1, 3]);
    assert_eq!(targets(Destination::Sender, fixed), [1]);
    assert_eq!(targets(Destination::All, DeliveryMode::Nmi), [0, 1, 2, 3]);
    assert_eq!(targets(Destination::AllButSender, fixed), [0, 2, 3]);
    let one = targets(Destination::All, DeliveryMode::LowestPriority);
    assert_eq!(one.len(), 1);

    // An identity that is published is known to a router that was there before.
    let disabled = Identity {
        mode: Mode::Disabled,
        ..identity(2)
    };
    fabric.publish(2, disabled);
    fabric.publish(99, disabled);
    assert_eq!(targets(Destination::Physical(2), fixed), []);
    assert_eq!(targets(Destination::AllButSender, fixed), [0, 3]);
    assert!(fabric.mailboxes().iter().all(vapic::Mailbox::is_empty));
}

#[test]
fn a_mailbox_accounts_for_all_that_waits() {
    let fabric = Fabric::new([identity(0)]).unwrap();
    assert!(fabric.mailbox(1).is_none());
    let mailbox = fabric.mailbox(0).unwrap();
    assert_eq!(mailbox.waiting(), Waiting::default());
    let post = |delivery, vector, trigger| {
        mailbox.post(&InterruptMessage {
            trigger,
            ..message(Destination::All, delivery, vector)
        })
    };
    let edge = |delivery, vector| post(delivery, vector, Trigger::Edge);

    assert_eq!(edge(DeliveryMode::Fixed, 0xFE), Posted::New);
    assert_eq!(edge(DeliveryMode::LowestPriority, 0xFE), Posted::Coalesced);
    assert_eq!(post(DeliveryMode::Fixed, 0x31, Trigger::Level), Posted::New);
    assert_eq!(
        post(DeliveryMode::Fixed, 0x31, Trigger::Level),
        Posted::Coalesced
    );
    assert_eq!(edge(DeliveryMode::RemoteRead, 0x31), Posted::Unsupported);
    let nmis = [0; 3].map(|_| edge(DeliveryMode::Nmi, 0));
    assert_eq!(nmis, [Posted::New, Posted::New, Posted::Coalesced]);
    let others = [
        DeliveryMode::StartUp,
        DeliveryMode::Smi,
        DeliveryMode::ExtInt,
    ];
    for delivery in others {
        assert_eq!(edge(delivery, 8), Posted::New, "{delivery:?}");
        assert_eq!(edge(delivery, 8), Posted::Coalesced, "{delivery:?}");
    }
    assert!(!mailbox.is_empty());
    let waiting = Waiting {
        vectors: 2,
        nmis: 2,
        init: false,
        start_up: true,
        smi: true,
        ext_int: true,
        overtaken: Overtaken::default(),
    };
    assert_eq!(mailbox.waiting(), waiting);

    // INIT overtakes what is no vector.
    assert_eq!(edge(DeliveryMode::Init, 0), Posted::New);
    assert_eq!(edge(DeliveryMode::Init, 0), Posted::Coalesced);
    let waiting = Waiting {
        vectors: 2,
        init: true,
        overtaken: Overtaken {
            nmis: 2,
            start_ups: 1,
            smis: 1,
            ext_ints: 1,
        },
        ..Waiting::default()
    };
    assert_eq!(mailbox.waiting(), waiting);
}
