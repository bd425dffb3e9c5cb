//! Scales: where on an axis, from 0 to 1, a value is, and which values are marked.

/// An axis of durations by orders of magnitude, from one power of ten to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Logarithmic {
    first: u32,
    last: u32,
}

impl Logarithmic {
    /// The decades that hold `least` to `most`, at least one.
    pub(super) fn around(least: u64, most: u64) -> Self {
        let first = least.max(1).ilog10();
        let most = most.max(1);
        let above = most.ilog10() + u32::from(!is_power_of_ten(most));
        Self {
            first,
            last: above.max(first + 1),
        }
    }

    /// Where `value` is; what is beyond the axis is at its end.
    #[expect(clippy::cast_precision_loss, reason = "a place on the screen")]
    pub(super) fn place(self, value: u64) -> f64 {
        let decades = (value.max(1) as f64).log10() - f64::from(self.first);
        (decades / f64::from(self.last - self.first)).clamp(0.0, 1.0)
    }

    /// The values to mark: powers of ten, and if there are few of these 2 and 5 times them.
    pub(super) fn marks(self) -> Vec<u64> {
        let factors: &[u64] = match self.last - self.first {
            1 => &[1, 2, 5],
            2 => &[1, 3],
            _ => &[1],
        };
        let decades = (self.first..self.last).filter_map(|power| 10u64.checked_pow(power));
        let marks = decades.flat_map(|decade| {
            let marks = factors.iter();
            marks.filter_map(move |factor| decade.checked_mul(*factor))
        });
        marks.chain(10u64.checked_pow(self.last)).collect()
    }
}

fn is_power_of_ten(value: u64) -> bool {
    10u64.checked_pow(value.ilog10()) == Some(value)
}

/// An axis from 0 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Linear {
    step: u64,
    most: u64,
}

impl Linear {
    /// From 0 to a round number that is not below `most`, in about `steps` round steps.
    pub(super) fn up_to(most: u64, steps: u64) -> Self {
        let step = round_step(most, steps);
        let most = most.max(1).div_ceil(step).saturating_mul(step);
        Self { step, most }
    }

    /// From 0 to just `most`, with marks at round numbers.
    pub(super) fn just(most: u64, steps: u64) -> Self {
        Self {
            step: round_step(most, steps),
            most: most.max(1),
        }
    }

    /// Where `value` is; what is beyond the axis is at its end.
    #[expect(clippy::cast_precision_loss, reason = "a place on the screen")]
    pub(super) fn place(self, value: u64) -> f64 {
        (value as f64 / self.most as f64).min(1.0)
    }

    /// The values to mark.
    pub(super) fn marks(self) -> impl Iterator<Item = u64> {
        (0..=self.most / self.step).map(move |index| index * self.step)
    }
}

/// The least of 1, 2 and 5 times a power of ten of which `steps` reach `most`.
fn round_step(most: u64, steps: u64) -> u64 {
    let least = most.div_ceil(steps.max(1)).max(1);
    let decade = 10u64.pow(least.ilog10());
    let steps = [1, 2, 5, 10].map(|factor| decade.saturating_mul(factor));
    steps
        .into_iter()
        .find(|&step| step >= least)
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decades_hold_all_values() {
        let scale = Logarithmic::around(1_650, 6_160_980);
        assert_eq!(scale, Logarithmic { first: 3, last: 7 });
        assert_eq!(scale.marks(), [3, 4, 5, 6, 7].map(|power| 10u64.pow(power)));
        assert_eq!(
            [1_000, 100_000, 10_000_000].map(|v| scale.place(v)),
            [0.0, 0.5, 1.0]
        );
        assert_eq!([0, u64::MAX].map(|v| scale.place(v)), [0.0, 1.0]);
    }

    #[test]
    fn a_scale_has_a_width_whatever_the_values() {
        for (least, most) in [
            (0, 0),
            (1, 1),
            (10, 10),
            (7, 8),
            (0, u64::MAX),
            (u64::MAX, u64::MAX),
        ] {
            let scale = Logarithmic::around(least, most);
            assert!(scale.last > scale.first, "{least} to {most}");
            assert!(!scale.marks().is_empty(), "{least} to {most}");
            let places = [least, most].map(|value| scale.place(value));
            assert!(places.iter().all(|place| (0.0..=1.0).contains(place)));
        }
        assert_eq!(Logarithmic::around(1, 10).marks(), [1, 2, 5, 10]);
        assert_eq!(
            Logarithmic::around(20, 900).marks(),
            [10, 30, 100, 300, 1_000]
        );
    }

    #[test]
    fn linear_steps_are_round() {
        let marks = |scale: Linear| scale.marks().collect::<Vec<_>>();
        assert_eq!(marks(Linear::up_to(37, 4)), [0, 10, 20, 30, 40]);
        assert_eq!(marks(Linear::just(37, 4)), [0, 10, 20, 30]);
        assert_eq!(marks(Linear::up_to(0, 4)), [0, 1]);
        assert_eq!(marks(Linear::up_to(3, 8)), [0, 1, 2, 3]);
        assert_eq!(Linear::up_to(37, 4).place(20), 0.5);
        for most in [1, u64::MAX - 1, u64::MAX] {
            assert!(marks(Linear::up_to(most, 5)).len() <= 7, "{most}");
        }
    }
}
