//! The MSR door: 0x800 to 0x8FF in x2APIC mode (SDM 3A, APIC §12.1).
//!
//! Here every reserved bit faults, holes fault, read-only and write-only registers fault.

use crate::GeneralProtection;
use crate::local_apic::{Concerns, Effect, LocalApic};
use crate::mode::Mode;
use crate::priority::TaskPriority;
use crate::spec::register::Register;

/// MSR numbers that are tried before all others.
const ICR: u32 = 0x830;
const EOI: u32 = 0x80B;
const TPR: u32 = 0x808;
const SELF_IPI: u32 = 0x83F;

impl LocalApic {
    /// The guest writes an MSR of the x2APIC range at `now`, in ns, see [Time](crate#time).
    ///
    /// # Errors
    ///
    /// #GP outside x2APIC mode, for holes, for read-only registers and for reserved bits.
    #[inline(always)]
    pub fn write_msr(
        &mut self,
        msr: u32,
        value: u64,
        now: u64,
    ) -> Result<Effect, GeneralProtection> {
        if self.mode != Mode::X2apic {
            return Err(GeneralProtection);
        }
        match msr {
            ICR => self.command_x2apic(value),
            EOI if value == 0 => Ok(self.end()),
            TPR => {
                self.task_priority = TaskPriority::new(u8::try_from(value)?);
                Ok(Effect::None)
            }
            SELF_IPI => Ok(self.self_ipi(u8::try_from(value)?)),
            _ => self.write_msr_register(msr, value, now).map(Effect::from),
        }
    }

    #[inline(never)]
    fn write_msr_register(
        &mut self,
        msr: u32,
        value: u64,
        now: u64,
    ) -> Result<Concerns, GeneralProtection> {
        if self.timer.is_due(now) {
            return self.write_msr_register_late(msr, value, now);
        }
        let value = u32::try_from(value)?;
        match self.config.register(Register::from_msr(msr)) {
            Some(Register::Lvt(source)) => {
                without(value, self.reserved_lvt(source, value))?;
                self.write_lvt(source, value);
            }
            Some(Register::TimerInitialCount) => self.timer.start(value, now),
            Some(Register::TimerDivide) => {
                without(value, !0xB)?;
                self.timer.set_divide(value, now);
            }
            Some(Register::SpuriousVector) => {
                without(value, !self.spurious_writable())?;
                self.write_spurious(value);
                return Ok(Concerns::Senders);
            }
            Some(Register::ErrorStatus) => {
                without(value, u32::MAX)?;
                self.errors.latch();
            }
            _ => return Err(GeneralProtection),
        }
        Ok(Concerns::Itself)
    }

    /// What is due by now has happened before this access.
    #[cold]
    #[inline(never)]
    fn write_msr_register_late(
        &mut self,
        msr: u32,
        value: u64,
        now: u64,
    ) -> Result<Concerns, GeneralProtection> {
        let now = self.expire(now);
        self.write_msr_register(msr, value, now)
    }

    /// The guest reads an MSR of the x2APIC range at `now`, in ns, see [Time](crate#time).
    ///
    /// # Errors
    ///
    /// #GP outside x2APIC mode, for holes and for write-only registers.
    #[inline(always)]
    pub fn read_msr(&mut self, msr: u32, now: u64) -> Result<u64, GeneralProtection> {
        if self.mode != Mode::X2apic {
            return Err(GeneralProtection);
        }
        let value = match self
            .config
            .register(Register::from_msr(msr))
            .ok_or(GeneralProtection)?
        {
            Register::EndOfInterrupt
            | Register::SelfIpi
            | Register::ArbitrationPriority
            | Register::RemoteRead
            | Register::DestinationFormat
            | Register::InterruptCommandHigh => return Err(GeneralProtection),
            Register::InterruptCommand => {
                return Ok(u64::from(self.command_high) << 32 | u64::from(self.command_low));
            }
            Register::Id => self.id(),
            Register::LogicalDestination => self.logical_x2apic_id(),
            register => self.read_common(register, now),
        };
        Ok(u64::from(value))
    }

    /// Cluster in bits 31:16, one bit of sixteen below: derived from the ID, read-only (§12.10.2).
    const fn logical_x2apic_id(&self) -> u32 {
        (self.id() >> 4) << 16 | 1 << (self.id() & 0xF)
    }
}

const fn without(value: u32, reserved: u32) -> Result<(), GeneralProtection> {
    if value & reserved == 0 {
        Ok(())
    } else {
        Err(GeneralProtection)
    }
}
