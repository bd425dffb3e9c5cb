//! When a timer fires: by the guest's own stamps, never before its time, and not long after.
//!
//! The lower bound is exact but for the unit of a stamp. A loaded host may keep a processor waiting,
//! so the upper one is generous for each expiry; but of many of a kind a part must have been prompt.

use std::collections::BTreeMap;
use std::fmt;

use super::clock::{Clock, DEADLINE_MODE, DRIFT, LVT_TIMER, Start, elapsed};
use super::execute::Answers;
use super::model::Model;
use super::operation::{Action, Operation};

const MASKED: u32 = 1 << 16;
const PERIODIC: u32 = 1 << 17;

/// A timer that does not wait.
pub(super) const TOO_EARLY: &str = "a timer that fires too early";

/// A timer that makes wait, or a host that does: the same script tells, run again.
pub(super) const TOO_LATE: &str = "a timer that fires too late";

/// How late one expiry may be seen, in ns: within the guest's patience, which is 500 ms.
const LATE: u64 = 350_000_000;

/// Expiries of a kind after which a part must have been prompt: not all can meet a busy host.
const ENOUGH: u64 = 50;
/// One in so many.
const PART: u64 = 20;

/// What a timer may do wrong on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Expires after a count of so many cycles each.
    OneShot(u64),
    /// Expires for the first time.
    Periodic,
    /// Expires once more, a period later.
    Again,
    /// Expires at a deadline.
    Deadline,
}

/// What a wait for the timer's vector tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing of the timer.
    Unknown,
    /// The request was there before the timer can have fired.
    Early,
    /// It was seen after it was due.
    Due {
        /// By so many ns at most.
        late: u64,
        /// The timer.
        kind: Kind,
        /// Before as much time again had gone by: a timer at half its rate hardly ever is.
        prompt: bool,
    },
}

impl Expiry {
    /// What is wrong with a timer that fires so.
    pub(super) const fn fault(self) -> Option<&'static str> {
        match self {
            Self::Early => Some(TOO_EARLY),
            Self::Due { late, .. } if late > LATE => Some(TOO_LATE),
            Self::Unknown | Self::Due { .. } => None,
        }
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Early => f.write_str(" (too early)"),
            Self::Due { late, .. } => write!(f, " ({late} ns late at most)"),
        }
    }
}

/// How many timers of each kind a machine had, and how many of them were prompt.
#[derive(Clone, Debug, Default)]
pub struct Punctuality(BTreeMap<Kind, [u64; 2]>);

impl Punctuality {
    pub(super) fn note(&mut self, expiry: Expiry) {
        if let Expiry::Due { kind, prompt, .. } = expiry {
            let [seen, in_time] = self.0.entry(kind).or_default();
            *seen += 1;
            *in_time += u64::from(prompt);
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (kind, counts) in &other.0 {
            let sums = self.0.entry(*kind).or_default();
            sums.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        }
    }

    /// How many kinds were seen often enough to be judged.
    #[must_use]
    pub fn judged(&self) -> usize {
        let judged = self.0.values().filter(|[seen, _]| *seen >= ENOUGH);
        judged.count()
    }

    /// The kinds that are late as a rule.
    pub(super) fn late(&self) -> impl Iterator<Item = Kind> {
        let late = |[seen, in_time]: [u64; 2]| seen >= ENOUGH && in_time < seen / PART;
        let kinds = self.0.iter().filter(move |(_, counts)| late(**counts));
        kinds.map(|(kind, _)| *kind)
    }
}

impl fmt::Display for Punctuality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = self.0.iter();
        kinds.try_for_each(|(kind, [seen, in_time])| write!(f, " {kind:?} {in_time}/{seen}"))
    }
}

