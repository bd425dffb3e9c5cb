//! Any destination, against the rule.

use super::*;
use proptest::prelude::*;

prop_compose! {
    fn identity()(
        mode in prop_oneof![Just(Mode::X2apic), Just(Mode::Xapic), Just(Mode::Disabled)],
        // Few values, so that they meet.
        xapic_id in prop_oneof![0u8..8, any::<u8>()],
        logical_id in prop_oneof![
            Just(0), (0u32..8).prop_map(|bit| 1 << bit), any::<u8>(),
        ],
        model in prop_oneof![
            Just(LogicalModel::Flat), Just(LogicalModel::Cluster), Just(LogicalModel::Unknown),
        ],
        software_enabled: bool,
    ) -> Identity {
        Identity { mode, x2apic_id: 0, xapic_id, logical_id, model, software_enabled }
    }
}

prop_compose! {
    /// As the fabric demands, 32-bit IDs differ; an xAPIC ID is its APIC's own or any.
    fn identities()(
        ids in prop::collection::btree_set(
            prop_oneof![0u32..40, 250u32..262, 0u32..MAX_APICS], 1..20,
        ),
        made in prop::collection::vec((identity(), any::<bool>()), 20),
    ) -> Vec<Identity> {
        let with_id = |(id, (identity, own)): (u32, (Identity, bool))| Identity {
            x2apic_id: id,
            xapic_id: if own { id.to_le_bytes()[0] } else { identity.xapic_id },
            ..identity
        };
        ids.into_iter().zip(made).map(with_id).collect()
    }
}

fn destination() -> impl Strategy<Value = Destination> {
    let id = prop_oneof![0u32..40, 250u32..262, 0u32..MAX_APICS, any::<u32>()];
    let cluster = prop_oneof![0u32..3, 15u32..17, any::<u32>()];
    let wide = (cluster, any::<u32>()).prop_map(|(high, low)| high << 16 | low & 0xFFFF);
    prop_oneof![
        id.prop_map(Physical),
        (0u32..=0xFF).prop_map(Logical),
        wide.prop_map(Logical),
        Just(Sender),
        Just(All),
        Just(AllButSender),
    ]
}

proptest! {
    #[test]
    fn the_tables_answer_as_the_rule_does(
        identities in identities(),
        destinations in prop::collection::vec(destination(), 32),
        source in prop::option::of(0usize..20),
        vector: u8,
    ) {
        // A disabled APIC cannot send.
        let sends = |&source: &usize| identities.get(source).is_some_and(|i| i.mode != Mode::Disabled);
        let source = source.filter(sends);
        let map = Map::new(&identities);
        for destination in destinations {
            let expected = rule(&identities, source, destination);
            let sent = message(destination);
            prop_assert_eq!(targets(&map, source, &sent), &*expected, "{:x?}", destination);

            let delivery = DeliveryMode::LowestPriority;
            let arbitrated = InterruptMessage { delivery, vector, ..sent };
            let chosen = targets(&map, source, &arbitrated);
            let enabled = |&&index: &&usize| identities[index].software_enabled;
            let candidates: Vec<_> = expected.iter().filter(enabled).copied().collect();
            prop_assert_eq!(chosen.len(), candidates.len().min(1));
            prop_assert!(chosen.iter().all(|index| candidates.contains(index)));
        }
    }
}
