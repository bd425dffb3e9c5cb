//! Distribution of durations in a fixed size: 32 buckets for each power of two.
//!
//! Minimum, maximum and mean are exact; a quantile is at most 1/64 off.

use core::fmt;

/// Log2 of the buckets in each power of two.
const PRECISION: u32 = 5;

const SUB_BUCKETS: u64 = 1 << PRECISION;

/// Values below 32 have a bucket each, and so has each 1/32 of the 59 powers of two above.
const BUCKETS: usize = 60 << PRECISION;

/// Counts of values, in cycles.
pub(crate) struct Histogram {
    buckets: [u32; BUCKETS],
    count: u64,
    sum: u64,
    min: u64,
    max: u64,
}

impl Histogram {
    /// Nothing recorded.
    pub(crate) const fn new() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            sum: 0,
            min: u64::MAX,
            max: 0,
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.buckets.fill(0);
        (self.count, self.sum, self.min, self.max) = (0, 0, u64::MAX, 0);
    }

    /// Counts one value.
    pub(crate) fn record(&mut self, value: u64) {
        self.buckets[bucket(value)] += 1;
        self.count += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
    }

    /// The figures to report; all zero when nothing was recorded.
    pub(crate) fn summary(&self) -> Summary {
        if self.count == 0 {
            return Summary::default();
        }
        Summary {
            count: self.count,
            min: self.min,
            median: self.quantile(500),
            mean: self.sum / self.count,
            p99: self.quantile(990),
            max: self.max,
        }
    }

    /// Middle of the bucket that holds the value of this rank, in thousandths.
    fn quantile(&self, thousandths: u64) -> u64 {
        let rank = (self.count * thousandths).div_ceil(1000).max(1);
        let mut seen = 0;
        for (index, &count) in self.buckets.iter().enumerate() {
            seen += u64::from(count);
            if seen >= rank {
                return middle(index as u64).clamp(self.min, self.max);
            }
        }
        self.max
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "what is left of the value is below 64"
)]
fn bucket(value: u64) -> usize {
    if value < SUB_BUCKETS {
        return value as usize;
    }
    let shift = value.ilog2() - PRECISION;
    ((shift as usize) << PRECISION) + (value >> shift) as usize
}

fn middle(index: u64) -> u64 {
    if index < SUB_BUCKETS {
        return index;
    }
    let shift = (index >> PRECISION) - 1;
    let lowest = (SUB_BUCKETS + (index & (SUB_BUCKETS - 1))) << shift;
    lowest + ((1 << shift) >> 1)
}

/// What a histogram comes down to, in the unit of its values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Number of values.
    pub(crate) count: u64,
    /// Smallest value.
    pub(crate) min: u64,
    /// Half of the values are no greater.
    pub(crate) median: u64,
    /// Sum of the values by their number, rounded down.
    pub(crate) mean: u64,
    /// 99 of 100 values are no greater.
    pub(crate) p99: u64,
    /// Greatest value.
    pub(crate) max: u64,
}

impl Summary {
    /// The figures as marker fields: `NAME_min=... NAME_median=...`.
    pub(crate) fn fields(self, name: &'static str) -> impl fmt::Display {
        struct Fields(Summary, &'static str);
        impl fmt::Display for Fields {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let Self(
                    Summary {
                        count: _,
                        min,
                        median,
                        mean,
                        p99,
                        max,
                    },
                    name,
                ) = self;
                write!(
                    f,
                    "{name}_min={min} {name}_median={median} {name}_mean={mean} "
                )?;
                write!(f, "{name}_p99={p99} {name}_max={max}")
            }
        }
        Fields(self, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_in_the_bucket_whose_middle_is_near_it() {
        for value in (0..4096).chain([99_999, 1 << 40, (1 << 40) - 1, u64::MAX >> 1, u64::MAX]) {
            let index = bucket(value);
            assert!(index < BUCKETS);
            assert!(
                middle(index as u64).abs_diff(value) <= value / 64,
                "{value}"
            );
        }
    }

    #[test]
    fn buckets_grow_with_the_value() {
        assert_eq!(
            (bucket(31), bucket(32), bucket(63), bucket(64)),
            (31, 32, 63, 64)
        );
        assert_eq!((bucket(65), bucket(66)), (64, 65));
    }

    #[test]
    fn summary_of_one_to_a_thousand() {
        let mut histogram = Histogram::new();
        (1..=1000).for_each(|value| histogram.record(value));
        let summary = histogram.summary();
        assert_eq!((summary.count, summary.min, summary.max), (1000, 1, 1000));
        assert_eq!(summary.mean, 500);
        assert!(summary.median.abs_diff(500) <= 8, "{summary:?}");
        assert!(summary.p99.abs_diff(990) <= 16, "{summary:?}");
    }

    #[test]
    fn one_value_is_all_its_quantiles() {
        let mut histogram = Histogram::new();
        histogram.record(12_345);
        let Summary {
            min,
            median,
            mean,
            p99,
            max,
            ..
        } = histogram.summary();
        assert_eq!([min, median, mean, p99, max], [12_345; 5]);
    }

    #[test]
    fn clearing_leaves_nothing() {
        let mut histogram = Histogram::new();
        histogram.record(7);
        histogram.clear();
        assert_eq!(histogram.summary(), Summary::default());
    }

    #[test]
    fn fields_carry_the_name() {
        let summary = Summary {
            count: 9,
            min: 1,
            median: 2,
            mean: 3,
            p99: 4,
            max: 5,
        };
        assert_eq!(
            summary.fields("cycles").to_string(),
            "cycles_min=1 cycles_median=2 cycles_mean=3 cycles_p99=4 cycles_max=5"
        );
    }
}
