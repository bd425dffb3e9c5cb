//! How long an operation took, over its repetitions.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Quantiles in nanoseconds; each is one of the values measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    min: u64,
    p50: u64,
    p99: u64,
    max: u64,
}

impl Latency {
    /// The quantiles of these values, which it sorts, or `None` if there are none.
    pub(crate) fn of(values: &mut [Duration]) -> Option<Self> {
        values.sort_unstable();
        let nanoseconds = |value: &Duration| u64::try_from(value.as_nanos()).unwrap_or(u64::MAX);
        // The least value that `percent` of all do not exceed.
        let quantile = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).map(nanoseconds)
        };
        Some(Self {
            min: quantile(0)?,
            p50: quantile(50)?,
            p99: quantile(99)?,
            max: quantile(100)?,
        })
    }
}

/// As values of a marker line.
impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { min, p50, p99, max } = self;
        write!(f, "ns_min={min} ns_p50={p50} ns_p99={p99} ns_max={max}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(nanoseconds: impl IntoIterator<Item = u64>) -> Option<Latency> {
        let mut values: Vec<_> = nanoseconds.into_iter().map(Duration::from_nanos).collect();
        Latency::of(&mut values)
    }

    #[test]
    fn quantiles_are_values_by_nearest_rank() {
        let (min, p50, p99, max) = (1, 100, 198, 200);
        assert_eq!(of((1..=200).rev()), Some(Latency { min, p50, p99, max }));
        let (min, p50, p99, max) = (7, 7, 9, 9);
        assert_eq!(of([9, 7]), Some(Latency { min, p50, p99, max }));
        assert_eq!(of([]), None);
    }
}
