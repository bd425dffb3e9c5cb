//! Throughput of two sending threads to distinct targets against that of one.
//!
//! Each thread owns its sender's APIC and sends to a target that nobody else sends to; 2.0 means
//! that the threads are of no concern to each other. Rounds of one and of two threads alternate, and
//! each takes its fastest: whatever else the host runs can only slow a round down. Needs two idle
//! processors; on fewer the ratio says nothing.
//!
//! Output: one JSON object a line,
//! `{"work":NAME,"one":SENDS_PER_SECOND,"two":SENDS_PER_SECOND,"ratio":R,"goal":G}`.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use crate::work::machine::{Access, Door, Machine, enabled, fabric};
use crate::work::stages::{Stage, send_page, write_msr};

/// Rounds of each kind.
const ROUNDS: u32 = 40;
/// Sends of one thread in a round.
const SENDS: u32 = 500_000;

/// Measures both doors, or only tries them.
pub(crate) fn run(measures: bool) {
    for (name, stage, door) in [
        ("two senders, xAPIC", send_page as Stage, Door::Page),
        ("two senders, x2APIC", write_msr, Door::Msr),
    ] {
        if measures {
            report(name, |threads| round(stage, door, threads, SENDS));
        } else {
            round(stage, door, 2, 1);
        }
    }
}

fn report(name: &str, round: impl Fn(u32) -> Duration) {
    let mut fastest = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        for (threads, fastest) in (1..).zip(&mut fastest) {
            *fastest = round(threads).min(*fastest);
        }
    }
    let [one, two] = fastest.map(|time| f64::from(SENDS) / time.as_secs_f64());
    let two = 2.0 * two;
    let ratio = two / one;
    println!(r#"{{"work":"{name}","one":{one:.0},"two":{two:.0},"ratio":{ratio:.2},"goal":2.0}}"#);
}

/// The time from when all threads are ready to when the last has sent everything.
fn round(stage: Stage, door: Door, threads: u32, sends: u32) -> Duration {
    // All share one fabric: thread n is APIC n and sends to APIC n + 2.
    let apics: Vec<_> = (0..4).map(|id| enabled(door, id, 0)).collect();
    let fabric = fabric(&apics);
    let barrier = Arc::new(Barrier::new(threads as usize));
    let senders = (0..threads).zip(&apics).map(|(sender, apic)| {
        let target = apic.clone();
        let mut machine = Machine::of(door, sender, apic.clone(), target, Arc::clone(&fabric));
        machine.first = Access::page(0x310, (sender + 2) << 24);
        machine.access = match door {
            Door::Page => Access::page(0x300, 0xFB),
            Door::Msr => Access::msr(0x830, u64::from(sender + 2) << 32 | 0xFB),
        };
        let (mut machine, barrier) = (black_box(Box::new(machine)), Arc::clone(&barrier));
        std::thread::spawn(move || {
            barrier.wait();
            let start = Instant::now();
            for _ in 0..sends {
                stage(&mut machine);
            }
            start.elapsed()
        })
    });
    let senders: Vec<_> = senders.collect();
    senders
        .into_iter()
        .map(|sender| sender.join().expect("a sender does not panic"))
        .max()
        .unwrap()
}
