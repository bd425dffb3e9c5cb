//! Waking a halted processor: from just before the ICR write until the processor runs on after its
//! HLT, the handler and the EOI included. It is what a scheduler waits for when it puts a task on
//! an idle processor.

use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use super::{Measurement, Run};
use crate::apic::Door;
use crate::cpu;
use crate::ipi::Message;
use crate::vector::RESCHEDULE;
use crate::wait::{self, Stuck};
use crate::{marker, processors, tsc};

const ROUNDS: u32 = 200;

/// Interrupts that the sleeper has received when its job is done.
static GOAL: AtomicU32 = AtomicU32::new(0);

/// When the sleeper last ran on.
static AWAKE: AtomicU64 = AtomicU64::new(0);

static WAKE_UP: Measurement = Measurement::new();

/// Measures it on the first other processor.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let (mode, rounds) = (run.mode, run.rounds(ROUNDS, 1_000_000));
    let sleeper = &cpu::others()[..1];
    let before = sleeper[0].received(RESCHEDULE);
    GOAL.store(before + rounds, Relaxed);
    WAKE_UP.restart();
    processors::dispatch(sleeper, sleep)?;

    marker::begin("resched", format_args!("mode={mode}"));
    let door = Door::own();
    for round in 1..=rounds {
        wait::settle();
        let sent = tsc::now();
        door.send(Message::to(1, RESCHEDULE));
        wait::spin_until(sleeper, "does not wake", |cpu| cpu.progress() > round)?;
        WAKE_UP.record(AWAKE.load(Relaxed) - sent);
    }
    processors::finished(sleeper)?;
    let summary = WAKE_UP.summary();
    marker::end(format_args!(
        "iterations={rounds} ipis={rounds} {}",
        summary.fields("cycles")
    ));
    summary.say(format_args!("{mode} resched"));
    Ok(())
}

/// Step 1 is the first sleep; each awakening is one more.
fn sleep() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    let mut step = 0;
    wait::halt_until(|| {
        AWAKE.store(tsc::now(), Relaxed);
        step += 1;
        cpu.set_progress(step);
        cpu.received(RESCHEDULE) >= goal
    });
}
