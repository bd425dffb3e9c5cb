//! Ratios of what was measured in turn, with their spread.

use std::fmt;

/// One ratio a turn.
#[derive(Clone, Debug)]
pub(crate) struct Quotient(Vec<f64>);

impl Quotient {
    /// The ratios of figures that were taken in the same turn.
    pub(crate) fn new(these: &[f64], those: &[f64]) -> Self {
        Self(
            these
                .iter()
                .zip(those)
                .map(|(this, that)| this / that)
                .collect(),
        )
    }
}

impl fmt::Display for Quotient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(turns) = self;
        let least = turns.iter().copied().fold(f64::INFINITY, f64::min);
        let most = turns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        write!(f, "{:.2} ({least:.2} to {most:.2})", median(turns))
    }
}

/// The median; not a number if there is none.
pub(crate) fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.get(middle), sorted.len() % 2) {
        (Some(high), 0) => f64::midpoint(sorted[middle - 1], *high),
        (Some(&figure), _) => figure,
        (None, _) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two() {
        assert!((median(&[3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((median(&[4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < f64::EPSILON);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_quotient_shows_its_spread() {
        let quotient = Quotient::new(&[2.0, 6.0, 4.0], &[1.0, 2.0, 1.0]);
        assert_eq!(quotient.to_string(), "3.00 (2.00 to 4.00)");
    }
}
