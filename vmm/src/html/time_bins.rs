//! A quantity over time, in a bounded number of bins.

/// Most bins; a series has at least half of them once it is longer than the finest ones.
const MOST: usize = 240;
/// Ticks of the finest bin, as a power of two.
const FINEST: u32 = 12;

/// Sums by bins of time that grow with the time they have to hold: when an amount falls beyond the
/// last bin, each two become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TimeBins {
    /// Ticks of a bin, as a power of two.
    shift: u32,
    sums: Vec<u64>,
}

impl TimeBins {
    pub(super) const fn new() -> Self {
        Self {
            shift: FINEST,
            sums: Vec::new(),
        }
    }

    /// Ticks of a bin, as a power of two.
    pub(super) const fn shift(&self) -> u32 {
        self.shift
    }

    /// The sum of a bin; 0 beyond the last one.
    pub(super) fn sum(&self, bin: usize) -> u64 {
        self.sums.get(bin).copied().unwrap_or(0)
    }

    /// Bins up to the last one that is not empty.
    pub(super) fn len(&self) -> usize {
        let last = self.sums.iter().rposition(|&sum| sum != 0);
        last.map_or(0, |last| last + 1)
    }

    /// Counts one at a moment.
    pub(super) fn count(&mut self, at: u64) {
        let bin = self.bin(at);
        self.sums[bin] += 1;
    }

    /// Adds the ticks from one moment to another to the bins that they fall in.
    pub(super) fn add(&mut self, from: u64, to: u64) {
        self.spread(from, to, u64::saturating_add);
    }

    /// Takes the ticks from one moment to another out of the bins that they fall in.
    pub(super) fn take(&mut self, from: u64, to: u64) {
        self.spread(from, to, u64::saturating_sub);
    }

    /// Makes bins no finer than this.
    pub(super) fn coarsen(&mut self, shift: u32) {
        while self.shift < shift {
            self.halve();
        }
    }

    fn spread(&mut self, from: u64, to: u64, change: fn(u64, u64) -> u64) {
        if to <= from {
            return;
        }
        let last = self.bin(to - 1);
        for bin in self.bin(from)..=last {
            let begin = (bin as u64) << self.shift;
            let end = begin.saturating_add(1 << self.shift);
            let within = to.min(end) - from.max(begin);
            self.sums[bin] = change(self.sums[bin], within);
        }
    }

    /// The bin of a moment, which exists afterwards.
    fn bin(&mut self, at: u64) -> usize {
        loop {
            match usize::try_from(at >> self.shift) {
                Ok(bin) if bin < MOST => {
                    if self.sums.len() <= bin {
                        self.sums.resize(bin + 1, 0);
                    }
                    return bin;
                }
                _ => self.halve(),
            }
        }
    }

    fn halve(&mut self) {
        let pairs = self.sums.chunks(2).map(|pair| pair.iter().sum());
        self.sums = pairs.collect();
        self.shift += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIN: u64 = 1 << FINEST;

    fn sums(bins: &TimeBins) -> Vec<u64> {
        (0..bins.len()).map(|bin| bins.sum(bin)).collect()
    }

    #[test]
    fn nothing_is_no_bin() {
        let mut bins = TimeBins::new();
        bins.add(5, 5);
        bins.add(5, 4);
        assert_eq!((bins.len(), bins.sum(0)), (0, 0));
    }

    #[test]
    fn an_interval_is_shared_among_its_bins() {
        let mut bins = TimeBins::new();
        bins.add(BIN / 2, 2 * BIN + 1);
        bins.count(BIN);
        assert_eq!(sums(&bins), [BIN / 2, BIN + 1, 1]);
        bins.take(BIN, BIN + 1);
        bins.take(2 * BIN, 3 * BIN);
        assert_eq!(sums(&bins), [BIN / 2, BIN]);
    }

    #[test]
    fn bins_grow_with_time_and_keep_their_sums() {
        let mut bins = TimeBins::new();
        (0..10_000).for_each(|index| bins.count(index * BIN));
        assert!((MOST / 2..=MOST).contains(&bins.len()), "{}", bins.len());
        assert_eq!(sums(&bins).iter().sum::<u64>(), 10_000);
        bins.coarsen(bins.shift() + 2);
        assert_eq!(sums(&bins).iter().sum::<u64>(), 10_000);
        assert!(bins.len() < MOST / 2);
    }

    #[test]
    fn the_end_of_time_has_a_bin() {
        let mut bins = TimeBins::new();
        bins.count(0);
        bins.count(u64::MAX);
        bins.add(0, u64::MAX);
        assert!(bins.len() <= MOST);
    }
}
