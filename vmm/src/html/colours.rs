//! Numbers as colours, by orders of magnitude.

/// Steps of the scale.
const STEPS: usize = 9;

/// The colour scale: its steps are the same factor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Colours {
    least: u64,
    most: u64,
}

impl Colours {
    /// For numbers from `least` to `most`; at least a factor of ten, so that small differences look
    /// small.
    pub(super) fn new(least: u64, most: u64) -> Self {
        let least = least.min(most / 10).max(1);
        Self { least, most }
    }

    /// The largest number.
    pub(super) const fn most(self) -> u64 {
        self.most
    }

    /// The step of a number; none for 0.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it is from 0 to the number of steps"
    )]
    pub(super) fn step(self, number: u64) -> Option<usize> {
        if number == 0 {
            return None;
        }
        let factor = |of: u64| (of as f64 / self.least as f64).ln();
        let place = if self.most > self.least {
            factor(number) / factor(self.most)
        } else {
            1.0
        };
        Some(((place * STEPS as f64) as usize).min(STEPS - 1))
    }

    /// The least number of each step, as far as whole numbers tell steps apart.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a count between two counts"
    )]
    pub(super) fn steps(self) -> Vec<(usize, u64)> {
        let whole = self.most as f64 / self.least as f64;
        let first = |of: usize| {
            let power = whole.powf(of as f64 / STEPS as f64);
            let about = (self.least as f64 * power) as u64;
            let mut around = about.saturating_sub(1).max(self.least)..=about.saturating_add(2);
            around.find(|&number| self.step(number) == Some(of))
        };
        (0..STEPS).filter_map(|of| Some((of, first(of)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_colour_and_more_is_never_fainter() {
        for most in [1, 2, 10, 1_000_000, u64::MAX] {
            let colours = Colours::new(1, most);
            assert_eq!(colours.step(0), None);
            assert_eq!(colours.step(most), Some(STEPS - 1));
            let mut last = 0;
            let numbers = [1, 2, 3, 9, 10, 500, 100_000].into_iter();
            for number in numbers.filter(|number| *number <= most) {
                let step = colours.step(number).unwrap();
                assert!(step >= last, "{number} of {most}");
                last = step;
            }
        }
    }

    #[test]
    fn the_legend_has_the_least_number_of_each_colour() {
        for (least, most) in [(1, 1), (1, 2), (3, 40), (600, 880), (7, 123_456_789)] {
            let colours = Colours::new(least, most);
            assert!(!colours.steps().is_empty(), "{least} to {most}");
            for (of, first) in colours.steps() {
                assert_eq!(colours.step(first), Some(of), "{first} of {most}");
                assert!(
                    first == colours.least || colours.step(first - 1) < Some(of),
                    "{first} of {most}"
                );
            }
        }
    }

    #[test]
    fn numbers_that_are_nearly_equal_look_so() {
        let colours = Colours::new(631, 885);
        assert_eq!(colours.step(631), Some(7));
        assert_eq!(colours.step(885), Some(8));
    }
}
