//! The middle of some figures, and their spread.

use serde::{Deserialize, Serialize};

/// What few figures say: with five pairs, their extremes are all of their distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Number of figures, at least 1.
    pub count: usize,
    /// The middle one, or what is between the two in the middle.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Statistics {
    /// Of those figures that are finite; `None` if there is none.
    pub fn of(figures: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.filter(|figure| figure.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let middle = |at: usize| sorted.get(at).copied();
        let count = sorted.len();
        Some(Self {
            count,
            median: f64::midpoint(middle(count.checked_sub(1)? / 2)?, middle(count / 2)?),
            min: *sorted.first()?,
            max: *sorted.last()?,
        })
    }

    /// Whether some figure could be in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.min <= other.max && other.min <= self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(figures: &[f64]) -> Option<(usize, [f64; 3])> {
        let statistics = Statistics::of(figures.iter().copied())?;
        let Statistics {
            count,
            median,
            min,
            max,
        } = statistics;
        Some((count, [median, min, max]))
    }

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some((3, [2.0, 1.0, 3.0])));
        assert_eq!(of(&[4.0, 1.0, 2.0, 3.0]), Some((4, [2.5, 1.0, 4.0])));
        assert_eq!(of(&[7.0]), Some((1, [7.0, 7.0, 7.0])));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn what_is_no_number_is_left_out() {
        let figures = [f64::NAN, 2.0, f64::INFINITY];
        assert_eq!(of(&figures), Some((1, [2.0, 2.0, 2.0])));
        assert_eq!(of(&[f64::NAN]), None);
    }

    #[test]
    fn spreads_overlap_that_share_a_figure() {
        let spread = |min, max| Statistics::of([min, max].into_iter()).unwrap();
        assert!(spread(1.0, 2.0).overlaps(&spread(2.0, 3.0)));
        assert!(spread(1.0, 9.0).overlaps(&spread(2.0, 3.0)));
        assert!(!spread(1.0, 1.9).overlaps(&spread(2.0, 3.0)));
        assert!(!spread(2.0, 3.0).overlaps(&spread(1.0, 1.9)));
    }
}
