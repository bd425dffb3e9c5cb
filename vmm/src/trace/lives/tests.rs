use vapic::Arrivals;
use vapic::spec::message::{DeliveryMode, Destination, Trigger};

use super::*;
use crate::observe::Cause;

/// A sender's events as a trace has them, and the targets': one tick is one nanosecond.
#[derive(Default)]
pub(in crate::trace) struct Recorded(Vec<(usize, Tsc, Event)>);

impl Recorded {
    fn add(&mut self, vcpu: usize, at: u64, event: Event) {
        self.0.push((vcpu, Tsc(at), event));
    }

    /// An IPI from vCPU 0, sent by an exit at `at` that lasts 100: new to each target, which is
    /// signalled.
    pub(in crate::trace) fn sent(
        &mut self,
        at: u64,
        delivery: DeliveryMode,
        vector: u8,
        targets: &[usize],
    ) -> IpiId {
        let id = IpiId::new(Source::Vcpu(0), at);
        let message = InterruptMessage {
            destination: Destination::AllButSender,
            delivery,
            vector,
            trigger: Trigger::Edge,
        };
        self.add(0, at + 1, Event::Sent { id, message });
        for (target, after) in targets.iter().copied().zip((2..).step_by(2)) {
            let posted = Event::Posted {
                id,
                target,
                delivery,
                vector,
                outcome: Posted::New,
            };
            self.add(0, at + after, posted);
            let kick = Kick::Signal;
            self.add(0, at + after + 1, Event::Kicked { id, target, kick });
        }
        let exit = Event::Exit {
            cause: Cause::ApicIcr,
            returned: Tsc(at),
            entered: Tsc(at + 100),
        };
        self.add(0, at, exit);
        id
    }

    fn drained(&mut self, vcpu: usize, at: u64, vector: u8, id: IpiId, acceptance: Acceptance) {
        let event = Event::Drained {
            vector,
            trigger: Trigger::Edge,
            acceptance,
            id: Some(id),
            at: Tsc(at),
        };
        self.add(vcpu, at, event);
    }

    fn injected(&mut self, vcpu: usize, at: u64, vector: u8) {
        let (at, turn) = (Tsc(at), Tsc(at));
        self.add(
            vcpu,
            at.0,
            Event::Injected {
                vector,
                id: None,
                at,
                turn,
            },
        );
    }

    fn ended(&mut self, vcpu: usize, at: u64, vector: u8) {
        let (at, level) = (Tsc(at), false);
        self.add(
            vcpu,
            at.0,
            Event::Ended {
                vector,
                level,
                id: None,
                at,
            },
        );
    }

    fn arrived(&mut self, vcpu: usize, at: u64, arrivals: Arrivals) {
        let at = Tsc(at);
        self.add(vcpu, at.0, Event::Arrived { arrivals, at });
    }

    /// It is drained at `at`, injected 10 later and ended 100 after that.
    pub(in crate::trace) fn received(&mut self, vcpu: usize, at: u64, vector: u8, id: IpiId) {
        self.drained(vcpu, at, vector, id, Acceptance::Accepted);
        self.injected(vcpu, at + 10, vector);
        self.ended(vcpu, at + 110, vector);
    }

    pub(in crate::trace) fn lives(&self) -> Vec<Life> {
        let mut lives = Lives::default();
        let mut born = 0;
        for (vcpu, at, event) in &self.0 {
            lives.sender(Origin::Vcpu(*vcpu), *at, event, &mut born, 0);
        }
        for vcpu in 0..4 {
            let mut target = Target::new(vcpu);
            let of = self.0.iter().filter(|(of, ..)| *of == vcpu);
            of.for_each(|(_, _, event)| target.follow(event, &mut lives));
        }
        lives.lives
    }
}

fn fates(recorded: &Recorded) -> Vec<Fate> {
    let lives = recorded.lives();
    let deliveries = lives.iter().flat_map(|life| &life.deliveries);
    deliveries.map(|delivery| delivery.fate).collect()
}

