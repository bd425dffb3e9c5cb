//! TLB shootdown: the initiator remaps pages of the window, interrupts the targets, and goes on
//! only when each has dropped the old translations and acknowledged.
//!
//! A round takes from just before the first ICR write until the initiator has seen the last
//! acknowledgement. Remapping comes before it; the initiator itself never reads the window, so it
//! has nothing to drop.
//!
//! Each point of the sweep begins with checked rounds, before and after each of which every target
//! reads all pages: in ring 3, so that the old translations really are in the TLB. What it reads
//! must be the value announced. In the measured rounds that follow, only after the last is read:
//! where there are fewer host processors than targets, the reading of one target would be counted
//! as a cost of the next.
//!
//! Targets are swept from 1 to all, the pages over 1, 33 (most that Linux drops one by one) and
//! 512, the ways over one ICR write for each target, logical multicast, and all-but-self, which
//! reaches all or none.

use core::fmt;
use core::sync::atomic::{
    AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use spin::Mutex;

use super::{Measurement, Run};
use crate::apic::Door;
use crate::cpu::{self, Cpu};
use crate::fit::{Line, Points};
use crate::ipi::{Logical, Message, Messages, Mode};
use crate::tsc::Micros;
use crate::vector::SHOOTDOWN;
use crate::wait::{self, Stuck};
use crate::{console, marker, paging, processors, ring3, tsc};

/// How many pages, with how many checked rounds and, unless asked otherwise, measured ones.
const SIZES: [Size; 3] = [
    Size {
        pages: 1,
        checked: 8,
        rounds: 50,
    },
    Size {
        pages: 33,
        checked: 4,
        rounds: 30,
    },
    Size {
        pages: 512,
        checked: 2,
        rounds: 10,
    },
];

struct Size {
    pages: usize,
    checked: u32,
    rounds: u32,
}

const MOST_ROUNDS: u32 = 100_000;

/// What one more target is said to cost.
const RULE_OF_THUMB_US: u64 = 2;

/// How the targets are reached.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Unicast,
    Multicast,
    AllButSelf,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unicast => "unicast",
            Self::Multicast => "multicast",
            Self::AllButSelf => "allbutself",
        })
    }
}

/// Pages that the handler drops and the targets read.
static PAGES: AtomicUsize = AtomicUsize::new(0);

/// What every page shows once the shootdown is done. Never repeated.
static ANNOUNCED: AtomicU64 = AtomicU64::new(0);

/// Checked rounds, and all rounds.
static CHECKED: AtomicU32 = AtomicU32::new(0);
static ROUNDS: AtomicU32 = AtomicU32::new(0);

static DURATION: Measurement = Measurement::new();
static MESSAGES: Mutex<Messages> = Mutex::new(Messages::new());

/// The handler's part, before it acknowledges.
pub(crate) fn flush() {
    paging::invalidate(PAGES.load(Relaxed));
}

/// Sweeps ways, pages and targets.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    // Every page is mapped before the first read of any.
    ring3::run(|| paging::remap(paging::WINDOW_PAGES, ANNOUNCED.load(Relaxed)));
    let (mode, stale, all) = (run.mode, run.options.stale, cpu::others().len());
    for way in [Way::Unicast, Way::Multicast, Way::AllButSelf] {
        if way == Way::Multicast && Logical::reaching(mode, all + 1).is_none() {
            let text = "has no logical addresses for so many processors";
            console::say(format_args!(
                "{mode} shootdown {way}: skipped, the mode {text}"
            ));
            let labels = format_args!("mode={mode} way={way}");
            marker::result("shootdown", format_args!("{labels} skipped=1"));
            continue;
        }
        for Size {
            pages,
            checked,
            rounds,
        } in SIZES
        {
            let rounds = run.rounds(rounds, MOST_ROUNDS);
            let mut points = Points::new();
            let mut targets = if way == Way::AllButSelf { all } else { 1 };
            loop {
                let phase = Phase {
                    mode,
                    way,
                    targets,
                    pages,
                    checked,
                    rounds,
                    stale,
                };
                points.push(targets as u64, phase.measure()?);
                if stale && marker::has_failed() {
                    return Ok(());
                }
                if targets == all {
                    break;
                }
                targets = if all < 8 {
                    targets + 1
                } else {
                    (targets * 2).min(all)
                };
            }
            let labels = format_args!("mode={mode} way={way} pages={pages}");
            if let Some(line) = points.line() {
                report(line, labels);
            }
        }
    }
    Ok(())
}

/// The fitted line, beside the rule of thumb.
fn report(line: Line, labels: fmt::Arguments<'_>) {
    let Line { base, slope } = line;
    let rule = tsc::cycles(RULE_OF_THUMB_US);
    let hundredths = slope.max(0).unsigned_abs() * 100 / rule.max(1);
    let ratio = format_args!("{}.{:02}", hundredths / 100, hundredths % 100);
    marker::result(
        "shootdown",
        format_args!(
            "{labels} base_cycles={base} per_target_cycles={slope} rule_cycles={rule} \
             rule_ratio={ratio}"
        ),
    );
    console::say(format_args!(
        "shootdown {labels}: one more target costs {slope} cycles ({}); rule of thumb 2 us = \
         {rule} cycles, {ratio} times that",
        Micros(slope.max(0).unsigned_abs())
    ));
}

/// One point of the sweep.
struct Phase {
    mode: Mode,
    way: Way,
    targets: usize,
    pages: usize,
    checked: u32,
    rounds: u32,
    stale: bool,
}

