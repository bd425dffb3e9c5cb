//! How long something took, over many times: a histogram that recording never grows.

use hdrhistogram::Histogram;

/// Finest step of the histogram in ticks; 64 ticks are 20 to 30 ns.
const FINEST: u64 = 64;
/// Ticks from which on durations are not told apart: about 20 s.
const LONGEST: u64 = 1 << 36;
/// Decimal digits kept: quantiles are exact to 1 per cent.
const DIGITS: u8 = 2;

/// Durations in ticks: quantiles to 1 per cent; count, sum, minimum and maximum exact.
#[derive(Clone, Debug)]
pub struct Latency {
    histogram: Histogram<u32>,
    sum: u64,
    min: u64,
    max: u64,
}

impl Latency {
    /// Nothing recorded yet.
    ///
    /// # Panics
    ///
    /// Never: the bounds are constants that the histogram accepts.
    #[must_use]
    pub fn new() -> Self {
        let histogram = Histogram::new_with_bounds(FINEST, LONGEST, DIGITS)
            .expect("the bounds of the histogram are valid");
        Self {
            histogram,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// Records one duration; neither allocates nor fails.
    #[inline]
    pub fn record(&mut self, ticks: u64) {
        self.histogram.saturating_record(ticks);
        self.sum = self.sum.saturating_add(ticks);
        self.min = self.min.min(ticks);
        self.max = self.max.max(ticks);
    }

    /// Takes in what `other` recorded.
    ///
    /// # Panics
    ///
    /// Never: all histograms here have the same bounds.
    pub fn accumulate(&mut self, other: &Self) {
        self.histogram
            .add(&other.histogram)
            .expect("all histograms have the same bounds");
        self.sum = self.sum.saturating_add(other.sum);
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }

    /// Number of durations recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Sum in ticks.
    #[must_use]
    pub const fn sum(&self) -> u64 {
        self.sum
    }

    /// Shortest in ticks; 0 if there is none.
    #[must_use]
    pub fn min(&self) -> u64 {
        self.min.min(self.max)
    }

    /// Longest in ticks; 0 if there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// Mean in ticks, rounded down; 0 if there is none.
    #[must_use]
    pub fn mean(&self) -> u64 {
        self.sum.checked_div(self.count()).unwrap_or(0)
    }

    /// Durations in ticks that were recorded, to 1 per cent, and how often each was.
    pub fn recorded(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let values = self.histogram.iter_recorded();
        values.map(|value| {
            let ticks = value.value_iterated_to().clamp(self.min(), self.max);
            (ticks, value.count_since_last_iteration())
        })
    }

    /// The duration in ticks that a share of `quantile` (0 to 1) does not exceed.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.histogram
            .value_at_quantile(quantile)
            .clamp(self.min(), self.max)
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_is_all_zero() {
        let latency = Latency::new();
        assert_eq!(
            (
                latency.count(),
                latency.min(),
                latency.mean(),
                latency.max()
            ),
            (0, 0, 0, 0)
        );
        assert_eq!(latency.quantile(0.5), 0);
    }

    #[test]
    fn extremes_are_exact_and_quantiles_close() {
        let mut latency = Latency::new();
        (1..=100u64).for_each(|n| latency.record(n * 1_000));
        assert_eq!((latency.count(), latency.sum()), (100, 5_050_000));
        assert_eq!(
            (latency.min(), latency.mean(), latency.max()),
            (1_000, 50_500, 100_000)
        );
        assert!((49_500..=50_500).contains(&latency.quantile(0.5)));
        assert!((98_000..=100_000).contains(&latency.quantile(0.99)));
    }

    #[test]
    fn what_is_too_long_saturates() {
        let mut latency = Latency::new();
        latency.record(u64::MAX);
        latency.record(u64::MAX);
        latency.record(0);
        assert_eq!(
            (latency.count(), latency.min(), latency.max()),
            (3, 0, u64::MAX)
        );
    }

    #[test]
    fn two_make_one() {
        let [mut one, mut two] = [Latency::new(), Latency::new()];
        one.record(100);
        two.record(300);
        one.accumulate(&two);
        assert_eq!(
            (one.count(), one.min(), one.mean(), one.max()),
            (2, 100, 200, 300)
        );
    }
}
