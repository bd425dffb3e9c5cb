//! Round trip of one IPI: from just before the ICR write until the sender sees in memory that the
//! target's handler has run.
//!
//! The sender watches memory; an answer by IPI would measure two deliveries and a second HLT. The
//! target is in one of four states:
//!
//! - `halt`: in HLT. Before each round it has had time to get there.
//! - `ring3`: spinning in ring 3.
//! - `ring0`: spinning in ring 0.
//! - `masked`: interrupts off for 200 µs. What counts is the time from their end, `beyond`, since
//!   before it nothing may arrive, and that nothing does is checked by every handler.

use core::fmt;
use core::hint::spin_loop;
use core::slice;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::Release};

use super::{Measurement, Run};
use crate::apic::Door;
use crate::cpu::{self, Cpu};
use crate::ipi::{Message, Mode};
use crate::vector::PING;
use crate::wait::{self, Stuck};
use crate::{marker, processors, ring3, tsc};

/// Rounds to a halted target, unless asked otherwise.
const ROUNDS: u32 = 200;

/// Rounds to a target that keeps its processor busy: each may have to wait until a busy host lets
/// the target run.
const BUSY_ROUNDS: u32 = 50;
const MOST_BUSY_ROUNDS: u32 = 2000;

/// How long a masked target keeps interrupts off.
const MASKED_US: u64 = 200;

/// What the target does while the IPI is on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Halt,
    Ring3,
    Ring0,
    Masked,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Halt => "halt",
            Self::Ring3 => "ring3",
            Self::Ring0 => "ring0",
            Self::Masked => "masked",
        })
    }
}

/// Pings that the target has received when its job is done.
static GOAL: AtomicU32 = AtomicU32::new(0);

/// When the masked target turned interrupts on, in odd and even rounds: it may be one round ahead
/// of a sender that has yet to look.
static UNMASKED: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

static ROUND_TRIP: Measurement = Measurement::new();
static BEYOND: Measurement = Measurement::new();

/// Measures all four states of the target.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let target = &cpu::others()[0];
    measure(
        run.mode,
        Target::Halt,
        target,
        run.rounds(ROUNDS, u32::MAX / 2),
        be_halted,
    )?;
    let busy = run.rounds(BUSY_ROUNDS, MOST_BUSY_ROUNDS);
    measure(run.mode, Target::Ring3, target, busy, spin_in_ring3)?;
    measure(run.mode, Target::Ring0, target, busy, spin_in_ring0)?;
    measure(run.mode, Target::Masked, target, busy, mask)
}

fn measure(mode: Mode, state: Target, target: &Cpu, rounds: u32, job: fn()) -> Result<(), Stuck> {
    let target = slice::from_ref(target);
    let before = target[0].received(PING);
    GOAL.store(before + rounds, Relaxed);
    ROUND_TRIP.restart();
    BEYOND.restart();
    processors::dispatch(target, job)?;

    marker::begin("ping", format_args!("mode={mode} target={state}"));
    let door = Door::own();
    let message = Message::to(1, PING);
    for round in 1..=rounds {
        match state {
            Target::Halt => {
                wait::spin_until(target, "does not halt", |cpu| cpu.progress() >= round)?;
                wait::settle();
            }
            Target::Masked => {
                wait::spin_until(target, "does not mask", |cpu| cpu.progress() > round)?;
            }
            Target::Ring3 | Target::Ring0 => {}
        }
        let sent = tsc::now();
        door.send(message);
        let seen = wait::spin_until(target, "has lost a ping", |cpu| {
            cpu.received(PING) == before + round
        })?;
        ROUND_TRIP.record(seen - sent);
        if state == Target::Masked {
            let unmasked = UNMASKED[usize::from(round % 2 == 1)].load(Relaxed);
            // A sender that was held up may send when the target has already unmasked.
            BEYOND.record(seen.saturating_sub(unmasked.max(sent)));
        }
    }
    wait::spin_until(target, "does not end a ping", |cpu| {
        cpu.ended(PING) == before + rounds
    })?;
    processors::finished(target)?;

    let summary = ROUND_TRIP.summary();
    if state == Target::Masked {
        let beyond = BEYOND.summary();
        let fields = (summary.fields("cycles"), beyond.fields("beyond_cycles"));
        marker::end(format_args!(
            "iterations={rounds} ipis={rounds} masked_us={MASKED_US} {} {}",
            fields.0, fields.1
        ));
        beyond.say(format_args!("{mode} ping {state}, beyond {MASKED_US} us"));
    } else {
        marker::end(format_args!(
            "iterations={rounds} ipis={rounds} {}",
            summary.fields("cycles")
        ));
        summary.say(format_args!("{mode} ping {state}"));
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
        cpu.received(PING) >= goal
    });
}

fn spin_in_ring3() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    ring3::run(|| {
        cpu.set_progress(1);
        while cpu.received(PING) < goal {
            spin_loop();
        }
    });
}

fn spin_in_ring0() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    cpu.set_progress(1);
    while cpu.received(PING) < goal {
        spin_loop();
    }
}

/// Each round is a step; step 1 says that the job runs.
fn mask() {
    let (cpu, goal) = (cpu::this(), GOAL.load(Relaxed));
    let masked = tsc::cycles(MASKED_US);
    let mut step = 1;
    cpu.set_progress(step);
    loop {
        let received = cpu.received(PING);
        if received >= goal {
            return;
        }
        cpu::interrupts_off();
        step += 1;
        cpu.set_progress(step);
        let end = tsc::now() + masked;
        while tsc::now() < end {
            spin_loop();
        }
        let odd_round = step % 2 == 0;
        UNMASKED[usize::from(odd_round)].store(tsc::now(), Release);
        wait::halt_until(|| cpu.received(PING) != received);
    }
}