impl Phase {
    /// Runs the rounds; the median of the measured ones in cycles.
    fn measure(&self) -> Result<u64, Stuck> {
        let Self {
            mode,
            way,
            targets: count,
            pages,
            checked,
            rounds,
            ..
        } = *self;
        let targets = &cpu::others()[..count];
        let messages = &mut *MESSAGES.lock();
        self.address(messages);
        PAGES.store(pages, Relaxed);
        CHECKED.store(checked, Relaxed);
        ROUNDS.store(checked + rounds, Relaxed);
        for cpu in targets {
            cpu.forget(SHOOTDOWN);
            cpu.stale.store(0, Relaxed);
        }
        DURATION.restart();
        // Pages that a smaller phase left out still show an older value.
        ring3::run(|| paging::remap(pages, ANNOUNCED.load(Relaxed)));
        processors::dispatch(targets, be_target)?;

        for round in 1..=checked {
            self.round(round, targets, messages.as_slice())?;
        }
        Self::ready(targets, checked + 1)?;
        let labels = format_args!("mode={mode} way={way} targets={count} pages={pages}");
        marker::begin("shootdown", labels);
        for round in checked + 1..=checked + rounds {
            DURATION.record(self.round(round, targets, messages.as_slice())?);
        }
        processors::finished(targets)?;

        let summary = DURATION.summary();
        let ipis = messages.as_slice().len() * rounds as usize;
        let fields = summary.fields("cycles");
        marker::end(format_args!("iterations={rounds} ipis={ipis} {fields}"));
        summary.say(format_args!(
            "{mode} shootdown {way} to {count}, {pages} pages"
        ));
        // The first failure is reported; those of the other targets look the same.
        if let Some(cpu) = targets.iter().find(|cpu| !self.served(cpu)) {
            self.accuse(cpu, labels);
        }
        Ok(summary.median)
    }

    /// One shootdown, and the cycles it took.
    fn round(&self, round: u32, targets: &[Cpu], messages: &[Message]) -> Result<u64, Stuck> {
        Self::ready(targets, round)?;
        wait::settle();
        ring3::run(|| {
            let value = ANNOUNCED.load(Relaxed) + 1;
            if !self.stale {
                paging::remap(self.pages, value);
            }
            ANNOUNCED.store(value, Release);
        });
        let door = Door::own();
        let sent = tsc::now();
        for &message in messages {
            door.send(message);
        }
        let seen = wait::spin_until(targets, "does not acknowledge", |cpu| {
            cpu.received(SHOOTDOWN) >= round
        })?;
        Ok(seen - sent)
    }

    /// Waits until all targets are about to halt for this round.
    fn ready(targets: &[Cpu], round: u32) -> Result<(), Stuck> {
        wait::spin_until(targets, "does not halt", |cpu| cpu.progress() >= round)?;
        Ok(())
    }

    /// Exactly the processors 1 to `targets`.
    fn address(&self, messages: &mut Messages) {
        let targets = 1..u32::try_from(self.targets + 1).unwrap_or(u32::MAX);
        let logical = Logical::reaching(self.mode, cpu::all().len());
        match (self.way, logical) {
            (Way::Multicast, Some(logical)) => messages.multicast(logical, targets, SHOOTDOWN),
            (Way::AllButSelf, _) => messages.others(SHOOTDOWN),
            (Way::Unicast | Way::Multicast, _) => messages.unicast(targets, SHOOTDOWN),
        }
    }

    /// Whether a target handled every shootdown and read nothing stale.
    fn served(&self, cpu: &Cpu) -> bool {
        cpu.received(SHOOTDOWN) == self.checked + self.rounds && cpu.stale.load(Acquire) == 0
    }

    fn accuse(&self, cpu: &Cpu, labels: fmt::Arguments<'_>) {
        let (id, received) = (cpu.id(), cpu.received(SHOOTDOWN));
        let (stale, page) = (cpu.stale.load(Acquire), cpu.stale_page.load(Relaxed));
        if stale == 0 {
            let text = format_args!("handled {received} of {}", self.checked + self.rounds);
            marker::fail("shootdown", format_args!("{labels} processor {id} {text}"));
        } else {
            let value = cpu.stale_value.load(Relaxed);
            let text = format_args!("{stale} reads, the first of page {page} saw {value}");
            marker::fail(
                "shootdown",
                format_args!("stale {labels} processor {id}: {text}"),
            );
        }
    }
}

/// A target. Each HLT that it is about to do is a step.
fn be_target() {
    let (cpu, pages) = (cpu::this(), PAGES.load(Relaxed));
    let (checked, rounds) = (CHECKED.load(Relaxed), ROUNDS.load(Relaxed));
    // What earlier phases, in which this processor was no target, left in the TLB.
    paging::invalidate(pages);
    for round in 1..=rounds {
        if round <= checked + 1 {
            ring3::run(|| read(cpu, pages));
        }
        wait::halt_until(|| {
            cpu.set_progress(round);
            cpu.received(SHOOTDOWN) >= round
        });
    }
    ring3::run(|| read(cpu, pages));
}

/// In ring 3: every page must show what was announced.
fn read(cpu: &Cpu, pages: usize) {
    let announced = ANNOUNCED.load(Acquire);
    for (page, value) in (0..).zip(paging::read(pages)) {
        if value != announced {
            if cpu.stale.load(Relaxed) == 0 {
                cpu.stale_page.store(page, Relaxed);
                cpu.stale_value.store(value, Relaxed);
            }
            cpu::increment(&cpu.stale);
        }
    }
}
