//! TSC-deadline mode: IA32_TSC_DEADLINE, MSR 0x6E0 (SDM 3A, APIC §5.4.1).
//!
//! Deadlines are in the guest's own TSC, whose offset and rate are the host's to know: it says what
//! the TSC is, and wakes the processor when it comes to [`LocalApic::tsc_deadline`].

use crate::GeneralProtection;
use crate::local_apic::LocalApic;
use crate::spec::lvt::LvtSource;

/// MSR number of IA32_TSC_DEADLINE.
pub const IA32_TSC_DEADLINE: u32 = 0x6E0;

impl LocalApic {
    /// The guest writes IA32_TSC_DEADLINE while its TSC is `tsc`.
    ///
    /// 0 disarms; what is not in the future fires at once; in other modes of the timer the write
    /// is ignored.
    ///
    /// # Errors
    ///
    /// #GP if the processor does not have the mode.
    pub fn write_tsc_deadline(&mut self, value: u64, tsc: u64) -> Result<(), GeneralProtection> {
        if !self.config.features.tsc_deadline {
            return Err(GeneralProtection);
        }
        self.timer.set_tsc_deadline(value);
        self.advance_tsc(tsc);
        Ok(())
    }

    /// The guest reads IA32_TSC_DEADLINE while its TSC is `tsc`: 0 unless armed.
    ///
    /// # Errors
    ///
    /// #GP if the processor does not have the mode.
    pub fn read_tsc_deadline(&mut self, tsc: u64) -> Result<u64, GeneralProtection> {
        if !self.config.features.tsc_deadline {
            return Err(GeneralProtection);
        }
        self.advance_tsc(tsc);
        Ok(self.timer.tsc_deadline())
    }

    /// When the guest's TSC must be looked at; `None` while that can cause nothing.
    #[must_use]
    pub const fn tsc_deadline(&self) -> Option<u64> {
        match self.timer.tsc_deadline() {
            0 => None,
            _ if self.lvt.get(LvtSource::Timer).masked() => None,
            deadline => Some(deadline),
        }
    }

    /// Lets the guest's TSC reach `tsc`: an expired deadline raises its interrupt, or loses it if
    /// masked.
    pub fn advance_tsc(&mut self, tsc: u64) {
        if self.timer.advance_tsc(tsc) {
            self.fire_timer();
        }
    }
}
