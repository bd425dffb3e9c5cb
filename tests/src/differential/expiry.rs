//! When a timer fires: by the guest's own stamps, never before its time, and not long after.
//!
//! The lower bound is exact but for the unit of a stamp. A loaded host may keep a processor waiting,
//! so the upper one is generous for each expiry, and less so for the best of a script.

use std::fmt;

use super::clock::{Clock, DEADLINE_MODE, DRIFT, LVT_TIMER, elapsed};
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

/// How late the promptest of [`ENOUGH`] expiries may be seen, in ns.
const PROMPT: u64 = 20_000_000;

/// Expiries after which one must have been prompt: not all can meet a busy host.
const ENOUGH: usize = 8;

/// What a wait for the timer's vector tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing of the timer.
    Unknown,
    /// The request was there before the timer can have fired.
    Early,
    /// It was seen so many ns after it was due, at most.
    Due(u64),
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Early => f.write_str(" (too early)"),
            Self::Due(late) => write!(f, " ({late} ns late at most)"),
        }
    }
}

/// How late the expiries of one machine were.
#[derive(Debug, Default)]
pub(super) struct Punctuality {
    seen: usize,
    least: Option<u64>,
}

impl Punctuality {
    /// Adds an expiry, and says what is wrong with it if the timer cannot be one that works.
    pub(super) fn fault(&mut self, expiry: Expiry) -> Option<&'static str> {
        let late = match expiry {
            Expiry::Unknown => return None,
            Expiry::Early => return Some(TOO_EARLY),
            Expiry::Due(late) => late,
        };
        self.seen += 1;
        let least = self.least.map_or(late, |least| least.min(late));
        self.least = Some(least);
        (late > LATE || self.seen >= ENOUGH && least > PROMPT).then_some(TOO_LATE)
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
        tsc_khz: u64,
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
        let taken = start.windows.iter().map(|&window| {
            let interrupts = &answers.outcomes[window].interrupts;
            interrupts.iter().filter(|&&taken| taken == vector).count() as u64
        });
        let taken: u64 = taken.sum();
        if answers.outcomes[at].value == 0 || taken != 0 && entry & PERIODIC == 0 {
            return Expiry::Unknown;
        }
        let stamp = |index: usize| answers.stamps.get(index).copied().unwrap_or(0);
        let before = |index: usize| stamp(index.saturating_sub(1));
        let nanoseconds = |units: u32| u64::from(units) * 1024 * 1_000_000 / tsc_khz;
        let period = start.count * start.divisor;
        let most = nanoseconds(elapsed(stamp(at), before(start.at)).saturating_add(1));
        if most + most / DRIFT < period * (taken + 1) {
            return Expiry::Early;
        }
        let since_start = nanoseconds(elapsed(stamp(at), stamp(start.at)));
        let waited = nanoseconds(elapsed(stamp(at), before(at)));
        // Once taken, the next request may come a whole period after the wait began.
        Expiry::Due(match taken {
            0 => since_start.saturating_sub(period).min(waited),
            _ => waited.saturating_sub(period),
        })
    }

    /// The vector that a window may take several times, since periods go by while it is open.
    pub(super) fn repeats(&self, model: &Model, operation: &Operation) -> Option<u8> {
        let entry = model.register(operation.processor, LVT_TIMER);
        let start = self.starts.get(&operation.processor)?;
        let runs = start.count != 0 && entry & (PERIODIC | MASKED | DEADLINE_MODE) == PERIODIC;
        (runs && matches!(operation.action, Action::Window(_))).then(|| entry.to_le_bytes()[0])
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Start;
    use super::super::model::Traits;
    use super::super::operation::Outcome;
    use super::super::setup::{Accesses, PAGE};
    use super::*;

    /// One unit of a stamp is 1000 ns then.
    const KHZ: u64 = 1_024_000;
    const VECTOR: u8 = 0x51;

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
        };
        let operation = Operation {
            processor: 0,
            action: Action::Await(PAGE + 0x200, VECTOR),
        };
        clock.expiry(&model, &operation, at, &answers, KHZ)
    }

    #[test]
    fn a_timer_that_fires_at_once_or_ignores_its_divisor_is_early() {
        assert_eq!(expiry(0, 2, 0, [10, 12, 14, 0, 0]), Expiry::Early);
        assert_eq!(expiry(0, 2, 0, [10, 12, 70, 0, 0]), Expiry::Early);
        assert_eq!(expiry(0, 2, 0, [10, 12, 108, 0, 0]), Expiry::Early);
        assert_eq!(expiry(0, 2, 0, [10, 12, 110, 0, 0]), Expiry::Due(0));
    }

    #[test]
    fn a_deadline_is_timed_by_its_own_start() {
        // Of the count that the start stands for, none is left in this mode.
        let deadline = |stamps| expiry(DEADLINE_MODE, 2, 0, stamps);
        assert_eq!(deadline([10, 12, 70, 0, 0]), Expiry::Early);
        assert_eq!(deadline([10, 12, 110, 0, 0]), Expiry::Due(0));
    }

    #[test]
    fn a_timer_that_is_late_is_found() {
        let late = expiry(0, 2, 0, [10, 12, 400_112, 0, 0]);
        assert_eq!(late, Expiry::Due(400_000_000));
        assert_eq!(Punctuality::default().fault(late), Some(TOO_LATE));
    }

    #[test]
    fn the_second_period_takes_two() {
        let second = |taken, seen| expiry(PERIODIC, 4, taken, [10, 12, 115, 150, seen]);
        assert_eq!(second(1, 160), Expiry::Early);
        assert_eq!(second(1, 208), Expiry::Early);
        assert_eq!(second(1, 212), Expiry::Due(0));
        assert_eq!(second(2, 212), Expiry::Early, "two were taken: too many");
        assert_eq!(second(1, 350), Expiry::Due(100_000));
    }

    #[test]
    fn a_busy_host_is_not_a_late_timer_but_never_prompt_is() {
        let mut busy = Punctuality::default();
        assert_eq!(busy.fault(Expiry::Due(1000)), None);
        assert!((0..50).all(|_| busy.fault(Expiry::Due(200_000_000)).is_none()));
        let mut slow = Punctuality::default();
        assert!((0..7).all(|_| slow.fault(Expiry::Due(30_000_000)).is_none()));
        assert_eq!(slow.fault(Expiry::Due(30_000_000)), Some(TOO_LATE));
        assert_eq!(busy.fault(Expiry::Early), Some(TOO_EARLY));
    }
}
