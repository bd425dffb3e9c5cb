//! The post / kick / park protocol, explored by loom over every interleaving and memory order.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vmm --profile loom --lib kick::model`
//!
//! A guest that is called back by a signal is modelled by parking: like the pair of signal and
//! `immediate_exit`, an unpark before the park makes the park return at once.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{KICKED, Place, Presence};
use crate::observe::Kick;

const PLACES: [Place; 3] = [Place::Guest, Place::Parked, Place::WaitingForStartUp];

#[derive(Default)]
struct Vcpu {
    mailbox: AtomicU32,
    presence: Presence,
}

impl Vcpu {
    fn post(&self, bit: u32) -> Kick {
        self.mailbox.fetch_or(1 << bit, Ordering::AcqRel);
        self.presence.kick()
    }

    fn drain(&self) -> u32 {
        self.mailbox.swap(0, Ordering::AcqRel).count_ones()
    }
}

/// The owner takes `posts` messages while as many posters leave one each. Were a wake-up lost, the
/// owner would sleep for ever, which loom reports as a deadlock.
fn deliver_all(posts: u32, place: Place) {
    let vcpu = Arc::new(Vcpu::default());
    let owner = thread::spawn({
        let vcpu = Arc::clone(&vcpu);
        move || {
            let mut taken = vcpu.drain();
            while taken < posts {
                vcpu.presence.sleep(place, thread::park);
                taken += vcpu.drain();
            }
        }
    });
    let post = |bit| {
        let (vcpu, owner) = (Arc::clone(&vcpu), owner.thread().clone());
        move || {
            if vcpu.post(bit) != Kick::None {
                owner.unpark();
            }
        }
    };
    let other = (posts > 1).then(|| thread::spawn(post(1)));
    post(0)();
    other.map(|other| other.join().unwrap());
    owner.join().unwrap();
}

#[test]
fn no_wake_up_is_lost() {
    for place in PLACES {
        loom::model(move || deliver_all(1, place));
    }
}

#[test]
fn no_wake_up_is_lost_between_two_posters() {
    loom::model(|| deliver_all(2, Place::Parked));
}

/// How the owner goes to a place, so that a broken owner can be put in its stead.
type Enter = fn(&Presence, Place) -> bool;

/// The owner looks once and goes to `place`; a poster leaves a message and kicks. Whoever comes
/// first, the owner must not end up at `place` beside a message that nobody calls it back for.
fn one_turn(place: Place, enter: Enter) {
    let vcpu = Arc::new(Vcpu::default());
    let poster = thread::spawn({
        let vcpu = Arc::clone(&vcpu);
        move || vcpu.post(0)
    });
    vcpu.drain();
    let went = enter(&vcpu.presence, place);
    let kick = poster.join().unwrap();
    let stranded = went && kick == Kick::None && vcpu.mailbox.load(Ordering::Acquire) != 0;
    assert!(!stranded, "asleep beside a full mailbox");
    if went && kick != Kick::None {
        assert_ne!(
            vcpu.presence.0.load(Ordering::Acquire) & KICKED,
            0,
            "the sleep would go on"
        );
    }
}

#[test]
fn the_owner_is_called_back_from_everywhere() {
    for place in PLACES {
        loom::model(move || one_turn(place, Presence::enter));
    }
}

/// The mistake that the protocol exists to exclude: to announce where one goes without noticing
/// that one has been kicked.
fn enter_without_looking(presence: &Presence, place: Place) -> bool {
    presence.0.store(place as u32, Ordering::Release);
    true
}

#[test]
#[should_panic(expected = "asleep beside a full mailbox")]
fn the_model_catches_an_owner_that_goes_without_looking() {
    loom::model(|| one_turn(Place::Guest, enter_without_looking));
}

/// The other classic: a poster that looks where the owner is before it posts.
#[test]
#[should_panic(expected = "asleep beside a full mailbox")]
fn the_model_catches_a_poster_that_kicks_before_it_posts() {
    loom::model(|| {
        let vcpu = Arc::new(Vcpu::default());
        let poster = thread::spawn({
            let vcpu = Arc::clone(&vcpu);
            move || {
                let kick = vcpu.presence.kick();
                vcpu.mailbox.fetch_or(1, Ordering::AcqRel);
                kick
            }
        });
        vcpu.presence.leave();
        vcpu.drain();
        let went = vcpu.presence.enter(Place::Parked);
        let kick = poster.join().unwrap();
        let stranded = went && kick == Kick::None && vcpu.mailbox.load(Ordering::Acquire) != 0;
        assert!(!stranded, "asleep beside a full mailbox");
    });
}
