//! Durations in bins of a tenth of an order of magnitude.

use std::collections::BTreeMap;

use crate::observe::{Clock, Latency};

/// Bins of an order of magnitude.
const PER_DECADE: u32 = 10;

/// How often durations of each bin were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LogBins(BTreeMap<u32, u64>);

impl LogBins {
    /// What `latencies` recorded.
    pub(super) fn of<'a>(latencies: impl Iterator<Item = &'a Latency>, clock: &Clock) -> Self {
        let mut bins = Self::default();
        for latency in latencies {
            for (ticks, count) in latency.recorded() {
                bins.add(clock.nanoseconds(ticks), count);
            }
        }
        bins
    }

    /// The bins that are not empty, and how many are in each.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u64)> {
        self.0.iter().map(|(&bin, &seen)| (bin, seen))
    }

    fn add(&mut self, nanoseconds: u64, count: u64) {
        let seen = self.0.entry(bin(nanoseconds)).or_default();
        *seen = seen.saturating_add(count);
    }

    /// How many are in the fullest bin.
    pub(super) fn most(&self) -> u64 {
        self.0.values().copied().max().unwrap_or(0)
    }
}

/// The bin of a duration.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "logarithms of 64 bits are from 0 to 20"
)]
fn bin(nanoseconds: u64) -> u32 {
    // A hair above, so that a power of ten is in the bin that begins with it.
    ((nanoseconds.max(1) as f64).log10() * f64::from(PER_DECADE) + 1e-9) as u32
}

/// Where a bin begins, in nanoseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the bins of 64 bits end where these do"
)]
pub(super) fn begin(bin: u32) -> u64 {
    10f64.powf(f64::from(bin) / f64::from(PER_DECADE)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Tsc;

    #[test]
    fn a_duration_is_between_the_ends_of_its_bin() {
        for nanoseconds in [
            1,
            2,
            9,
            10,
            11,
            999,
            1_000,
            1_258,
            1_259,
            123_456_789,
            u64::MAX / 2,
        ] {
            let bin = bin(nanoseconds);
            assert!(begin(bin) <= nanoseconds, "{nanoseconds}");
            assert!(nanoseconds <= begin(bin + 1), "{nanoseconds}");
        }
        assert_eq!([0, 1, 10, 1_000].map(bin), [0, 0, 10, 30]);
        assert_eq!([begin(30), begin(60)], [1_000, 1_000_000]);
    }

    #[test]
    fn everything_recorded_is_in_a_bin() {
        let clock = Clock::new(Tsc(0), 1_000_000);
        let mut latencies = [Latency::new(), Latency::new(), Latency::new()];
        (0..1_000).for_each(|index| latencies[0].record(index * index));
        latencies[1].record(u64::MAX);
        let bins = LogBins::of(latencies.iter(), &clock);
        assert_eq!(bins.0.values().sum::<u64>(), 1_001);
        assert_eq!(LogBins::of([].iter(), &clock), LogBins::default());
    }
}
