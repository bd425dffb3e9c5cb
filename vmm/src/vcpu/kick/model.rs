//! The post / kick / park protocol, explored by loom over every interleaving and memory order.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vmm --release --lib kick::model`
//!
//! A guest that is called back by a signal is modelled by parking: like the pair of signal and
//! `immediate_exit`, an unpark before the park makes the park return at once.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;

use super::{KICKED, OUTSIDE, Place, Presence};
use crate::observe::Kick;

/// How the owner goes to a place, so that a broken owner can be put in its stead.
type Enter = fn(&Presence, Place) -> bool;

/// The mistake that the protocol exists to exclude: look first, then announce.
fn enter_without_looking(presence: &Presence, place: Place) -> bool {
    presence.0.store(place as u32, Ordering::Release);
    true
}

/// One owner takes `posts` messages while `posts` posters leave one each; every message is taken,
/// or loom reports the owner as asleep for ever.
fn deliver_all(posts: u32, place: Place, enter: Enter) {
    let mailbox = Arc::new(AtomicU32::new(0));
    let presence = Arc::new(Presence::new());
    let owner = thread::spawn({
        let (mailbox, presence) = (Arc::clone(&mailbox), Arc::clone(&presence));
        move || {
            let mut taken = 0;
            while taken < posts {
                taken += mailbox.swap(0, Ordering::AcqRel).count_ones();
                if taken < posts && enter(&presence, place) {
                    while presence.0.load(Ordering::Acquire) & KICKED == 0 {
                        thread::park();
                    }
                }
                presence.leave();
            }
        }
    });
    let post = |bit: u32| {
        let (mailbox, presence) = (Arc::clone(&mailbox), Arc::clone(&presence));
        let owner = owner.thread().clone();
        move || {
            mailbox.fetch_or(1 << bit, Ordering::AcqRel);
            match presence.kick() {
                Kick::None => {}
                Kick::Unpark | Kick::Signal => owner.unpark(),
            }
        }
    };
    let others: Vec<_> = (1..posts).map(|bit| thread::spawn(post(bit))).collect();
    post(0)();
    for other in others {
        other.join().unwrap();
    }
    owner.join().unwrap();
}

#[test]
fn no_wake_up_is_lost() {
    for place in [Place::Guest, Place::Parked, Place::WaitingForStartUp] {
        loom::model(move || deliver_all(2, place, Presence::enter));
    }
}

#[test]
#[should_panic(expected = "deadlock")]
fn the_model_catches_an_owner_that_announces_without_looking() {
    loom::model(|| deliver_all(1, Place::Parked, enter_without_looking));
}

#[test]
fn what_was_written_before_the_kick_is_seen_after_it() {
    loom::model(|| {
        let stop = Arc::new(AtomicU32::new(0));
        let presence = Arc::new(Presence::new());
        let owner = thread::spawn({
            let (stop, presence) = (Arc::clone(&stop), Arc::clone(&presence));
            move || {
                while stop.load(Ordering::Relaxed) == 0 {
                    presence.sleep(Place::Parked, thread::park);
                }
            }
        });
        stop.store(1, Ordering::Relaxed);
        if presence.kick() != Kick::None {
            owner.thread().unpark();
        }
        owner.join().unwrap();
        assert_ne!(presence.0.load(Ordering::Relaxed), OUTSIDE + 1);
    });
}
