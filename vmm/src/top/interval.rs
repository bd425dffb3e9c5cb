//! What happened between two snapshots of one run.

use std::collections::BTreeMap;

use crate::control::snapshot::{Snapshot, Times, Vcpu};

/// The differences of two snapshots.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Interval {
    /// How long it was.
    pub(super) seconds: f64,
    /// Each vCPU, by its number.
    pub(super) vcpus: Vec<Change>,
    /// Deliveries by source and target.
    pub(super) matrix: Vec<Vec<u64>>,
    /// Deliveries from devices.
    pub(super) from_devices: Vec<u64>,
}

/// What one vCPU did, or several together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) sent: BTreeMap<String, u64>,
    pub(super) injected: BTreeMap<String, u64>,
    pub(super) coalesced: u64,
    pub(super) refused: u64,
    pub(super) local_injected: u64,
    pub(super) exits: BTreeMap<String, Times>,
    pub(super) asleep_ns: u64,
    pub(super) send_to_inject: Times,
    pub(super) send_to_end: Times,
}

impl Interval {
    /// From `earlier` to `later`, or `None` if they are not of one run, or at one moment.
    #[expect(clippy::cast_precision_loss, reason = "seconds for people")]
    pub(super) fn between(earlier: &Snapshot, later: &Snapshot) -> Option<Self> {
        let same_run = earlier.about.pid == later.about.pid
            && earlier.uptime_ns < later.uptime_ns
            && earlier.vcpus.len() == later.vcpus.len();
        if !same_run {
            return None;
        }
        let vcpus = earlier.vcpus.iter().zip(&later.vcpus);
        let rows = earlier.matrix.iter().zip(&later.matrix);
        Some(Self {
            seconds: (later.uptime_ns - earlier.uptime_ns) as f64 / 1e9,
            vcpus: vcpus
                .map(|(then, now)| Change::between(then, now))
                .collect(),
            matrix: rows.map(|(then, now)| row(then, now)).collect(),
            from_devices: row(&earlier.from_devices, &later.from_devices),
        })
    }
}

impl Change {
    fn between(then: &Vcpu, now: &Vcpu) -> Self {
        let counts = |then: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>| {
            let added = |(name, &count): (&String, &u64)| {
                let before = then.get(name).copied().unwrap_or(0);
                (name.clone(), added(before, count))
            };
            now.iter().map(added).collect()
        };
        let exits = now.exits.iter().map(|(cause, now)| {
            let then = then.exits.get(cause).copied().unwrap_or_default();
            let times = Times {
                count: added(then.count, now.count),
                total_ns: added(then.outside_ns, now.outside_ns),
            };
            (cause.clone(), times)
        });
        let times = |then: Times, now: Times| Times {
            count: added(then.count, now.count),
            total_ns: added(then.total_ns, now.total_ns),
        };
        Self {
            sent: counts(&then.sent, &now.sent),
            injected: counts(&then.injected, &now.injected),
            coalesced: added(then.coalesced, now.coalesced),
            refused: added(then.refused, now.refused),
            local_injected: added(then.local_injected, now.local_injected),
            exits: exits.collect(),
            asleep_ns: added(then.asleep_ns, now.asleep_ns),
            send_to_inject: times(then.send_to_inject, now.send_to_inject),
            send_to_end: times(then.send_to_end, now.send_to_end),
        }
    }

    /// All exits together.
    pub(super) fn all_exits(&self) -> Times {
        let mut all = Times::default();
        self.exits.values().for_each(|times| add(&mut all, times));
        all
    }

    /// Takes in what another vCPU did.
    pub(super) fn accumulate(&mut self, other: &Self) {
        let Self {
            sent,
            injected,
            coalesced,
            refused,
            local_injected,
            exits,
            asleep_ns,
            send_to_inject,
            send_to_end,
        } = other;
        for (sum, counts) in [(&mut self.sent, sent), (&mut self.injected, injected)] {
            for (name, count) in counts {
                *sum.entry(name.clone()).or_default() += count;
            }
        }
        for (cause, times) in exits {
            add(self.exits.entry(cause.clone()).or_default(), times);
        }
        self.coalesced += coalesced;
        self.refused += refused;
        self.local_injected += local_injected;
        self.asleep_ns += asleep_ns;
        add(&mut self.send_to_inject, send_to_inject);
        add(&mut self.send_to_end, send_to_end);
    }
}

fn add(sum: &mut Times, times: &Times) {
    sum.count += times.count;
    sum.total_ns += times.total_ns;
}

fn row(then: &[u64], now: &[u64]) -> Vec<u64> {
    let then = then.iter().copied().chain(std::iter::repeat(0));
    now.iter()
        .zip(then)
        .map(|(&now, then)| added(then, now))
        .collect()
}

/// What a counter grew by; one that has wrapped around did grow, one that has gone back did not.
const fn added(then: u64, now: u64) -> u64 {
    let growth = now.wrapping_sub(then);
    if growth > u64::MAX / 2 { 0 } else { growth }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::example;

    #[test]
    fn only_what_was_added_in_between_counts() {
        let [earlier, later] = example::snapshots();
        let interval = Interval::between(&earlier, &later).unwrap();
        assert!((interval.seconds - 0.25).abs() < 1e-9);
        assert_eq!(interval.vcpus[0].sent["vector"], 2_500);
        assert_eq!(interval.vcpus[0].exits["apic_icr"].count, 2_500);
        assert_eq!(interval.matrix[0][1], 2_000);
        let mut both = interval.vcpus[0].clone();
        both.accumulate(&interval.vcpus[1]);
        let exits = interval.vcpus[..2]
            .iter()
            .map(|vcpu| vcpu.all_exits().count);
        assert_eq!(both.all_exits().count, exits.sum::<u64>());
    }

    #[test]
    fn a_counter_may_wrap_and_one_that_goes_back_has_not_grown() {
        assert_eq!(added(u64::MAX - 1, 3), 5);
        assert_eq!(added(100, 90), 0);
        assert_eq!(added(7, 7), 0);
    }

    #[test]
    fn another_run_is_no_later_moment_of_this_one() {
        let [earlier, later] = example::snapshots();
        assert_eq!(Interval::between(&later, &earlier), None);
        assert_eq!(Interval::between(&earlier, &earlier), None);
        let mut other = later.clone();
        other.about.pid += 1;
        assert_eq!(Interval::between(&earlier, &other), None);
        let mut fewer = later;
        fewer.vcpus.pop();
        assert_eq!(Interval::between(&earlier, &fewer), None);
    }
}
