//! Broadcasts by shorthand: from just before the ICR write until the sender sees that the handler
//! has run on every processor. Each must run it exactly once a round, and the sender of
//! all-but-self not at all.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::{Measurement, Run};
use crate::apic::Door;
use crate::cpu;
use crate::ipi::{Message, Mode};
use crate::vector::BROADCAST;
use crate::wait::{self, Stuck};
use crate::watchdog::Watchdog;
use crate::{marker, processors, tsc};

const ROUNDS: u32 = 50;
const MOST_ROUNDS: u32 = 100_000;

/// Rounds that a processor takes part in before its job is done.
static GOAL: AtomicU32 = AtomicU32::new(0);

static DELIVERY: Measurement = Measurement::new();

/// Measures both shorthands.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let rounds = run.rounds(ROUNDS, MOST_ROUNDS);
    measure(
        run.mode,
        "allbutself",
        rounds,
        Message::to_others(BROADCAST),
    )?;
    measure(run.mode, "all", rounds, Message::to_all(BROADCAST))
}

fn measure(mode: Mode, way: &str, rounds: u32, message: Message) -> Result<(), Stuck> {
    let receivers = if way == "all" {
        cpu::all()
    } else {
        cpu::others()
    };
    for cpu in cpu::all() {
        cpu.forget(BROADCAST);
    }
    GOAL.store(rounds, Relaxed);
    DELIVERY.restart();
    processors::dispatch(cpu::others(), be_halted)?;

    let watchdog = Watchdog::arm();
    let targets = receivers.len();
    marker::begin(
        "broadcast",
        format_args!("mode={mode} way={way} targets={targets}"),
    );
    let door = Door::own();
    for round in 1..=rounds {
        wait::spin_until(cpu::others(), "does not halt", |cpu| {
            cpu.progress() >= round
        })?;
        wait::settle();
        let sent = tsc::now();
        door.send(message);
        if way == "all" {
            // Its own interrupt comes at the latest when it halts; a spin may hold it up.
            watchdog.halt_until("has lost its own broadcast", || {
                cpu::this().received(BROADCAST) >= round
            })?;
        }
        let seen = wait::spin_until(receivers, "has lost a broadcast", |cpu| {
            cpu.received(BROADCAST) >= round
        })?;
        DELIVERY.record(seen - sent);
    }
    wait::spin_until(receivers, "does not end a broadcast", |cpu| {
        cpu.ended(BROADCAST) == cpu.received(BROADCAST)
    })?;
    processors::finished(cpu::others())?;
    let summary = DELIVERY.summary();
    marker::end(format_args!(
        "iterations={rounds} ipis={rounds} {}",
        summary.fields("cycles")
    ));
    summary.say(format_args!("{mode} broadcast {way} to {targets}"));

    for cpu in cpu::all() {
        let expected = if way == "all" || cpu.id() != 0 {
            rounds
        } else {
            0
        };
        let (id, received) = (cpu.id(), cpu.received(BROADCAST));
        if received != expected {
            let text = format_args!("processor {id} handled {received} of {expected}");
            marker::fail("broadcast", format_args!("mode={mode} way={way} {text}"));
        }
    }
    Ok(())
}

/// Each look at the count, just before HLT, is a step.
fn be_halted() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    let mut step = 0;
    wait::halt_until(|| {
        step += 1;
        cpu.set_progress(step);
        cpu.received(BROADCAST) >= goal
    });
}
