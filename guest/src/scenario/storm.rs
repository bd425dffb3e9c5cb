//! All to all for a set time. Every processor sends to the others in turn, now and then to all of
//! them by shorthand; all but the first also halt now and then until something arrives.
//!
//! Interrupts may coalesce, so counts need not agree; but a sender has vectors of its own, and
//! notes before each send how often the target has handled them. When all is over each target must
//! have handled each once more than that: no last interrupt of anybody is lost. And none may have
//! been handled more often than sent.
//!
//! With more than 64 processors some senders share vectors, which makes both checks weaker.

use core::ops::Range;
use core::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::Run;
use crate::apic::Door;
use crate::cpu::{self, Cpu};
use crate::ipi::{MAX_CPUS, Message};
use crate::tsc::Micros;
use crate::vector::{STORM_BROADCAST, STORM_UNICAST, STORM_VECTORS};
use crate::wait::{self, Stuck};
use crate::{console, marker, processors, ring3, tsc};

/// Every so many sends go to all others.
const BROADCAST_EVERY: u32 = 64;

/// After every so many sends a processor halts.
const HALT_EVERY: u32 = 16;

/// What one sender did to one target by one of its vectors.
struct Pair {
    sent: AtomicU32,
    /// How often the target had handled the vector just before the last send.
    before_last: AtomicU32,
}

impl Pair {
    const fn new() -> Self {
        Self {
            sent: AtomicU32::new(0),
            before_last: AtomicU32::new(0),
        }
    }
}

/// By kind of send, sender, target.
static PAIRS: [[[Pair; MAX_CPUS]; MAX_CPUS]; 2] =
    [const { [const { [const { Pair::new() }; MAX_CPUS] }; MAX_CPUS] }; 2];

/// First vectors of the kinds.
const KINDS: [u8; 2] = [STORM_UNICAST, STORM_BROADCAST];

/// When to stop sending; 0 until the storm begins.
static END: AtomicU64 = AtomicU64::new(0);

/// Set by the first processor when nobody may halt any more.
static OVER: AtomicBool = AtomicBool::new(false);

/// Lets it storm, then counts.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    let (mode, cpus) = (run.mode, cpu::all());
    ring3::run(|| forget(cpus));
    END.store(0, Relaxed);
    OVER.store(false, Relaxed);
    processors::dispatch(cpu::others(), take_part)?;

    marker::begin("storm", format_args!("mode={mode} cpus={}", cpus.len()));
    let begin = tsc::now();
    END.store(begin + tsc::cycles(run.options.duration_us), Release);
    // The first send wakes all; the last one, after OVER, those that halt.
    let mut sender = Sender::new(cpu::this());
    sender.broadcast();
    sender.storm(false);
    OVER.store(true, Release);
    sender.broadcast();
    processors::finished(cpu::others())?;
    let outcome = wait::spin_until(cpus, "has lost an interrupt of a storm", |cpu| {
        settled(cpu, cpus.len())
    });
    let elapsed = tsc::now() - begin;
    let totals = ring3::run(|| Totals::of(cpus));
    let Totals {
        unicasts,
        broadcasts,
        sent,
        handled,
        excess,
    } = totals;
    marker::end(format_args!(
        "microseconds={} ipis={} unicasts={unicasts} broadcasts={broadcasts} sent={sent} \
         handled={handled} coalesced={}",
        elapsed / tsc::cycles(1).max(1),
        unicasts + broadcasts,
        sent.saturating_sub(handled),
    ));
    console::say(format_args!(
        "{mode} storm: {sent} interrupts by {} ICR writes in {}, {handled} handled, {} coalesced",
        unicasts + broadcasts,
        Micros(elapsed),
        sent.saturating_sub(handled),
    ));
    if excess != 0 {
        let text = "vectors were handled more often than sent";
        marker::fail("storm", format_args!("mode={mode} {excess} {text}"));
    }
    outcome.map(|_| ())
}

fn forget(cpus: &[Cpu]) {
    for cpu in cpus {
        for vector in KINDS.into_iter().flat_map(vectors) {
            cpu.forget(vector);
        }
    }
    for senders in &PAIRS {
        for pair in senders[..cpus.len()].iter().flatten() {
            pair.sent.store(0, Relaxed);
        }
    }
}

fn vectors(first: u8) -> Range<u8> {
    first..first + STORM_VECTORS
}

