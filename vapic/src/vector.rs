//! Sets of vectors: 256 bits for requests, one vector a priority class for those in service.

/// A set of interrupt vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VectorSet {
    words: [u64; 4],
}

impl VectorSet {
    /// No vector.
    pub const EMPTY: Self = Self { words: [0; 4] };

    /// Whether no vector is in the set.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.words[0] | self.words[1] | self.words[2] | self.words[3] == 0
    }

    /// Whether `vector` is in the set.
    #[must_use]
    #[inline]
    pub const fn contains(&self, vector: u8) -> bool {
        self.words[(vector >> 6) as usize] & bit(vector) != 0
    }

    /// Adds `vector`.
    #[inline]
    pub const fn insert(&mut self, vector: u8) {
        self.words[(vector >> 6) as usize] |= bit(vector);
    }

    /// Takes `vector` out.
    #[inline]
    pub const fn remove(&mut self, vector: u8) {
        self.words[(vector >> 6) as usize] &= !bit(vector);
    }

    /// The highest vector of the set.
    #[must_use]
    #[inline]
    pub const fn highest(&self) -> Option<u8> {
        let mut index = 4u8;
        while index > 0 {
            index -= 1;
            let word = self.words[index as usize];
            if word != 0 {
                return Some(highest_of(index, word));
            }
        }
        None
    }

    /// The vectors, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = u8> + use<> {
        (0u8..4)
            .zip(self.words)
            .flat_map(|(index, word)| Bits { index, word })
    }

    /// Bits `32 * index ..` of the set, as the IRR, ISR and TMR registers show them.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "half of a word is asked for"
    )]
    pub const fn register(&self, index: u8) -> u32 {
        (self.words[(index as usize >> 1) & 3] >> ((index as u32 & 1) * 32)) as u32
    }

    /// The vectors from 192 up, as bits.
    #[inline]
    pub(crate) const fn highest_word(&self) -> u64 {
        self.words[3]
    }

    /// The set that eight 32-bit registers show.
    pub(crate) fn from_registers(register: impl Fn(usize) -> u32) -> Self {
        let word =
            |index| u64::from(register(2 * index + 1)) << 32 | u64::from(register(2 * index));
        Self {
            words: core::array::from_fn(word),
        }
    }

    /// One of the four 64-bit words; `index` is taken modulo 4.
    #[inline]
    pub(crate) const fn word_mut(&mut self, index: u8) -> &mut u64 {
        &mut self.words[(index & 3) as usize]
    }
}

const fn bit(vector: u8) -> u64 {
    1 << (vector & 63)
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a bit position is below 64"
)]
pub(crate) const fn highest_of(index: u8, word: u64) -> u8 {
    index << 6 | (63 - word.leading_zeros()) as u8
}

/// The vectors of one word of a set, lowest first.
#[derive(Clone, Copy)]
pub(crate) struct Bits {
    pub(crate) index: u8,
    pub(crate) word: u64,
}

impl Bits {
    /// Those that are no legal vectors.
    #[inline]
    pub(crate) const fn below_16(self) -> Self {
        let mask = if self.index == 0 { 0xFFFF } else { 0 };
        Self {
            word: self.word & mask,
            ..self
        }
    }
}

impl Iterator for Bits {
    type Item = u8;

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a bit position is below 64"
    )]
    fn next(&mut self) -> Option<u8> {
        if self.word == 0 {
            return None;
        }
        let position = self.word.trailing_zeros() as u8;
        self.word &= self.word - 1;
        Some(self.index << 6 | position)
    }
}

/// The vectors in service.
///
/// An interrupt is taken only above the class of all that are in service (SDM 3A, APIC §8.3.1), so
/// they are a stack, one vector a priority class at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InService {
    /// From place 1 up; place 0 stands for "none", and class 0 holds no deliverable vector.
    stack: [u8; 16],
    depth: u32,
    /// The highest once more.
    top: u8,
}

impl InService {
    /// The highest class in service, or 0.
    #[must_use]
    #[inline]
    pub const fn highest_class(&self) -> u8 {
        self.top >> 4
    }

    /// The highest vector in service.
    #[must_use]
    #[inline]
    pub const fn highest(&self) -> Option<u8> {
        match self.top {
            0 => None,
            vector => Some(vector),
        }
    }

    /// Whether all in service is of a lower class than `vector`.
    #[must_use]
    #[inline]
    pub const fn is_below(&self, vector: u8) -> bool {
        vector > self.top | 0xF
    }

    /// Puts `vector` in service, above all that is.
    #[inline]
    pub(crate) const fn begin(&mut self, vector: u8) {
        self.depth = (self.depth + 1) & 15;
        self.stack[self.depth as usize] = vector;
        self.top = vector;
    }

    /// Ends the highest vector in service and returns it.
    #[inline]
    pub(crate) const fn end(&mut self) -> Option<u8> {
        if self.depth == 0 {
            return None;
        }
        let vector = self.top;
        self.depth -= 1;
        self.top = self.stack[self.depth as usize & 15];
        Some(vector)
    }

    /// The same as a set.
    pub(crate) fn to_set(self) -> VectorSet {
        VectorSet::from_registers(|index| self.register(index.to_le_bytes()[0]))
    }

    /// The vectors of a set, unless two are of one class.
    pub(crate) fn from_set(set: &VectorSet) -> Option<Self> {
        let mut in_service = Self::default();
        for vector in set.iter() {
            if !in_service.is_below(vector) {
                return None;
            }
            in_service.begin(vector);
        }
        Some(in_service)
    }

    /// Bits `32 * index ..` of the ISR.
    #[must_use]
    pub const fn register(&self, index: u8) -> u32 {
        let mut bits = 0;
        let mut place = self.depth as usize & 15;
        while place > 0 {
            let vector = self.stack[place];
            if vector >> 5 == index & 7 {
                bits |= 1 << (vector & 31);
            }
            place -= 1;
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_finds_its_highest_in_every_word() {
        let mut set = VectorSet::EMPTY;
        assert_eq!(set.highest(), None);
        for vector in [16, 63, 64, 130, 255] {
            set.insert(vector);
            assert_eq!(set.highest(), Some(vector));
            assert!(set.contains(vector));
        }
        assert!(set.iter().eq([16, 63, 64, 130, 255]));
        set.remove(255);
        assert_eq!(set.highest(), Some(130));
    }

    #[test]
    fn registers_show_32_vectors_each() {
        let mut set = VectorSet::EMPTY;
        let mut in_service = InService::default();
        for vector in [0x21, 0x3F, 0xE0] {
            set.insert(vector);
            in_service.begin(vector);
        }
        for (index, bits) in [(0, 0), (1, 1 << 1 | 1 << 31), (7, 1)] {
            assert_eq!(set.register(index), bits);
            assert_eq!(in_service.register(index), bits);
        }
    }

    #[test]
    fn in_service_ends_from_the_top() {
        let mut in_service = InService::default();
        for vector in [0x31, 0x45, 0xFE] {
            in_service.begin(vector);
            assert_eq!(in_service.highest(), Some(vector));
        }
        assert_eq!(
            [0; 4].map(|_| in_service.end()),
            [Some(0xFE), Some(0x45), Some(0x31), None]
        );
        assert_eq!(in_service.highest_class(), 0);
    }
}
