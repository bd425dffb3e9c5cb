use vapic::spec::message::DeliveryMode;

use super::*;
use crate::observe::{Clock, Tsc};
use crate::trace::lives::tests::Recorded;

fn clock() -> Clock {
    Clock::new(Tsc(0), 1_000_000)
}

/// One IPI to two targets, then two one after the other, then the first target again.
fn recorded() -> Recorded {
    let mut recorded = Recorded::default();
    let fixed = DeliveryMode::Fixed;
    let both = recorded.sent(1_000, fixed, 0x40, &[1, 2]);
    recorded.received(1, 2_000, 0x40, both);
    recorded.received(2, 3_000, 0x40, both);
    // The first sender is back in the guest at 100,100: the second follows at once.
    for (at, target) in [(100_000, 1), (110_000, 2), (120_000, 1)] {
        let id = recorded.sent(at, fixed, 0x40, &[target]);
        recorded.received(target, at + 1_000, 0x40, id);
    }
    recorded
}

#[test]
fn stages_add_up_to_the_whole() {
    let lives = recorded().lives();
    let Stages(stages) = Stages::of(&lives, &clock());
    let count = |stage: &StageSpread| (stage.stage, stage.count);
    let counts: Vec<_> = stages.iter().map(count).collect();
    let names = STAGE_NAMES.into_iter().chain(["whole"]);
    assert!(counts.into_iter().eq(names.map(|name| (name, 5))));
    for life in &lives {
        for delivery in &life.deliveries {
            let sum: u64 = stages::ticks(life, delivery)
                .unwrap()
                .iter()
                .flatten()
                .sum();
            assert_eq!(Some(Tsc(life.exited.0 + sum)), delivery.ended);
        }
    }
}

#[test]
fn ipis_that_follow_each_other_to_other_targets_are_one_shootdown() {
    let costs = groups::by_targets(&recorded().lives(), &clock());
    let seen: Vec<_> = costs
        .iter()
        .map(|cost| (cost.targets, cost.groups, cost.ipis))
        .collect();
    // The third IPI has a target that its group had already.
    assert_eq!(seen, [(1, 1, 1), (2, 2, 3)]);
    // From the first exit to the last EOI: 3,110 - 1,000 ticks, and 111,110 - 100,000.
    assert!((2_080..=11_200).contains(&costs[1].all_ended_p50_ns));
}

#[test]
fn the_slowest_come_first() {
    let stories = slowest::stories(&recorded().lives(), &clock(), 2);
    let seen: Vec<_> = stories
        .iter()
        .map(|story| (story.sent_ns, story.whole_ns, story.targets.len()))
        .collect();
    assert_eq!(seen, [(1_000, 2_110, 2), (100_000, 1_110, 1)]);
    let second = &stories[0].targets[1];
    assert_eq!((second.vcpu, second.kick), (2, Some("signal")));
    assert_eq!(second.stages_ns, [1, 3, 1, 1_995, 10, 100].map(Some));
}

#[test]
fn senders_and_victims_are_told_apart() {
    let lives = recorded().lives();
    let senders = traffic::senders(&lives);
    assert_eq!(senders.len(), 1);
    assert_eq!((senders[0].vcpu, senders[0].ipis), (Some(0), 4));
    let victims = traffic::victims(&lives, &clock());
    let seen: Vec<_> = victims
        .iter()
        .map(|victim| (victim.vcpu, victim.deliveries, victim.in_service_ns))
        .collect();
    assert_eq!(seen, [(Some(1), 3, 300), (Some(2), 2, 200)]);
}
