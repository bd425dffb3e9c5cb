//! NMIs: from just before the ICR write until the sender sees that the target's handler has run.
//!
//! With interrupts on, in ring 3, and with interrupts off, in ring 0, where a sampling profiler
//! relies on them. There a fixed interrupt is sent first: it must wait while the NMIs pass it.

use core::hint::spin_loop;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed, Ordering::Release};

use super::{Measurement, Run};
use crate::apic::Door;
use crate::cpu;
use crate::ipi::{Message, Mode};
use crate::vector::PING;
use crate::wait::{self, Stuck};
use crate::{marker, processors, ring3, tsc};

const ROUNDS: u32 = 50;
const MOST_ROUNDS: u32 = 10_000;

/// NMIs that the target has received when its job is done.
static GOAL: AtomicU32 = AtomicU32::new(0);

/// The fixed interrupt was still waiting when the last NMI had come.
static HELD_BACK: AtomicBool = AtomicBool::new(false);

static DELIVERY: Measurement = Measurement::new();

/// Measures both on the first other processor.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let rounds = run.rounds(ROUNDS, MOST_ROUNDS);
    measure(run.mode, "on", rounds, be_interruptible)?;
    measure(run.mode, "off", rounds, mask)
}

fn measure(mode: Mode, interrupts: &str, rounds: u32, job: fn()) -> Result<(), Stuck> {
    let target = &cpu::others()[..1];
    let (nmis, pings) = (target[0].nmis(), target[0].received(PING));
    GOAL.store(nmis + rounds, Relaxed);
    DELIVERY.restart();
    processors::dispatch(target, job)?;

    marker::begin("nmi", format_args!("mode={mode} interrupts={interrupts}"));
    let door = Door::own();
    let masked = interrupts == "off";
    if masked {
        door.send(Message::to(1, PING));
    }
    for round in 1..=rounds {
        let sent = tsc::now();
        door.send(Message::nmi(1));
        let seen = wait::spin_until(target, "has lost an NMI", |cpu| cpu.nmis() == nmis + round)?;
        DELIVERY.record(seen - sent);
    }
    if masked {
        wait::spin_until(target, "has lost the interrupt that NMIs passed", |cpu| {
            cpu.ended(PING) == pings + 1
        })?;
    }
    processors::finished(target)?;
    let ipis = rounds + u32::from(masked);
    let (summary, count) = (DELIVERY.summary(), target[0].nmis() - nmis);
    marker::end(format_args!(
        "iterations={rounds} ipis={ipis} nmis={count} {}",
        summary.fields("cycles")
    ));
    summary.say(format_args!("{mode} nmi, interrupts {interrupts}"));
    if count != rounds {
        marker::fail(
            "nmi",
            format_args!("mode={mode} {rounds} sent, {count} handled"),
        );
    }
    if masked && !HELD_BACK.load(Relaxed) {
        let text = "a fixed interrupt arrived with interrupts off";
        marker::fail("nmi", format_args!("mode={mode} {text}"));
    }
    Ok(())
}

fn be_interruptible() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    ring3::run(|| {
        cpu.set_progress(1);
        while cpu.nmis() < goal {
            spin_loop();
        }
    });
}

fn mask() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    cpu::interrupts_off();
    let pings = cpu.received(PING);
    cpu.set_progress(1);
    while cpu.nmis() < goal {
        spin_loop();
    }
    HELD_BACK.store(cpu.received(PING) == pings, Release);
    wait::halt_until(|| cpu.received(PING) != pings);
}
