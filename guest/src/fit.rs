//! Least-squares line through (targets, cycles): what an operation costs before its first target,
//! and what one more target adds.

/// `base + slope * x`, rounded to whole cycles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// Value at zero; negative when the cost grows faster than its first points suggest.
    pub(crate) base: i64,
    /// What one more costs.
    pub(crate) slope: i64,
}

/// Points, at most one for each number of targets that a sweep visits.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    list: [(u64, u64); Self::CAPACITY],
    len: usize,
}

impl Points {
    /// More than any sweep has: 1, 2, 4 .. 256 and the last.
    const CAPACITY: usize = 12;

    /// No point yet.
    pub(crate) const fn new() -> Self {
        Self {
            list: [(0, 0); Self::CAPACITY],
            len: 0,
        }
    }

    /// Adds a point.
    pub(crate) fn push(&mut self, x: u64, y: u64) {
        self.list[self.len] = (x, y);
        self.len += 1;
    }

    /// The line nearest to the points, if they have at least two different `x`.
    pub(crate) fn line(&self) -> Option<Line> {
        let points = &self.list[..self.len];
        let n = self.len as i128;
        let (mut sx, mut sy, mut sxx, mut sxy) = (0, 0, 0, 0);
        for &(x, y) in points {
            let (x, y) = (i128::from(x), i128::from(y));
            sx += x;
            sy += y;
            sxx += x * x;
            sxy += x * y;
        }
        let spread = n * sxx - sx * sx;
        if spread == 0 {
            return None;
        }
        let slope = n * sxy - sx * sy;
        let base = sy * sxx - sx * sxy;
        Some(Line {
            base: i64::try_from(rounded(base, spread)).ok()?,
            slope: i64::try_from(rounded(slope, spread)).ok()?,
        })
    }
}

/// Quotient by a positive divisor, to the nearest.
fn rounded(dividend: i128, divisor: i128) -> i128 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(points: &[(u64, u64)]) -> Option<Line> {
        let mut all = Points::new();
        points.iter().for_each(|&(x, y)| all.push(x, y));
        all.line()
    }

    #[test]
    fn exact_line_is_found() {
        let expected = Line {
            base: 1000,
            slope: 250,
        };
        assert_eq!(line(&[(1, 1250), (2, 1500), (3, 1750)]), Some(expected));
    }

    #[test]
    fn noise_is_averaged() {
        // Hand-computed: mean (2, 20), slope (1*8 + 0 + 1*10) / 2 = 9, base 20 - 18.
        assert_eq!(
            line(&[(1, 12), (2, 18), (3, 30)]),
            Some(Line { base: 2, slope: 9 })
        );
    }

    #[test]
    fn falling_cost_and_negative_base_round_to_nearest() {
        assert_eq!(
            line(&[(1, 10), (3, 5)]),
            Some(Line {
                base: 13,
                slope: -2
            })
        );
        assert_eq!(line(&[(1, 0), (2, 7)]), Some(Line { base: -7, slope: 7 }));
    }

    #[test]
    fn one_point_has_no_line() {
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[(3, 7)]), None);
        assert_eq!(line(&[(3, 7), (3, 9)]), None);
    }
}
