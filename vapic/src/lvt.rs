//! The local vector table (SDM 3A, APIC §5.1).

use crate::spec::lvt::{LvtEntry, LvtSource};

/// The entries as they were written: the status bits are what an entry shows, not what it holds.
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

    /// Stores bits that the entry has, but for its status; it stays masked while the APIC is
    /// software-disabled.
    #[inline]
    pub(crate) const fn write(&mut self, source: LvtSource, value: u32, software_enabled: bool) {
        let entry = &mut self.entries[source as usize];
        *entry = LvtEntry::from_bits(value & !LvtEntry::STATUS);
        if !software_enabled {
            entry.set_masked(true);
        }
    }

    /// The entry itself, for what the hardware changes.
    pub(crate) const fn get_mut(&mut self, source: LvtSource) -> &mut LvtEntry {
        &mut self.entries[source as usize]
    }

    /// Software disable masks every entry.
    pub(crate) fn mask_all(&mut self) {
        for entry in &mut self.entries {
            entry.set_masked(true);
        }
    }
}
