//! The name of one IPI, which is also the stamp of its sending.

use std::num::NonZeroU64;

/// Bits that hold the stamp; at 5 GHz they last ten days.
const STAMP_BITS: u32 = 52;
const STAMP_MASK: u64 = (1 << STAMP_BITS) - 1;
const DEVICE: u64 = 0xFFF;

/// Who sent an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The vCPU of this number, below [`Source::MAX_VCPUS`].
    Vcpu(usize),
    /// A device: the IOAPIC or an MSI.
    Device,
}

impl Source {
    /// Number of vCPUs that an id can tell apart.
    pub const MAX_VCPUS: usize = 0xFFF;
}

/// One IPI: its source in the top 12 bits, the ticks from the run's start to its sending below.
///
/// Two sends of one source are at least an exit apart, so the pair is unique. It is never zero,
/// which leaves zero to mean "none" in a cell that many threads share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IpiId(NonZeroU64);

impl IpiId {
    /// The id of an interrupt sent by `source`, `ticks` after the run's start.
    #[must_use]
    #[inline]
    pub const fn new(source: Source, ticks: u64) -> Self {
        let number = match source {
            Source::Vcpu(number) if (number as u64) < DEVICE => number as u64,
            Source::Vcpu(_) | Source::Device => DEVICE,
        };
        let stamp = if ticks & STAMP_MASK == 0 {
            1
        } else {
            ticks & STAMP_MASK
        };
        match NonZeroU64::new(number << STAMP_BITS | stamp) {
            Some(id) => Self(id),
            None => unreachable!(),
        }
    }

    /// The id behind a raw word; zero is none.
    #[must_use]
    #[inline]
    pub const fn from_raw(raw: u64) -> Option<Self> {
        match NonZeroU64::new(raw) {
            Some(id) => Some(Self(id)),
            None => None,
        }
    }

    /// The raw word.
    #[must_use]
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0.get()
    }

    /// Who sent it.
    #[must_use]
    pub const fn source(self) -> Source {
        match (self.raw() >> STAMP_BITS) as usize {
            0xFFF => Source::Device,
            number => Source::Vcpu(number),
        }
    }

    /// Ticks from the run's start to its sending, modulo 2^52.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.raw() & STAMP_MASK
    }

    /// Ticks from its sending to `elapsed`, both counted from the run's start; `None` if it was
    /// sent later than that, so that what happened at `elapsed` cannot have been its doing.
    #[must_use]
    #[inline]
    pub const fn age(self, elapsed: u64) -> Option<u64> {
        (elapsed & STAMP_MASK).checked_sub(self.raw() & STAMP_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_source_and_stamp() {
        for source in [
            Source::Vcpu(0),
            Source::Vcpu(63),
            Source::Vcpu(0xFFE),
            Source::Device,
        ] {
            let id = IpiId::new(source, 1_000);
            assert_eq!(id.source(), source);
            assert_eq!(id.age(1_250), Some(250));
            assert_eq!(id.age(900), None);
            assert_eq!(IpiId::from_raw(id.raw()), Some(id));
        }
    }

    #[test]
    fn an_id_is_never_zero() {
        for ticks in [0, 1 << STAMP_BITS] {
            assert_ne!(IpiId::new(Source::Vcpu(0), ticks).raw(), 0);
        }
        assert_eq!(IpiId::from_raw(0), None);
    }
}
