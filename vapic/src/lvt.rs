//! The local vector table (SDM 3A, APIC §5.1).

use crate::spec::lvt::{LvtEntry, LvtSource};

/// Bits that a guest cannot change, in the entries that have them; no other entry ever sets one.
const READ_ONLY: u32 = LvtEntry::new()
    .with_delivery_status(true)
    .with_remote_irr(true)
    .into_bits();

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
    #[inline]
    pub(crate) const fn write(&mut self, source: LvtSource, value: u32, software_enabled: bool) {
        let entry = &mut self.entries[source as usize];
        let kept = entry.into_bits() & READ_ONLY;
        *entry = LvtEntry::from_bits(value & source.writable() | kept);
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
