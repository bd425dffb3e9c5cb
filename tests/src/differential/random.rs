//! Random numbers that a seed decides, the same on every host and with every release of the tests.

/// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = self.0;
        word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^ word >> 31
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "any 32 bits of the word will do"
    )]
    pub(super) const fn half(&mut self) -> u32 {
        self.word() as u32
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "any 8 bits of the word will do"
    )]
    pub(super) const fn byte(&mut self) -> u8 {
        self.word() as u8
    }

    /// Below `end`, which is not 0; evenly enough for a test.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.half() % end
    }

    /// True in `percent` of 100 cases.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.below(100) < percent
    }

    /// One of some values.
    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.half() as usize % values.len()]
    }

    /// One of some values, each as often as its weight says.
    pub(super) fn weighted<T: Copy>(&mut self, values: &[(u32, T)]) -> T {
        let mut ticket = self.below(values.iter().map(|(weight, _)| weight).sum());
        for &(weight, value) in values {
            match ticket.checked_sub(weight) {
                Some(rest) => ticket = rest,
                None => return value,
            }
        }
        unreachable!("a ticket is below the sum of the weights")
    }
}
