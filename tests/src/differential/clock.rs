//! What a running timer may show: its current count is checked against the guest's own clock,
//! since two machines cannot be asked at the same time.

use std::collections::HashMap;

use vapic::spec::register::Register;
use vapic::{IA32_TSC_DEADLINE, Mode};

use super::access::{Access, Door};
use super::execute::Answers;
use super::model::Model;
use super::operation::{Action, Operation};

pub(super) const LVT_TIMER: u32 = 0x32;
pub(super) const DEADLINE_MODE: u32 = 1 << 18;
const INITIAL_COUNT: u32 = 0x38;
const DIVIDE: u32 = 0x3E;

/// The clocks of the host and of the guest's TSC may differ by this part.
pub(super) const DRIFT: u64 = 1000;

/// A start of a processor's timer.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) at: usize,
    pub(super) count: u64,
    pub(super) divisor: u64,
    /// The divisor has not changed since.
    pub(super) steady: bool,
    /// The windows of the processor since.
    pub(super) windows: Vec<usize>,
}

impl Start {
    pub(super) const fn new(at: usize, count: u64, divisor: u64) -> Self {
        Self {
            at,
            count,
            divisor,
            steady: true,
            windows: Vec::new(),
        }
    }
}

/// The timers of all processors, as a script sets them.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) starts: HashMap<u8, Start>,
    /// Deadlines a little ahead, as counts of nanoseconds.
    pub(super) deadlines: HashMap<u8, Start>,
}

impl Clock {
    /// Whether an operation reads a current count, or a part of one.
    pub(super) fn is_asked(model: &Model, operation: &Operation) -> bool {
        let reads = !matches!(
            operation.action,
            Action::WriteMsr(..) | Action::WritePage(..)
        );
        let count = |access: Access| {
            let within = match access.door {
                Door::Msr => true,
                // However many bytes it takes beyond the register's four.
                Door::Page(first, _) => first < 4,
            };
            access.register == Some(Register::TimerCurrentCount) && within
        };
        reads && model.access(operation).is_some_and(count)
    }

    /// Follows operation `at`, before the model executes it: one that faults has set nothing.
    pub(super) fn follow(&mut self, model: &Model, operation: &Operation, at: usize, faults: bool) {
        let processor = operation.processor;
        let has_deadline = model.register(processor, LVT_TIMER) & DEADLINE_MODE != 0;
        if let (Action::WriteDeadline(us), true) = (operation.action, has_deadline && !faults) {
            let start = Start::new(at, u64::from(us) * 1000, 1);
            self.deadlines.insert(processor, start);
        } else if matches!(operation.action, Action::WriteMsr(IA32_TSC_DEADLINE, _)) {
            self.deadlines.remove(&processor);
        }
        if model.apic(processor).mode() == Mode::Disabled {
            self.forget(processor);
        }
        for target in model.initialised(operation) {
            self.forget(target);
        }
        if let (Action::Window(_), Some(start)) =
            (operation.action, self.starts.get_mut(&processor))
        {
            start.windows.push(at);
        }
        let access = model.access(operation).filter(Access::is_whole);
        let access = access.filter(|_| !faults);
        let Some((index, value)) = access.and_then(|access| Some((access.index, access.written?)))
        else {
            return;
        };
        let start = self.starts.get_mut(&processor);
        match (index, start) {
            // To and from TSC-deadline mode the count is cleared; in it there is none.
            (LVT_TIMER, _) if (value & u64::from(DEADLINE_MODE) != 0) != has_deadline => {
                self.forget(processor);
            }
            (INITIAL_COUNT, _) if u32::try_from(value).is_ok() && !has_deadline => {
                let start = Start::new(at, value, divisor(model.register(processor, DIVIDE)));
                self.starts.insert(processor, start);
            }
            (DIVIDE, Some(start)) => {
                let same = u32::try_from(value).is_ok_and(|value| divisor(value) == start.divisor);
                start.steady &= same;
            }
            _ => {}
        }
    }

    /// The processor's timer is as if it had never been started.
    fn forget(&mut self, processor: u8) {
        self.starts.remove(&processor);
        self.deadlines.remove(&processor);
    }