/// The vector of a kind that a sender uses.
fn vector(first: u8, sender: usize) -> u8 {
    let offset = sender % usize::from(STORM_VECTORS);
    first + u8::try_from(offset).unwrap_or(0)
}

/// Nothing for this processor is under way, and nothing was lost.
fn settled(cpu: &Cpu, cpus: usize) -> bool {
    let kinds = KINDS.iter().zip(&PAIRS);
    kinds.into_iter().all(|(&first, senders)| {
        let ended = vectors(first).all(|vector| cpu.ended(vector) == cpu.received(vector));
        ended
            && senders[..cpus].iter().enumerate().all(|(sender, targets)| {
                let Pair { sent, before_last } = &targets[cpu.id()];
                let before = before_last.load(Acquire);
                sent.load(Acquire) == 0 || cpu.received(vector(first, sender)) > before
            })
    })
}

/// One processor's part.
struct Sender {
    cpu: &'static Cpu,
    door: Door,
    target: usize,
}

impl Sender {
    fn new(cpu: &'static Cpu) -> Self {
        Self {
            cpu,
            door: Door::of(cpu),
            target: cpu.id(),
        }
    }

    /// Sends until the end; `halting` says whether to halt now and then.
    fn storm(&mut self, halting: bool) {
        let end = END.load(Acquire);
        let mut turn = 0_u32;
        while tsc::now() < end {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(BROADCAST_EVERY) {
                self.broadcast();
            } else {
                self.unicast();
            }
            if halting && turn.is_multiple_of(HALT_EVERY) {
                cpu::interrupts_off();
                if !OVER.load(Acquire) {
                    cpu::halt();
                }
                cpu::interrupts_on();
            }
        }
    }

    /// To the next of the others.
    fn unicast(&mut self) {
        let cpus = cpu::all();
        loop {
            self.target = if self.target + 1 == cpus.len() {
                0
            } else {
                self.target + 1
            };
            if self.target != self.cpu.id() {
                break;
            }
        }
        let vector = vector(STORM_UNICAST, self.cpu.id());
        self.note(0, self.target, cpus[self.target].received(vector));
        let id = u32::try_from(self.target).unwrap_or(0);
        self.door.send(Message::to(id, vector));
    }

    /// To all others.
    fn broadcast(&self) {
        let vector = vector(STORM_BROADCAST, self.cpu.id());
        ring3::run(|| {
            for target in cpu::all()
                .iter()
                .filter(|target| target.id() != self.cpu.id())
            {
                self.note(1, target.id(), target.received(vector));
            }
        });
        self.door.send(Message::to_others(vector));
    }

    fn note(&self, kind: usize, target: usize, handled: u32) {
        let Pair { sent, before_last } = &PAIRS[kind][self.cpu.id()][target];
        before_last.store(handled, Relaxed);
        cpu::increment(sent);
    }
}

/// The job of all but the first processor.
fn take_part() {
    let cpu = cpu::this();
    wait::halt_until(|| {
        cpu.set_progress(1);
        END.load(Acquire) != 0
    });
    Sender::new(cpu).storm(true);
}

/// Sums over all processors.
struct Totals {
    unicasts: u64,
    broadcasts: u64,
    sent: u64,
    handled: u64,
    /// Vectors of targets that were handled more often than sent.
    excess: u64,
}

impl Totals {
    fn of(cpus: &[Cpu]) -> Self {
        let mut totals = Self {
            unicasts: 0,
            broadcasts: 0,
            sent: 0,
            handled: 0,
            excess: 0,
        };
        let others = cpus.len() as u64 - 1;
        for (first, senders) in KINDS.into_iter().zip(&PAIRS) {
            let mut kind = 0;
            for cpu in cpus {
                for vector in vectors(first) {
                    let sharing = senders
                        .iter()
                        .skip(usize::from(vector - first))
                        .step_by(usize::from(STORM_VECTORS));
                    let sent: u64 = sharing
                        .map(|s| u64::from(s[cpu.id()].sent.load(Relaxed)))
                        .sum();
                    let handled = u64::from(cpu.received(vector));
                    kind += sent;
                    totals.handled += handled;
                    totals.excess += u64::from(handled > sent);
                }
            }
            totals.sent += kind;
            if first == STORM_UNICAST {
                totals.unicasts = kind;
            } else {
                totals.broadcasts = kind / others;
            }
        }
        totals
    }
}