impl Clock {
    /// What the wait `at` tells of the timer, before the model executes it.
    pub(super) fn expiry(
        &self,
        model: &Model,
        operation: &Operation,
        at: usize,
        answers: &Answers,
    ) -> Expiry {
        let Action::Await(_, vector) = operation.action else {
            return Expiry::Unknown;
        };
        let processor = operation.processor;
        let entry = model.register(processor, LVT_TIMER);
        let fires = entry & (0xFF | MASKED) == u32::from(vector)
            && !model.apic(processor).requests().contains(vector);
        let mode = entry & (PERIODIC | DEADLINE_MODE);
        let start = match mode {
            DEADLINE_MODE => self.deadlines.get(&processor),
            _ => self.starts.get(&processor),
        };
        let Some(start) = start.filter(|start| fires && start.steady && start.count != 0) else {
            return Expiry::Unknown;
        };
        let taken = start.taken(vector, answers);
        if answers.outcomes[at].value == 0 || taken != 0 && mode != PERIODIC {
            return Expiry::Unknown;
        }
        let period = start.count * start.divisor;
        if start.periods(at, answers) < taken + 1 {
            return Expiry::Early;
        }
        let until_seen = |from: u32| answers.nanoseconds(elapsed(answers.stamp(at), from));
        let since_start = until_seen(answers.stamp(start.at));
        let waited = until_seen(answers.before(at));
        let due = period * (taken + 1);
        // Once taken, the next request may come a whole period after the wait began.
        let late = match taken {
            0 => since_start.saturating_sub(period).min(waited),
            _ => waited.saturating_sub(period),
        };
        let kind = match (mode, taken) {
            (0, _) => Kind::OneShot(start.divisor),
            (PERIODIC, 0) => Kind::Periodic,
            (PERIODIC, _) => Kind::Again,
            _ => Kind::Deadline,
        };
        Expiry::Due {
            late,
            kind,
            prompt: since_start.saturating_sub(due) < period,
        }
    }

    /// The vector of which a window takes as many as periods go by, if this machine's can have.
    pub(super) fn repeats(
        &self,
        model: &Model,
        operation: &Operation,
        at: usize,
        answers: &Answers,
    ) -> Option<u8> {
        let entry = model.register(operation.processor, LVT_TIMER);
        let start = self.starts.get(&operation.processor)?;
        let runs = start.count != 0 && entry & (PERIODIC | MASKED | DEADLINE_MODE) == PERIODIC;
        if !runs || !matches!(operation.action, Action::Window(_)) {
            return None;
        }
        let vector = entry.to_le_bytes()[0];
        let possible = start.taken(vector, answers) <= start.periods(at, answers);
        (!start.steady || possible).then_some(vector)
    }
}

impl Start {
    /// How often the vector was taken since.
    fn taken(&self, vector: u8, answers: &Answers) -> u64 {
        let taken = self.windows.iter().map(|&window| {
            let interrupts = &answers.outcomes[window].interrupts;
            interrupts.iter().filter(|&&taken| taken == vector).count() as u64
        });
        taken.sum()
    }

