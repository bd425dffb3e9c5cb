//! The local vector table (SDM 3A, APIC §5.1).

use crate::spec::lvt::{LvtEntry, LvtSource};

#[derive(Clone, Debug)]
pub(crate) struct Lvt {
    entries: [LvtEntry; LvtSource::COUNT],
}

impl Lvt {
    pub(crate) const RESET: Self = Self {
        entries: [LvtEntry::RESET; LvtSource::COUNT],
    };

    #[inline]
    pub(crate) const fn get(&self, source: LvtSource) -> LvtEntry {
        self.entries[source as usize]
    }

    /// Stores what a guest may change; the entry stays masked while the APIC is software-disabled.
    pub(crate) const fn write(&mut self, source: LvtSource, value: u32, software_enabled: bool) {
        let entry = LvtEntry::from_bits(value & source.writable());
        let kept = self.get(source).into_bits() & source.read_only();
        let entry = LvtEntry::from_bits(entry.into_bits() | kept);
        self.entries[source as usize] = if software_enabled {
            entry
        } else {
            entry.with_masked(true)
        };
    }

    /// Software disable masks every entry.
    pub(crate) fn mask_all(&mut self) {
        for entry in &mut self.entries {
            entry.set_masked(true);
        }
    }
}
