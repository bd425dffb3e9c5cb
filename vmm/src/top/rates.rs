//! What is shown of an interval: rates, shares and means, of each vCPU and by cause.

use std::collections::BTreeMap;

use serde::Serialize;

use super::interval::{Change, Interval};
use crate::control::snapshot::{Snapshot, Times};
use crate::observe::{Cause, Kind};

/// Number of the schema of `vapic top --raw`.
pub(super) const SCHEMA: u32 = 1;

/// An interval as it is shown; a line of `--raw`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Rates {
    pub(super) schema: u32,
    /// The VM's age at the interval's end.
    pub(super) uptime_s: f64,
    /// The interval's length.
    pub(super) interval_s: f64,
    /// Whether IPIs and sleep are seen; the kernel's APIC keeps both to itself.
    pub(super) ipis_observed: bool,
    /// The vCPUs below together; shares are means.
    pub(super) total: VcpuRates,
    pub(super) vcpus: Vec<Numbered>,
    /// The exits of these vCPUs, the most frequent first.
    pub(super) exits: Vec<CauseRates>,
    /// Deliveries from each of the VM's vCPUs (row) to each (column).
    pub(super) deliveries_per_s: Vec<Vec<f64>>,
    pub(super) deliveries_from_devices_per_s: Vec<f64>,
}

/// A vCPU's rates with its number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Numbered {
    pub(super) vcpu: usize,
    #[serde(flatten)]
    pub(super) rates: VcpuRates,
}

/// The rates of one vCPU, or of several together.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct VcpuRates {
    pub(super) sent_per_s: ByKind,
    pub(super) injected_per_s: ByKind,
    pub(super) coalesced_per_s: f64,
    pub(super) refused_per_s: f64,
    pub(super) local_injected_per_s: f64,
    pub(super) exits_per_s: f64,
    /// Share of the time outside the guest, dealing with exits.
    pub(super) outside_share: f64,
    /// Share of the time asleep; unknown on KVM's own APIC.
    pub(super) asleep_share: Option<f64>,
    pub(super) exit_mean_ns: Option<f64>,
    /// Vectors, where they are received.
    pub(super) send_to_inject_mean_ns: Option<f64>,
    pub(super) send_to_end_mean_ns: Option<f64>,
}

/// IPIs per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct ByKind {
    /// Fixed and lowest priority.
    pub(super) vector: f64,
    pub(super) nmi: f64,
    pub(super) init_and_start_up: f64,
    /// SMI and what else there is.
    pub(super) other: f64,
}

/// Exits of one cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct CauseRates {
    pub(super) cause: String,
    pub(super) per_s: f64,
    pub(super) mean_ns: Option<f64>,
    /// Share of the time of these vCPUs.
    pub(super) outside_share: f64,
}

impl Rates {
    /// The interval that ended with `now`, of the vCPUs that `selects` takes.
    pub(super) fn new(
        interval: &Interval,
        now: &Snapshot,
        selects: impl Fn(usize) -> bool,
    ) -> Self {
        let seconds = interval.seconds;
        let observed = now.ipis_observed;
        let mut sum = Change::default();
        let mut vcpus = Vec::new();
        for (vcpu, change) in interval.vcpus.iter().enumerate() {
            if selects(vcpu) {
                sum.accumulate(change);
                let rates = VcpuRates::new(change, seconds, 1, observed);
                vcpus.push(Numbered { vcpu, rates });
            }
        }
        let whole = seconds * count(vcpus.len() as u64);
        let mut exits: Vec<_> = sum
            .exits
            .iter()
            .map(|(cause, times)| CauseRates {
                cause: cause.clone(),
                per_s: ratio(count(times.count), seconds),
                mean_ns: mean(*times),
                outside_share: share(times.total_ns, whole),
            })
            .collect();
        // Those that do not occur keep the order of reports.
        exits.sort_by_key(|rates| position(&rates.cause));
        exits.sort_by(|one, other| other.per_s.total_cmp(&one.per_s));
        let per_second = |counts: &Vec<u64>| {
            let counts = counts.iter();
            counts.map(|&n| ratio(count(n), seconds)).collect()
        };
        Self {
            schema: SCHEMA,
            uptime_s: count(now.uptime_ns) / 1e9,
            interval_s: seconds,
            ipis_observed: observed,
            total: VcpuRates::new(&sum, seconds, vcpus.len(), observed),
            vcpus,
            exits,
            deliveries_per_s: interval.matrix.iter().map(per_second).collect(),
            deliveries_from_devices_per_s: per_second(&interval.from_devices),
        }
    }
}