    /// Most periods that can have gone by since, when operation `at` is over.
    fn periods(&self, at: usize, answers: &Answers) -> u64 {
        let most = elapsed(answers.stamp(at), answers.before(self.at)).saturating_add(1);
        let most = answers.nanoseconds(most);
        (most + most / DRIFT) / (self.count * self.divisor).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::Traits;
    use super::super::operation::{End, Outcome};
    use super::super::setup::{Accesses, PAGE};
    use super::*;

    /// One unit of a stamp is 1000 ns then.
    const KHZ: u64 = 1_024_000;
    const VECTOR: u8 = 0x51;

    const ONE_SHOT: Kind = Kind::OneShot(2);

    const fn due(kind: Kind, late: u64, prompt: bool) -> Expiry {
        Expiry::Due { late, kind, prompt }
    }

    /// A timer of 100 us, as 50 000 ticks of 2 ns, started by operation 1; waited for by operation
    /// 2, and by 4 after a window that took it `taken` times.
    fn expiry(mode: u32, at: usize, taken: usize, stamps: [u32; 5]) -> Expiry {
        let mut model = Model::new(1, Traits::PLAIN);
        let entry = u64::from(mode) | u64::from(VECTOR);
        let ready = Accesses::of(0).write(0xF0, 0x1FF).write(0x320, entry);
        for operation in ready.list() {
            model.execute(&operation);
        }
        let start = Start {
            windows: if at == 4 { vec![3] } else { Vec::new() },
            ..Start::new(1, 50_000, 2)
        };
        let mut clock = Clock::default();
        let starts = match mode {
            DEADLINE_MODE => &mut clock.deadlines,
            _ => &mut clock.starts,
        };
        starts.insert(0, start);
        let mut outcomes = vec![Outcome::default(); 5];
        outcomes[at].value = 1;
        outcomes[3].interrupts = vec![VECTOR; taken];
        let answers = Answers {
            outcomes,
            stamps: stamps.to_vec(),
            pages: Vec::new(),
            tsc_khz: KHZ,
        };
        let operation = Operation {
            processor: 0,
            action: Action::Await(PAGE + 0x200, VECTOR),
        };
        clock.expiry(&model, &operation, at, &answers)
    }

    #[test]
    fn a_timer_that_fires_at_once_or_ignores_its_divisor_is_early() {
        assert_eq!(expiry(0, 2, 0, [10, 12, 14, 0, 0]), Expiry::Early);
        assert_eq!(expiry(0, 2, 0, [10, 12, 70, 0, 0]), Expiry::Early);
        assert_eq!(expiry(0, 2, 0, [10, 12, 108, 0, 0]), Expiry::Early);
        let seen = |stamp| expiry(0, 2, 0, [10, 12, stamp, 0, 0]);
        assert_eq!(seen(110), due(ONE_SHOT, 0, true));
        assert_eq!(seen(211), due(ONE_SHOT, 99_000, true));
        assert_eq!(seen(212), due(ONE_SHOT, 100_000, false), "at half its rate");
    }

    #[test]
    fn a_deadline_is_timed_by_its_own_start() {
        // Of the count that the start stands for, none is left in this mode.
        let deadline = |stamps| expiry(DEADLINE_MODE, 2, 0, stamps);
        assert_eq!(deadline([10, 12, 70, 0, 0]), Expiry::Early);
        assert_eq!(deadline([10, 12, 110, 0, 0]), due(Kind::Deadline, 0, true));
    }

    #[test]
    fn a_timer_that_is_late_is_found() {
        let late = expiry(0, 2, 0, [10, 12, 400_112, 0, 0]);
        assert_eq!(late, due(ONE_SHOT, 400_000_000, false));
        assert_eq!(late.fault(), Some(TOO_LATE));
        assert_eq!(Expiry::Early.fault(), Some(TOO_EARLY));
        assert_eq!(due(ONE_SHOT, 200_000_000, false).fault(), None);
    }

    #[test]
    fn the_second_period_takes_two() {
        let second = |taken, seen| expiry(PERIODIC, 4, taken, [10, 12, 115, 150, seen]);
        assert_eq!(second(1, 160), Expiry::Early);
        assert_eq!(second(1, 208), Expiry::Early);
        let periodic = |late, prompt| due(Kind::Again, late, prompt);
        assert_eq!(second(1, 212), periodic(0, true));
        assert_eq!(second(2, 212), Expiry::Early, "two were taken: too many");
        assert_eq!(second(1, 350), periodic(100_000, false));
    }

    #[test]
    fn a_busy_host_is_not_a_late_timer_but_a_kind_that_is_late_as_a_rule_is() {
        let mut timers = Punctuality::default();
        let late = due(ONE_SHOT, 200_000_000, false);
        (0..ENOUGH - 1).for_each(|_| timers.note(late));
        assert_eq!(timers.late().count(), 0);
        timers.note(late);
        assert!(timers.late().eq([ONE_SHOT]));
        // Another kind says nothing of it, and a one of its own is luck.
        timers.note(due(Kind::Again, 0, true));
        let prompt = due(ONE_SHOT, 0, true);
        timers.note(prompt);
        assert!(timers.late().eq([ONE_SHOT]));
        let mut total = Punctuality::default();
        total.note(prompt);
        total.add(&timers);
        assert_eq!(total.late().count(), 0);
        assert_eq!(total.to_string(), " OneShot(2) 2/52 Again 1/1");
    }

    #[test]
    fn a_window_takes_no_more_of_a_vector_than_periods_can_have_gone_by() {
        let repeats = |taken, until| {
            let mut model = Model::new(1, Traits::PLAIN);
            let entry = u64::from(PERIODIC) | u64::from(VECTOR);
            for operation in Accesses::of(0)
                .write(0xF0, 0x1FF)
                .write(0x320, entry)
                .list()
            {
                model.execute(&operation);
            }
            let mut clock = Clock::default();
            let start = Start {
                windows: vec![2],
                ..Start::new(1, 50_000, 2)
            };
            clock.starts.insert(0, start);
            let mut outcomes = vec![Outcome::default(); 3];
            outcomes[2].interrupts = vec![VECTOR; taken];
            let answers = Answers {
                outcomes,
                stamps: vec![10, 12, until],
                pages: Vec::new(),
                tsc_khz: KHZ,
            };
            let window = Operation {
                processor: 0,
                action: Action::Window(End::Leave),
            };
            clock.repeats(&model, &window, 2, &answers)
        };
        assert_eq!(repeats(3, 320), Some(VECTOR));
        assert_eq!(repeats(3, 300), None, "two periods, and three interrupts");
    }
}