#[test]
fn a_life_has_every_stage_with_its_time() {
    let mut recorded = Recorded::default();
    let id = recorded.sent(1_000, DeliveryMode::Fixed, 0x40, &[1, 2]);
    recorded.received(1, 2_000, 0x40, id);
    recorded.received(2, 3_000, 0x40, id);
    let lives = recorded.lives();
    let [life] = lives.as_slice() else {
        panic!("one IPI")
    };
    assert_eq!((life.exited, life.decoded), (Tsc(1_000), Tsc(1_001)));
    assert_eq!(life.entered, Some(Tsc(1_100)));
    assert_eq!(
        life.deliveries,
        [(1, 1_002, 2_000), (2, 1_004, 3_000)].map(|(target, posted, drained)| Delivery {
            target,
            posted: Tsc(posted),
            kick: Some((Kick::Signal, Tsc(posted + 1))),
            drained: Some(Tsc(drained)),
            injected: Some(Tsc(drained + 10)),
            ended: Some(Tsc(drained + 110)),
            fate: Fate::Injected,
        })
    );
}

#[test]
fn every_fate_has_its_reason() {
    let fixed = DeliveryMode::Fixed;
    for (acceptance, fate) in [
        (Acceptance::Accepted, Fate::Pending),
        (Acceptance::Merged, Fate::CoalescedAtAccept),
        (Acceptance::Disabled, Fate::Refused(Refusal::Disabled)),
        (
            Acceptance::IllegalVector,
            Fate::Refused(Refusal::IllegalVector),
        ),
    ] {
        let mut recorded = Recorded::default();
        let id = recorded.sent(1_000, fixed, 0x40, &[1]);
        recorded.drained(1, 2_000, 0x40, id, acceptance);
        assert_eq!(fates(&recorded), [fate]);
    }
    let mut unseen = Recorded::default();
    unseen.sent(1_000, fixed, 0x40, &[1]);
    assert_eq!(fates(&unseen), [Fate::Unseen]);
}

#[test]
fn init_refuses_what_was_accepted_and_forgets_what_is_served() {
    let mut recorded = Recorded::default();
    let [served, waiting] = [(1_000, 0x50), (2_000, 0x40)]
        .map(|(at, vector)| recorded.sent(at, DeliveryMode::Fixed, vector, &[1]));
    let init = recorded.sent(3_000, DeliveryMode::Init, 0, &[1]);
    recorded.drained(1, 3_500, 0x50, served, Acceptance::Accepted);
    recorded.injected(1, 3_510, 0x50);
    recorded.drained(1, 3_600, 0x40, waiting, Acceptance::Accepted);
    let arrivals = Arrivals {
        init: true,
        ..Arrivals::default()
    };
    recorded.arrived(1, 4_000, arrivals);
    let line = Line::Init;
    let id = Some(init);
    recorded.add(1, 4_001, Event::CarriedOut { line, id });
    recorded.ended(1, 4_100, 0x50);
    assert_eq!(
        fates(&recorded),
        [Fate::Injected, Fate::Refused(Refusal::Init), Fate::Injected]
    );
    assert_eq!(recorded.lives()[0].deliveries[0].ended, None);
}

#[test]
fn a_start_up_that_nobody_waits_for_is_refused() {
    let mut recorded = Recorded::default();
    let id = Some(recorded.sent(1_000, DeliveryMode::StartUp, 8, &[1]));
    let arrivals = Arrivals {
        start_up_discarded: true,
        ..Arrivals::default()
    };
    recorded.arrived(1, 2_000, arrivals);
    let line = Line::StartUp;
    recorded.add(1, 2_001, Event::CarriedOut { line, id });
    assert_eq!(
        fates(&recorded),
        [Fate::Refused(Refusal::NotWaitingForSipi)]
    );
}