impl VcpuRates {
    fn new(change: &Change, seconds: f64, vcpus: usize, observed: bool) -> Self {
        let whole = seconds * count(vcpus as u64);
        let per_second = |n: u64| ratio(count(n), seconds);
        let exits = change.all_exits();
        Self {
            sent_per_s: ByKind::new(&change.sent, seconds),
            injected_per_s: ByKind::new(&change.injected, seconds),
            coalesced_per_s: per_second(change.coalesced),
            refused_per_s: per_second(change.refused),
            local_injected_per_s: per_second(change.local_injected),
            exits_per_s: per_second(exits.count),
            outside_share: share(exits.total_ns, whole),
            asleep_share: observed.then(|| share(change.asleep_ns, whole)),
            exit_mean_ns: mean(exits),
            send_to_inject_mean_ns: mean(change.send_to_inject),
            send_to_end_mean_ns: mean(change.send_to_end),
        }
    }

    /// Share of the time in the guest: what is left.
    pub(super) fn guest_share(&self) -> Option<f64> {
        let asleep = self.asleep_share?;
        Some((1.0 - self.outside_share - asleep).max(0.0))
    }
}

impl ByKind {
    fn new(counts: &BTreeMap<String, u64>, seconds: f64) -> Self {
        let of = |kinds: &[Kind]| {
            let counts = kinds.iter().filter_map(|kind| counts.get(kind.name()));
            ratio(count(counts.sum()), seconds)
        };
        Self {
            vector: of(&[Kind::Vector]),
            nmi: of(&[Kind::Nmi]),
            init_and_start_up: of(&[Kind::Init, Kind::StartUp]),
            other: of(&[Kind::Smi, Kind::Other]),
        }
    }

    pub(super) fn all(&self) -> f64 {
        self.vector + self.nmi + self.init_and_start_up + self.other
    }
}

/// What a cause is called in tables.
pub(super) fn label(cause: &str) -> &str {
    let known = Cause::ALL.into_iter().find(|known| known.name() == cause);
    known.map_or(cause, |known| known.label())
}

fn position(cause: &str) -> usize {
    let mut causes = Cause::ALL.iter();
    let place = causes.position(|known| known.name() == cause);
    place.unwrap_or(Cause::COUNT)
}

fn mean(times: Times) -> Option<f64> {
    (times.count != 0).then(|| count(times.total_ns) / count(times.count))
}

/// Nanoseconds as a share of `whole` seconds; what was counted late can make more than all of it.
fn share(nanoseconds: u64, whole: f64) -> f64 {
    ratio(count(nanoseconds) / 1e9, whole).min(1.0)
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
const fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::example;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-6 * right.abs().max(1.0)
    }

    #[test]
    fn counts_become_rates_shares_and_means() {
        let [earlier, later] = example::snapshots();
        let interval = Interval::between(&earlier, &later).unwrap();
        let rates = Rates::new(&interval, &later, |_| true);
        let first = &rates.vcpus[0].rates;
        assert!(close(first.sent_per_s.vector, 10_000.0));
        assert!(close(first.sent_per_s.init_and_start_up, 8.0));
        assert!(close(first.exits_per_s, 20_000.0));
        // 2500 ICR writes of 30 us and as many EOIs of 2 us in a quarter of a second.
        assert!(close(first.outside_share, 0.32));
        assert_eq!(first.exit_mean_ns, Some(16_000.0));
        assert!(close(first.asleep_share.unwrap(), 0.5));
        assert!(close(first.guest_share().unwrap(), 0.18));
        assert_eq!(rates.vcpus[3].rates.send_to_inject_mean_ns, None);
        assert_eq!(rates.exits[0].cause, "apic_icr");
        assert!(close(rates.deliveries_per_s[0][1], 8_000.0));
    }

    #[test]
    fn a_selection_has_totals_of_its_own() {
        let [earlier, later] = example::snapshots();
        let interval = Interval::between(&earlier, &later).unwrap();
        let one = Rates::new(&interval, &later, |vcpu| vcpu == 0);
        assert_eq!(one.vcpus.len(), 1);
        assert_eq!(one.total, one.vcpus[0].rates);
        assert_eq!(one.deliveries_per_s.len(), 4);
        let none = Rates::new(&interval, &later, |_| false);
        assert!(close(none.total.outside_share, 0.0) && none.total.exit_mean_ns.is_none());
    }

    #[test]
    fn what_was_counted_late_is_no_more_than_the_whole() {
        let [mut earlier, later] = example::snapshots();
        earlier.uptime_ns = later.uptime_ns - 1;
        let interval = Interval::between(&earlier, &later).unwrap();
        let rates = Rates::new(&interval, &later, |_| true);
        assert!(close(rates.total.outside_share, 1.0));
        assert_eq!(rates.total.guest_share(), Some(0.0));
    }

    #[test]
    fn the_kernels_apic_does_not_tell_of_sleep() {
        let [earlier, mut later] = example::snapshots();
        later.ipis_observed = false;
        let interval = Interval::between(&earlier, &later).unwrap();
        let rates = Rates::new(&interval, &later, |_| true);
        assert_eq!(
            (rates.total.asleep_share, rates.total.guest_share()),
            (None, None)
        );
    }
}
