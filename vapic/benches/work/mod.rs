//! The work list: what is measured, on which machine, and how many instructions it may take.
//!
//! A stage is one function that the optimiser cannot see through, and its cost includes the call.

pub(crate) mod machine;
pub(crate) mod stages;

use machine::{Access, Door, Machine, TARGET_ID};
use stages::Stage;

/// One row of the list.
pub(crate) struct Work {
    /// What is done.
    pub(crate) name: &'static str,
    /// Instructions it may take, call included, for each of `units`.
    pub(crate) goal: u32,
    /// What the cost is divided by: 1, or the targets of a broadcast.
    pub(crate) units: u32,
    /// The machine it is done on.
    pub(crate) machine: fn() -> Machine,
    /// Makes the machine ready for each run of the stage.
    pub(crate) before: Stage,
    /// What is measured.
    pub(crate) stage: Stage,
    /// Clears up after each run.
    pub(crate) after: Stage,
}

impl Work {
    const fn new(name: &'static str, goal: u32, machine: fn() -> Machine, stage: Stage) -> Self {
        let nothing = stages::nothing;
        Self {
            name,
            goal,
            units: 1,
            machine,
            before: nothing,
            stage,
            after: nothing,
        }
    }

    const fn around(self, before: Stage, after: Stage) -> Self {
        Self {
            before,
            after,
            ..self
        }
    }

    const fn per(self, units: u32) -> Self {
        Self { units, ..self }
    }

    /// One run, the stage inside `measure`.
    #[inline]
    pub(crate) fn run(&self, machine: &mut Machine, measure: impl FnOnce(Stage, &mut Machine)) {
        (self.before)(machine);
        measure(self.stage, machine);
        (self.after)(machine);
    }
}

/// A fixed, edge-triggered interrupt on this vector, Linux's for calling a function.
const VECTOR: u32 = 0xFB;
/// One as devices have them.
const LOWER_VECTOR: u32 = 0x40;
const LOGICAL: u32 = 1 << 11;
const ALL_BUT_SENDER: u32 = 3 << 18;

const fn icr(low: u32, destination: u32) -> u64 {
    (destination as u64) << 32 | low as u64
}

fn unicast_page(count: u32) -> Machine {
    Machine::new(Door::Page, count).access(Access::page(0x300, VECTOR))
}

fn unicast_msr(count: u32) -> Machine {
    Machine::new(Door::Msr, count).access(Access::msr(0x830, icr(VECTOR, TARGET_ID)))
}

fn unicast_lower() -> Machine {
    Machine::new(Door::Msr, 2).access(Access::msr(0x830, icr(LOWER_VECTOR, TARGET_ID)))
}

/// Eight APICs have a bit each, the command goes to all but the sender's.
fn flat(count: u32) -> Machine {
    let bit = |id: u32| 1u8.checked_shl(id).unwrap_or(0);
    let mut machine = Machine::with_logical_ids(Door::Page, count, bit)
        .access(Access::page(0x300, LOGICAL | VECTOR));
    machine.first = Access::page(0x310, 0xFE << 24);
    machine
}

/// The command goes to fifteen of the sixteen APICs of the sender's cluster.
fn cluster(count: u32) -> Machine {
    Machine::new(Door::Msr, count).access(Access::msr(0x830, icr(LOGICAL | VECTOR, 0xFFFE)))
}

fn all_but_sender(count: u32) -> Machine {
    Machine::new(Door::Msr, count).access(Access::msr(0x830, icr(ALL_BUT_SENDER | VECTOR, 0)))
}

fn page(offset: u32, value: u32) -> Machine {
    Machine::new(Door::Page, 2).access(Access::page(offset, value))
}

fn msr(number: u32, value: u64) -> Machine {
    Machine::new(Door::Msr, 2).access(Access::msr(number, value))
}

/// The list.
pub(crate) fn list() -> Vec<Work> {
    use stages::*;
    let on_page = || unicast_page(2);
    let on_msr = || unicast_msr(2);
    vec![
        Work::new("send, xAPIC (ICR2 + ICR), 2 APICs", 95, on_page, send_page),
        Work::new(
            "send, xAPIC (ICR2 + ICR), 255 APICs",
            95,
            || unicast_page(255),
            send_page,
        ),
        Work::new("send, x2APIC, 2 APICs", 75, on_msr, write_msr),
        Work::new(
            "send, x2APIC, 1024 APICs",
            75,
            || unicast_msr(1024),
            write_msr,
        ),
        Work::new("drain + acknowledge", 65, on_msr, drain_acknowledge).around(write_msr, end_msr),
        Work::new(
            "drain + acknowledge, vector below 192",
            65,
            unicast_lower,
            drain_acknowledge,
        )
        .around(write_msr, end_msr),
        Work::new("drain, nothing waits", 26, on_msr, drain),
        Work::new("EOI, xAPIC", 50, on_page, end_page).around(
            |machine| {
                send_page(machine);
                drain_acknowledge(machine);
            },
            nothing,
        ),
        Work::new("EOI, x2APIC", 50, on_msr, end_msr).around(
            |machine| {
                write_msr(machine);
                drain_acknowledge(machine);
            },
            nothing,
        ),
        Work::new("life cycle, xAPIC", 205, on_page, life_page),
        Work::new("life cycle, x2APIC", 190, on_msr, life_msr),
        Work::new("flat logical to 7 of 8", 340, || flat(8), send_page),
        Work::new("flat logical to 7 of 255", 340, || flat(255), send_page),
        Work::new("x2APIC cluster to 15 of 16", 530, || cluster(16), write_msr),
        Work::new(
            "x2APIC cluster to 15 of 1024",
            530,
            || cluster(1024),
            write_msr,
        ),
        Work::new(
            "all but self, per target of 63",
            22,
            || all_but_sender(64),
            write_msr,
        )
        .per(63),
        Work::new(
            "all but self, per target of 1023",
            22,
            || all_but_sender(1024),
            write_msr,
        )
        .per(1023),
        Work::new("TPR write, xAPIC", 25, || page(0x80, 0x20), write_page),
        Work::new("TPR write, x2APIC", 25, || msr(0x808, 0x20), write_msr),
        Work::new(
            "timer arm, xAPIC",
            65,
            || page(0x380, 1_000_000),
            write_page,
        ),
        Work::new("timer arm, x2APIC", 65, || msr(0x838, 1_000_000), write_msr),
        Work::new(
            "LVT LINT0 write, xAPIC",
            52,
            || page(0x350, 0x10700),
            write_page,
        ),
        Work::new(
            "LVT LINT0 write, x2APIC",
            52,
            || msr(0x835, 0x10700),
            write_msr,
        ),
        Work::new("read ID, xAPIC", 28, || page(0x20, 0), read_page),
        Work::new("read ID, x2APIC", 28, || msr(0x802, 0), read_msr),
    ]
}
