//! What threads do to one another through the mailboxes and the map, in every order there is.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p vapic --release --test loom`, with a target directory of
//! its own or everything is built anew. Without the flag this file is empty.

#![cfg(loom)]

use std::sync::Arc;

use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Config, Fabric, Identity, LocalApic, Mode, Posted, Router};

const VECTOR: u8 = 0xFB;
const LOWER: u8 = 0x40;

fn to(destination: u32, delivery: DeliveryMode, vector: u8) -> InterruptMessage {
    let destination = Destination::Physical(destination);
    InterruptMessage {
        destination,
        delivery,
        vector,
        trigger: Trigger::Edge,
    }
}

fn fixed(vector: u8) -> InterruptMessage {
    to(0, DeliveryMode::Fixed, vector)
}

fn level(vector: u8) -> InterruptMessage {
    InterruptMessage {
        trigger: Trigger::Level,
        ..fixed(vector)
    }
}

/// APIC 0 receives; there are `senders` more.
fn machine(senders: u32) -> (LocalApic, Arc<Fabric>) {
    let config = |id| Config {
        id,
        bootstrap: id == 0,
        physical_bits: 46,
        features: vapic::Features::default(),
    };
    let mut receiver = LocalApic::new(config(0));
    let _ = receiver.write_page(0xF0, &0x1FFu32.to_le_bytes(), 0);
    let others = (1..=senders).map(|id| LocalApic::new(config(id)).identity());
    let fabric = Fabric::new([receiver.identity()].into_iter().chain(others)).unwrap();
    (receiver, fabric)
}

/// What all drains together brought.
#[derive(Default)]
struct Taken {
    vectors: Vec<(u8, Acceptance)>,
    arrivals: Vec<Arrivals>,
}

impl Taken {
    fn drain(&mut self, apic: &mut LocalApic, fabric: &Fabric) {
        let each = |vector, _, acceptance| self.vectors.push((vector, acceptance));
        self.arrivals
            .extend(apic.drain(&fabric.mailboxes()[0], each));
    }

    fn count(&self, vector: u8) -> usize {
        self.vectors
            .iter()
            .filter(|(taken, _)| *taken == vector)
            .count()
    }
}

/// One thread a list sends; returns how many posts were new, list by list.
fn send_all(fabric: &Arc<Fabric>, lists: &[&[InterruptMessage]]) -> Vec<thread::JoinHandle<usize>> {
    let senders = (1..).zip(lists).map(|(source, list)| {
        let (mut router, list) = (Router::new(Arc::clone(fabric), Some(source)), list.to_vec());
        thread::spawn(move || {
            let mut new = 0;
            for message in list {
                router.deliver(&message, |_, posted| {
                    new += usize::from(posted == Posted::New)
                });
            }
            new
        })
    });
    senders.collect()
}

/// Sends the lists while the receiver drains once, then drains what is left.
fn race(lists: &[&[InterruptMessage]]) -> (LocalApic, Taken, usize) {
    let (mut apic, fabric) = machine(u32::try_from(lists.len()).unwrap());
    let mut taken = Taken::default();
    let senders = send_all(&fabric, lists);
    taken.drain(&mut apic, &fabric);
    let new = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .sum();
    taken.drain(&mut apic, &fabric);
    assert!(fabric.mailboxes()[0].is_empty());
    (apic, taken, new)
}

#[test]
fn two_senders_of_one_vector_every_new_post_is_taken_once() {
    loom::model(|| {
        let (_, taken, new) = race(&[&[fixed(VECTOR)], &[fixed(VECTOR)]]);
        assert_eq!(taken.count(VECTOR), new);
        assert!(new >= 1);
    });
}

#[test]
fn two_senders_of_two_words_nothing_is_lost() {
    loom::model(|| {
        let (_, taken, new) = race(&[&[fixed(VECTOR)], &[fixed(LOWER)]]);
        assert_eq!(new, 2);
        assert_eq!((taken.count(VECTOR), taken.count(LOWER)), (1, 1));
    });
}

#[test]
fn edge_and_level_of_one_vector_are_both_taken() {
    loom::model(|| {
        let (_, taken, new) = race(&[&[fixed(VECTOR)], &[level(VECTOR)]]);
        let outcomes = [(VECTOR, Acceptance::Accepted), (VECTOR, Acceptance::Merged)];
        assert_eq!((taken.vectors, new), (outcomes.to_vec(), 2));
    });
}