    /// Whether a count read by operation `at` is one that the timer can have had.
    pub(super) fn allows(&self, operation: &Operation, at: usize, answers: &Answers) -> bool {
        let read = answers.outcomes[at].value;
        // Where the part that is read begins within the count, and which bits it has.
        let (first, bits) = match operation.action {
            Action::ReadPage(address, width) if address & 0xF != 0 || width != 4 => {
                let first = address & 0xF;
                if first + u32::from(width) > 4 {
                    // What lies beyond it is undefined.
                    return true;
                }
                (first * 8, u64::MAX >> (64 - 8 * u32::from(width)))
            }
            _ => (0, u64::MAX),
        };
        let Some(start) = self.starts.get(&operation.processor) else {
            // Nothing counts: the mode has no count, or none has been loaded.
            return read == 0;
        };
        if !start.steady {
            return bits != u64::MAX || read <= start.count;
        }
        // An operation happens between the stamp before it and its own.
        let least = elapsed(answers.before(at), answers.stamp(start.at)).saturating_sub(1);
        let most = elapsed(answers.stamp(at), answers.before(start.at)).saturating_add(1);
        let (least, most) = (answers.nanoseconds(least), answers.nanoseconds(most));
        let least = least - least / DRIFT;
        let most = most + most / DRIFT;
        let lowest = start.count.saturating_sub(most / start.divisor + 2);
        let highest = start.count.saturating_sub(least / start.divisor) + 1;
        let (lowest, highest) = (lowest >> first, highest.min(start.count) >> first);
        read.wrapping_sub(lowest) & bits <= highest - lowest
    }
}

/// From one stamp to another; stamps of two processors may disagree on the order of neighbours.
pub(super) const fn elapsed(later: u32, earlier: u32) -> u32 {
    match later.wrapping_sub(earlier) {
        backwards if backwards >> 31 != 0 => 0,
        units => units,
    }
}

/// What the divide configuration register divides by.
pub(super) const fn divisor(register: u32) -> u64 {
    1 << (((register >> 1 & 4 | register & 3) + 1) & 7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differential::Traits;
    use crate::differential::operation::Outcome;
    use crate::differential::setup::PAGE;

    /// One unit of a stamp is 1000 ns then.
    const KHZ: u64 = 1_024_000;
    const READ: Operation = Operation {
        processor: 0,
        action: Action::ReadMsr(0x839),
    };

    /// A timer that operation 0 started.
    fn started(count: u64) -> Clock {
        Clock {
            starts: HashMap::from([(0, Start::new(0, count, 1))]),
            ..Clock::default()
        }
    }

    /// Whether a timer started by operation 0 with a count of a million may show this in operation 2.
    fn allows(read: u64, stamps: [u32; 3]) -> bool {
        started(1_000_000).allows(&READ, 2, &answers(read, stamps))
    }

    fn answers(read: u64, stamps: [u32; 3]) -> Answers {
        let mut outcomes = vec![Outcome::default(); 3];
        outcomes[2].value = read;
        Answers {
            outcomes,
            stamps: stamps.to_vec(),
            pages: Vec::new(),
            tsc_khz: KHZ,
        }
    }

    #[test]
    fn a_count_is_right_if_the_guests_own_stamps_allow_it() {
        // Between 9 and 21 units have passed, a thousandth of drift beside.
        let stamps = [100, 110, 120];
        for (read, right) in [
            (991_011, false),
            (991_010, true),
            (985_000, true),
            (978_977, true),
            (978_976, false),
            (0, false),
        ] {
            assert_eq!(allows(read, stamps), right, "{read}");
        }
    }

    #[test]
    fn a_part_of_a_count_is_a_part_of_one_that_the_timer_can_have() {
        let part = |first, width, read| {
            let read_part = Operation {
                processor: 0,
                action: Action::ReadPage(PAGE + 0x390 + first, width),
            };
            let answers = answers(read, [100, 110, 120]);
            started(1_000_000).allows(&read_part, 2, &answers)
        };
        // From 978 977 to 991 010: EF011H to F1F22H.
        assert!(part(2, 2, 0xE) && part(2, 2, 0xF));
        assert!(!part(2, 2, 0xD) && !part(2, 2, 0x10) && !part(3, 1, 1));
        assert!(part(1, 1, 0xF0) && part(1, 1, 0x1F) && part(1, 1, 0));
        assert!(!part(1, 1, 0xEF) && !part(1, 1, 0x20));
        assert!(part(0, 1, 0x55), "every low byte comes by");
        assert!(part(3, 2, 0xFFFF), "undefined");
    }

    #[test]
    fn stamps_that_are_out_of_order_are_of_the_same_moment() {
        assert!(allows(1_000_000, [100, 99, 100]));
        assert!(!allows(900_000, [100, 99, 100]));
    }

    #[test]
    fn a_write_that_faults_stops_no_timer() {
        let traits = Traits::PLAIN;
        let model = Model::new(1, traits);
        let deadline = Operation {
            processor: 0,
            action: Action::WritePage(PAGE + (LVT_TIMER << 4), 4, u64::from(DEADLINE_MODE | 0x40)),
        };
        for faults in [false, true] {
            let mut clock = started(1);
            clock.follow(&model, &deadline, 1, faults);
            assert_eq!(clock.starts.is_empty(), !faults);
        }
    }

    #[test]
    fn a_timer_that_was_not_started_shows_nothing() {
        let clock = Clock::default();
        let shows = |read| clock.allows(&READ, 2, &answers(read, [0; 3]));
        assert!(shows(0));
        assert!(!shows(1));
    }
}
