//! States and KVM pages of any content: refused, or restored to what they say and driven further.

use arbitrary::{Arbitrary, Unstructured};
use vapic::snapshot::{Snapshot, page};
use vapic::spec::lvt::{LvtEntry, LvtSource};
use vapic::{Config, LocalApic, Mode};

use crate::input::{Base, Input, Model, Number, Source, Value, some, to_the_end};
use crate::machine::Machine;
use crate::promises;

#[derive(Arbitrary, Debug)]
struct Case {
    model: Model,
    bootstrap: bool,
    id: u16,
    now: u32,
    state: State,
    #[arbitrary(with = to_the_end)]
    inputs: Vec<(u8, Input)>,
}

#[derive(Arbitrary, Debug)]
enum State {
    /// The state after power-up, changed.
    Changed(#[arbitrary(with = some)] Vec<Change>),
    /// The page after power-up with other values in some registers, and IA32_APIC_BASE.
    Page(Base, #[arbitrary(with = some)] Vec<(Number, Value)>),
}

/// A field and its value.
#[derive(Arbitrary, Debug)]
enum Change {
    Base(Base),
    XapicId(u8),
    LogicalId(u8),
    DestinationFormat(u8),
    TaskPriority(u8),
    Spurious(Value),
    Request(u8),
    InService(u8),
    Level(u8),
    Command(u64),
    Lvt(Source, Value),
    TimerInitial(u32),
    TimerDivide(u8),
    TimerRemaining(Option<u32>),
    AnyTimerRemaining(u64),
    TscDeadline(u64),
    Errors(Value, Value),
    Nmis(u8),
    Latched {
        smi: bool,
        ext_int: bool,
        waiting: bool,
    },
    Lint(bool, bool),
}

impl Change {
    fn apply(self, to: &mut Snapshot) {
        match self {
            Self::Base(base) => to.base = base.bits(),
            Self::XapicId(id) => to.xapic_id = id,
            Self::LogicalId(id) => to.logical_id = id,
            Self::DestinationFormat(format) => to.destination_format = format,
            Self::TaskPriority(priority) => to.task_priority = priority,
            Self::Spurious(value) => to.spurious = value.bits(),
            Self::Request(vector) => to.requests.insert(vector),
            Self::InService(vector) => to.in_service.insert(vector),
            Self::Level(vector) => to.level.insert(vector),
            Self::Command(command) => to.command = command,
            Self::Lvt(source, value) => to.lvt[source.get() as usize] = value.bits(),
            Self::TimerInitial(count) => to.timer_initial = count,
            Self::TimerDivide(divide) => to.timer_divide = divide.into(),
            Self::TimerRemaining(left) => to.timer_remaining = left.map(u64::from),
            Self::AnyTimerRemaining(left) => to.timer_remaining = Some(left),
            Self::TscDeadline(deadline) => to.tsc_deadline = deadline,
            Self::Errors(visible, collected) => {
                (to.errors_visible, to.errors_collected) = (visible.bits(), collected.bits());
            }
            Self::Nmis(nmis) => to.nmis = nmis,
            Self::Latched {
                smi,
                ext_int,
                waiting,
            } => {
                (to.smi, to.ext_int, to.waiting_for_start_up) = (smi, ext_int, waiting);
            }
            Self::Lint(zero, one) => to.lint_asserted = [zero, one],
        }
    }
}

impl State {
    fn of(self, config: Config) -> Snapshot {
        let mut fresh = LocalApic::new(config).save(0);
        match self {
            Self::Changed(changes) => {
                for change in changes {
                    change.apply(&mut fresh);
                }
                fresh
            }
            Self::Page(base, writes) => {
                let mut page = fresh.to_page(config);
                for (number, value) in writes {
                    let at = number.offset() as usize;
                    page[at..at + 4].copy_from_slice(&value.bits().to_le_bytes());
                }
                Snapshot::from_page(&page, base.bits())
            }
        }
    }
}

/// Does what the bytes stand for.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(data: &[u8]) {
    let Ok(case) = Case::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let config = case.model.config(case.id.into(), case.bootstrap);
    let now = u64::from(case.now);
    let snapshot = case.state.of(config);
    let Ok(apic) = LocalApic::restore(config, &snapshot, now) else {
        return;
    };
    // What is due at once has happened when it is saved.
    if snapshot.timer_remaining != Some(0) {
        let xapic_id = match apic.mode() {
            // Restored as after power-up.
            Mode::Disabled => config.id.to_le_bytes()[0],
            Mode::Xapic | Mode::X2apic => snapshot.xapic_id,
        };
        let expected = Snapshot {
            xapic_id,
            ..snapshot
        };
        assert_eq!(promises::at(&apic, now), expected);
    }
    promises::check(&apic, config, now);
    there_and_back(&apic, config, now);
    let other = case.model.config(u32::from(case.id) ^ 1, !case.bootstrap);
    // The fabric's bound of IDs.
    if case.id < 0x7FFF {
        let mut machine = Machine::of(vec![(config, apic), (other, LocalApic::new(other))]);
        machine.now = now;
        for (cpu, input) in case.inputs {
            machine.perform(cpu, input);
        }
        let [apic, ..] = machine.apics.as_slice() else {
            return;
        };
        there_and_back(apic, config, machine.now);
    }
}

/// Through the page: it keeps what it has room for, and what comes back can be restored.
fn there_and_back(apic: &LocalApic, config: Config, now: u64) {
    let mut saved = promises::at(apic, now);
    let entry = |source: LvtSource| LvtEntry::from_bits(saved.lvt[source as usize]);
    let timer = entry(LvtSource::Timer);
    let counts = timer.periodic() && !timer.tsc_deadline() && saved.timer_initial != 0;
    if counts && saved.timer_remaining.is_none() {
        // A periodic count of zero is taken for one that goes on.
        return;
    }
    let lint0 = entry(LvtSource::Lint0);
    let vector = lint0.vector();
    let waits = saved.requests.contains(vector) || saved.in_service.contains(vector);
    if !waits || !saved.level.contains(vector) {
        // The page has no room for the vector that the remote IRR is of.
        saved.lvt[LvtSource::Lint0 as usize] = lint0.with_remote_irr(false).into_bits();
    }
    let bytes: [u8; page::SIZE] = saved.to_page(config);
    let back = Snapshot::from_page(&bytes, saved.base);
    let restored = LocalApic::restore(config, &back, now);
    let mut restored = restored.expect("a page that an APIC shows");
    assert_eq!(restored.save(now).to_page(config), bytes);
    let kept = |state: &Snapshot| {
        let Snapshot {
            requests,
            in_service,
            level,
            lvt,
            spurious,
            ..
        } = state;
        (
            *requests,
            *in_service,
            *level,
            *lvt,
            *spurious,
            state.task_priority,
            state.command,
        )
    };
    assert_eq!(kept(&back), kept(&saved));
}