#[test]
fn two_level_requests_of_one_vector_every_new_post_is_taken_once() {
    loom::model(|| {
        let (_, taken, new) = race(&[&[level(VECTOR)], &[level(VECTOR)]]);
        assert_eq!(taken.count(VECTOR), new);
    });
}

#[test]
fn what_was_written_before_a_post_is_seen_after_the_drain() {
    for message in [
        fixed(VECTOR),
        fixed(LOWER),
        level(VECTOR),
        to(0, DeliveryMode::Nmi, 0),
    ] {
        loom::model(move || {
            let (mut apic, fabric) = machine(1);
            let data = Arc::new(AtomicU32::new(0));
            let written = Arc::clone(&data);
            let mut router = Router::new(Arc::clone(&fabric), Some(1));
            let sender = thread::spawn(move || {
                written.store(1, Ordering::Relaxed);
                router.deliver(&message, |_, _| {});
            });
            let mut taken = Taken::default();
            taken.drain(&mut apic, &fabric);
            if !taken.vectors.is_empty() || !taken.arrivals.is_empty() {
                assert_eq!(data.load(Ordering::Relaxed), 1);
            }
            sender.join().unwrap();
        });
    }
}

/// A post that finds its bit set is ordered before the drain that takes the bit.
#[test]
fn what_was_written_before_a_coalesced_post_is_seen_after_the_drain() {
    loom::model(|| {
        let (mut apic, fabric) = machine(2);
        let data = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let coalesced = Arc::new(AtomicU32::new(0));
        let senders = [0, 1].map(|index| {
            let (data, coalesced) = (Arc::clone(&data), Arc::clone(&coalesced));
            let mut router = Router::new(Arc::clone(&fabric), Some(index + 1));
            thread::spawn(move || {
                data[index].store(1, Ordering::Relaxed);
                router.deliver(&fixed(VECTOR), |_, posted| {
                    if posted == Posted::Coalesced {
                        coalesced.fetch_add(1, Ordering::Relaxed);
                    }
                });
            })
        });
        let mut taken = Taken::default();
        taken.drain(&mut apic, &fabric);
        let seen = data.each_ref().map(|data| data.load(Ordering::Relaxed));
        for sender in senders {
            sender.join().unwrap();
        }
        taken.drain(&mut apic, &fabric);
        // One interrupt stands for both posts only if it shows what both have written.
        if coalesced.load(Ordering::Relaxed) == 1 && seen != [0, 0] && taken.count(VECTOR) == 1 {
            let after = data.each_ref().map(|data| data.load(Ordering::Relaxed));
            assert_eq!(after, [1, 1]);
        }
        assert_eq!(
            taken.count(VECTOR) + coalesced.load(Ordering::Relaxed) as usize,
            2
        );
    });
}

#[test]
fn init_and_start_up_keep_their_order() {
    loom::model(|| {
        let init = to(0, DeliveryMode::Init, 0);
        let start_up = to(0, DeliveryMode::StartUp, 8);
        let (mut apic, fabric) = application_processor();
        let mut taken = Taken::default();
        let senders = send_all(&fabric, &[&[init, start_up]]);
        taken.drain(&mut apic, &fabric);
        for sender in senders {
            let _ = sender.join().unwrap();
        }
        taken.drain(&mut apic, &fabric);
        let starts = taken
            .arrivals
            .iter()
            .filter(|arrivals| arrivals.start_page == Some(8));
        assert_eq!(starts.count(), 1, "it starts once, by this message");
        assert!(!apic.is_waiting_for_start_up());
    });
}

/// APIC 0 waits for a start-up.
fn application_processor() -> (LocalApic, Arc<Fabric>) {
    let config = |id| Config {
        id,
        bootstrap: id == 1,
        physical_bits: 46,
        features: vapic::Features::default(),
    };
    let [apic, other] = [0, 1].map(|id| LocalApic::new(config(id)));
    let fabric = Fabric::new([apic.identity(), other.identity()]).unwrap();
    (apic, fabric)
}

