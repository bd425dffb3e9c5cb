//! What is counted along the time, by the millisecond.
//!
//! A thread's exits are known only when they are over, so changes do not come in the order of time;
//! they are kept by the millisecond, and only those milliseconds in which something changed.

use std::collections::BTreeMap;

/// Length of a step.
const STEP_NS: u64 = 1_000_000;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Counter {
    /// IPIs and devices' interrupts sent, a second.
    Sent,
    /// Vectors that were posted and not injected, at the end of the millisecond.
    Pending,
    /// vCPUs in the guest, on average.
    InGuest,
}

impl Counter {
    pub(super) const ALL: [Self; 3] = [Self::Sent, Self::Pending, Self::InGuest];

    /// Its name and its unit.
    pub(super) const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Sent => ("interrupts sent", "1/s"),
            Self::Pending => ("vectors pending", "vectors"),
            Self::InGuest => ("vCPUs in guest", "vCPUs"),
        }
    }
}

/// Changes of every counter, by step.
#[derive(Default)]
pub(super) struct Counters {
    sent: BTreeMap<u64, i64>,
    pending: BTreeMap<u64, i64>,
    /// Nanoseconds in the guest in one step, beyond those of vCPUs that were there for all of it.
    partly: BTreeMap<u64, u64>,
    /// Changes of the number of vCPUs that are there for whole steps.
    wholly: BTreeMap<u64, i64>,
}

impl Counters {
    /// Something has happened so many times.
    pub(super) fn add(&mut self, counter: Counter, at: u64, change: i64) {
        let steps = match counter {
            Counter::Sent => &mut self.sent,
            Counter::Pending => &mut self.pending,
            Counter::InGuest => &mut self.wholly,
        };
        *steps.entry(at / STEP_NS).or_default() += change;
    }

    /// A vCPU was in the guest.
    pub(super) fn in_guest(&mut self, from: u64, to: u64) {
        let (first, last) = (from / STEP_NS, to / STEP_NS);
        if first == last {
            *self.partly.entry(first).or_default() += to - from;
            return;
        }
        *self.partly.entry(first).or_default() += (first + 1).saturating_mul(STEP_NS) - from;
        *self.partly.entry(last).or_default() += to - last * STEP_NS;
        self.add(Counter::InGuest, (first + 1).saturating_mul(STEP_NS), 1);
        self.add(Counter::InGuest, to, -1);
    }

    /// The values of a counter, each with the time from which it holds.
    #[expect(clippy::cast_precision_loss, reason = "a value to be drawn")]
    pub(super) fn values(&self, counter: Counter) -> Vec<(u64, f64)> {
        let mut values = Vec::new();
        let mut say = |step: u64, value: f64| {
            let last = values.last().map(|&(_, value)| value);
            if last != Some(value) {
                values.push((step.saturating_mul(STEP_NS), value));
            }
        };
        match counter {
            Counter::Sent => {
                let mut next = 0;
                for (&step, &count) in &self.sent {
                    if step > next {
                        say(next, 0.0);
                    }
                    say(step, count as f64 * (1e9 / STEP_NS as f64));
                    next = step + 1;
                }
                say(next, 0.0);
            }
            Counter::Pending => {
                let mut waiting = 0;
                for (&step, &change) in &self.pending {
                    waiting += change;
                    say(step, waiting as f64);
                }
            }
            Counter::InGuest => {
                let mut steps: Vec<u64> = self.partly.keys().copied().collect();
                steps.extend(self.partly.keys().map(|step| step + 1));
                steps.extend(self.wholly.keys());
                steps.sort_unstable();
                steps.dedup();
                let mut whole = 0;
                for step in steps {
                    whole += self.wholly.get(&step).unwrap_or(&0);
                    let part = *self.partly.get(&step).unwrap_or(&0);
                    say(step, whole as f64 + part as f64 / STEP_NS as f64);
                }
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_a_rate_that_falls_back_to_none() {
        let mut counters = Counters::default();
        for at in [2_000_000, 2_999_999, 5_500_000] {
            counters.add(Counter::Sent, at, 1);
        }
        assert_eq!(
            counters.values(Counter::Sent),
            [
                (0, 0.0),
                (2_000_000, 2000.0),
                (3_000_000, 0.0),
                (5_000_000, 1000.0),
                (6_000_000, 0.0)
            ]
        );
    }

    #[test]
    fn what_waits_is_a_level() {
        let mut counters = Counters::default();
        // In any order.
        counters.add(Counter::Pending, 4_000_000, -1);
        counters.add(Counter::Pending, 1_000_000, 2);
        counters.add(Counter::Pending, 1_000_001, -1);
        assert_eq!(
            counters.values(Counter::Pending),
            [(1_000_000, 1.0), (4_000_000, 0.0)]
        );
    }

    #[test]
    fn time_in_the_guest_is_shared_out_among_the_steps() {
        let mut counters = Counters::default();
        counters.in_guest(500_000, 3_250_000);
        counters.in_guest(1_000_000, 1_500_000);
        assert_eq!(
            counters.values(Counter::InGuest),
            [
                (0, 0.5),
                (1_000_000, 1.5),
                (2_000_000, 1.0),
                (3_000_000, 0.25),
                (4_000_000, 0.0)
            ]
        );
    }
}
