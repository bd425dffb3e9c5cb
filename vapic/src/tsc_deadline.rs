//! TSC-deadline mode: IA32_TSC_DEADLINE, MSR 0x6E0 (SDM 3A, APIC §5.4.1).
//!
//! Deadlines are in the guest's own TSC, whose offset and rate are the host's to know: it says when
//! that TSC comes to the deadline, and from there on the deadline is a time like any other.

use crate::GeneralProtection;
use crate::local_apic::LocalApic;

/// MSR number of IA32_TSC_DEADLINE.
pub const IA32_TSC_DEADLINE: u32 = 0x6E0;

impl LocalApic {
    /// The guest writes IA32_TSC_DEADLINE at `now`; its TSC comes to `value` at `due`, both in ns.
    ///
    /// 0 disarms; what is not in the future fires at once; in other modes of the timer the write
    /// is ignored.
    ///
    /// # Errors
    ///
    /// #GP if the processor does not have the mode.
    pub fn write_tsc_deadline(
        &mut self,
        value: u64,
        due: u64,
        now: u64,
    ) -> Result<(), GeneralProtection> {
        if !self.config.features.tsc_deadline {
            return Err(GeneralProtection);
        }
        // The deadline that this one replaces may have come first.
        self.advance(now);
        self.timer.set_tsc_deadline(value, due);
        self.advance(now);
        Ok(())
    }

    /// The guest reads IA32_TSC_DEADLINE at `now`, in ns: 0 unless armed.
    ///
    /// # Errors
    ///
    /// #GP if the processor does not have the mode.
    pub fn read_tsc_deadline(&mut self, now: u64) -> Result<u64, GeneralProtection> {
        if !self.config.features.tsc_deadline {
            return Err(GeneralProtection);
        }
        self.advance(now);
        Ok(self.timer.tsc_deadline())
    }
}