#[test]
fn every_signal_is_taken_or_told_to_be_overtaken() {
    loom::model(|| {
        let nmi = to(0, DeliveryMode::Nmi, 0);
        let init = to(0, DeliveryMode::Init, 0);
        let (_, taken, new) = race(&[&[nmi], &[init]]);
        let nmis: u8 = taken.arrivals.iter().map(|a| a.nmis + a.nmis_merged).sum();
        let overtaken: u8 = taken.arrivals.iter().map(|a| a.overtaken.nmis).sum();
        let inits = taken
            .arrivals
            .iter()
            .filter(|arrivals| arrivals.init)
            .count();
        assert_eq!((usize::from(nmis + overtaken), inits, new), (1, 1, 2));
    });
}

/// The flag of level requests is in the word of the signals, and is not lost to them.
#[test]
fn level_requests_and_signals_share_a_word() {
    loom::model(|| {
        let nmi = to(0, DeliveryMode::Nmi, 0);
        let (_, taken, _) = race(&[&[level(VECTOR)], &[nmi]]);
        let nmis: u8 = taken.arrivals.iter().map(|arrivals| arrivals.nmis).sum();
        assert_eq!((taken.count(VECTOR), nmis), (1, 1));
    });
}

/// An INIT overtakes signals; level requests are refused after it, each with its outcome.
#[test]
fn an_init_leaves_level_requests_their_outcome() {
    loom::model(|| {
        let init = to(0, DeliveryMode::Init, 0);
        let (_, taken, _) = race(&[&[level(VECTOR)], &[init]]);
        assert_eq!(taken.count(VECTOR), 1);
    });
}

fn moved(identity: Identity, xapic_id: u8) -> Identity {
    Identity {
        xapic_id,
        ..identity
    }
}

/// A map published before a send is the one that the send goes by.
#[test]
fn a_send_after_a_publish_goes_by_the_new_map() {
    loom::model(|| {
        let (apic, fabric) = machine(1);
        let mut router = Router::new(Arc::clone(&fabric), Some(1));
        let ready = Arc::new(AtomicU32::new(0));
        let sender = {
            let (fabric, ready) = (Arc::clone(&fabric), Arc::clone(&ready));
            thread::spawn(move || {
                let published = ready.load(Ordering::Acquire) == 1;
                router.deliver(&to(0x42, DeliveryMode::Fixed, VECTOR), |_, _| {});
                (published, !fabric.mailboxes()[0].is_empty())
            })
        };
        fabric.publish(0, moved(apic.identity(), 0x42));
        ready.store(1, Ordering::Release);
        let (published, reached) = sender.join().unwrap();
        assert!(reached || !published);
    });
}

/// A send during a publish goes by the old map or the new one, to one target in any case.
#[test]
fn a_send_during_a_publish_goes_by_either_map() {
    loom::model(|| {
        let (apic, fabric) = machine(2);
        let other = Identity {
            mode: Mode::Xapic,
            ..moved(apic.identity(), 2)
        };
        let mut router = Router::new(Arc::clone(&fabric), Some(1));
        let sender = thread::spawn(move || {
            let mut reached = Vec::new();
            router.deliver(&to(0, DeliveryMode::Fixed, VECTOR), |index, _| {
                reached.push(index)
            });
            reached
        });
        // APIC 0 takes another ID.
        fabric.publish(
            0,
            Identity {
                xapic_id: 9,
                ..other
            },
        );
        let reached = sender.join().unwrap();
        assert!(reached == [0] || reached.is_empty());
    });
}

/// Two APICs that move at once are both in the map afterwards.
#[test]
fn two_publishes_at_once_are_both_kept() {
    loom::model(|| {
        let (apic, fabric) = machine(1);
        let publisher = {
            let fabric = Arc::clone(&fabric);
            let identity = Identity {
                x2apic_id: 1,
                ..moved(apic.identity(), 0x21)
            };
            thread::spawn(move || fabric.publish(1, identity))
        };
        fabric.publish(0, moved(apic.identity(), 0x20));
        publisher.join().unwrap();
        let mut router = Router::new(fabric, None);
        for (id, index) in [(0x20, 0), (0x21, 1)] {
            let mut reached = Vec::new();
            router.for_each_target(&to(id, DeliveryMode::Fixed, VECTOR), |index| {
                reached.push(index)
            });
            assert_eq!(reached, [index]);
        }
    });
}
