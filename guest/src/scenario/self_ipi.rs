//! A processor interrupts itself: from just before the write until its handler has returned.
//!
//! By shorthand, by its own id, and in x2APIC mode by the SELF_IPI register. In each way one IPI
//! first is sent with interrupts off and must wait for them.

use core::hint::spin_loop;

use super::{Measurement, Run};
use crate::apic::{Door, Register};
use crate::ipi::{Message, Mode};
use crate::vector::SELF;
use crate::wait::Stuck;
use crate::watchdog::Watchdog;
use crate::{cpu, marker, tsc};

const ROUNDS: u32 = 200;
const MOST_ROUNDS: u32 = 1_000_000;

/// Turns of a loop with interrupts off, in which nothing may arrive.
const HELD_TURNS: u32 = 100;

static DELIVERY: Measurement = Measurement::new();

/// Measures every way that the mode has.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let (mode, rounds) = (run.mode, run.rounds(ROUNDS, MOST_ROUNDS));
    let door = Door::own();
    measure(mode, "shorthand", rounds, || {
        door.send(Message::to_self(SELF));
    })?;
    measure(mode, "id", rounds, || door.send(Message::to(0, SELF)))?;
    if mode == Mode::X2apic {
        measure(mode, "register", rounds, || {
            door.write(Register::SelfIpi, u32::from(SELF));
        })?;
    }
    Ok(())
}

fn measure(mode: Mode, way: &str, rounds: u32, send: impl Fn()) -> Result<(), Stuck> {
    let cpu = cpu::this();
    cpu.forget(SELF);
    DELIVERY.restart();
    let watchdog = Watchdog::arm();

    marker::begin("self", format_args!("mode={mode} way={way}"));
    cpu::interrupts_off();
    send();
    for _ in 0..HELD_TURNS {
        spin_loop();
    }
    let early = cpu.received(SELF);
    let lost = "has lost an IPI to itself";
    watchdog.halt_until(lost, || cpu.received(SELF) >= 1)?;
    for round in 2..=rounds + 1 {
        let sent = tsc::now();
        send();
        if cpu.received(SELF) < round {
            watchdog.halt_until(lost, || cpu.received(SELF) >= round)?;
        }
        DELIVERY.record(tsc::now() - sent);
    }
    let summary = DELIVERY.summary();
    marker::end(format_args!(
        "iterations={rounds} ipis={} {}",
        rounds + 1,
        summary.fields("cycles")
    ));
    summary.say(format_args!("{mode} self by {way}"));

    if early != 0 {
        let text = "an IPI to self arrived with interrupts off";
        marker::fail("self", format_args!("mode={mode} way={way} {text}"));
    }
    let received = cpu.received(SELF);
    if received != rounds + 1 {
        let text = format_args!("{} sent, {received} handled", rounds + 1);
        marker::fail("self", format_args!("mode={mode} way={way} {text}"));
    }
    Ok(())
}
