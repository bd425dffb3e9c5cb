//! The local vector table (SDM 3A, APIC §5.1).

use crate::local_apic::LocalApic;
use crate::spec::lvt::{LvtEntry, LvtSource};
use crate::timer::TimerMode;

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

impl LocalApic {
    /// Writes bits that the entry has.
    pub(crate) fn write_lvt(&mut self, source: LvtSource, value: u32) {
        self.lvt.write(source, value, self.spurious.enabled());
        match source {
            LvtSource::Timer => self.timer.set_mode(TimerMode::of(self.lvt.get(source))),
            // Without a level there is nothing to ask for and nothing to forget.
            LvtSource::Lint0 if value & LEVEL_TRIGGERED != 0 || self.lint0_vector != 0 => {
                self.lint0_written();
            }
            _ => {}
        }
    }

    /// An entry with its status bits; deliveries never wait, so there is only the remote IRR.
    pub(crate) fn read_lvt(&self, source: LvtSource) -> u32 {
        let remote_irr = source == LvtSource::Lint0 && self.lint0_vector != 0;
        let entry = self.lvt.get(source).with_remote_irr(remote_irr);
        entry.into_bits()
    }

    /// Bits of an entry of this model that a guest can set; xAPIC mode drops all others.
    pub(crate) const fn writable_lvt(&self, source: LvtSource) -> u32 {
        match source {
            LvtSource::Timer if !self.config.features.tsc_deadline => {
                source.writable() & !TSC_DEADLINE
            }
            _ => source.writable(),
        }
    }

    /// Reserved bits of an entry of this model; x2APIC mode faults on them.
    pub(crate) const fn reserved_lvt(&self, source: LvtSource, value: u32) -> u32 {
        let reserved = source.reserved();
        match source {
            LvtSource::Timer if self.config.features.tsc_deadline => {
                // 11b is no mode.
                reserved
                    | if value & TSC_DEADLINE != 0 {
                        PERIODIC
                    } else {
                        0
                    }
            }
            LvtSource::Timer => reserved | TSC_DEADLINE,
            _ => reserved,
        }
    }
}

const TSC_DEADLINE: u32 = LvtEntry::new().with_tsc_deadline(true).into_bits();
const LEVEL_TRIGGERED: u32 = LvtEntry::new().with_level_triggered(true).into_bits();
const PERIODIC: u32 = LvtEntry::new().with_periodic(true).into_bits();
