//! The register file as both doors number it (SDM 3A, APIC §4.1 table 1 and §12.1.2).

use super::lvt::LvtSource;

/// First MSR of the x2APIC range.
pub const X2APIC_MSR_FIRST: u32 = 0x800;
/// Last MSR of the x2APIC range.
pub const X2APIC_MSR_LAST: u32 = 0x8FF;

/// A register of the Local APIC.
///
/// Its number is the xAPIC page offset divided by 16 and, equally, the x2APIC MSR minus 0x800.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Register {
    /// Local APIC ID.
    Id,
    /// Version.
    Version,
    /// Task priority.
    TaskPriority,
    /// Arbitration priority (xAPIC only, P6).
    ArbitrationPriority,
    /// Processor priority, read-only.
    ProcessorPriority,
    /// End of interrupt, write-only.
    EndOfInterrupt,
    /// Remote read (xAPIC only, withdrawn).
    RemoteRead,
    /// Logical destination.
    LogicalDestination,
    /// Destination format (xAPIC only).
    DestinationFormat,
    /// Spurious-interrupt vector.
    SpuriousVector,
    /// In-service, 32 bits of 256, read-only.
    InService(u8),
    /// Trigger mode, 32 bits of 256, read-only.
    TriggerMode(u8),
    /// Interrupt request, 32 bits of 256, read-only.
    InterruptRequest(u8),
    /// Error status.
    ErrorStatus,
    /// Interrupt command; its low half in xAPIC mode, all of it in x2APIC mode.
    InterruptCommand,
    /// High half of the interrupt command (xAPIC only).
    InterruptCommandHigh,
    /// A local vector table entry.
    Lvt(LvtSource),
    /// Timer initial count.
    TimerInitialCount,
    /// Timer current count, read-only.
    TimerCurrentCount,
    /// Timer divide configuration.
    TimerDivide,
    /// Self IPI (x2APIC only), write-only.
    SelfIpi,
}

impl Register {
    /// The register numbered `index`, or `None` for a hole.
    #[must_use]
    #[inline(always)]
    pub const fn from_index(index: u32) -> Option<Self> {
        Some(match index {
            0x02 => Self::Id,
            0x03 => Self::Version,
            0x08 => Self::TaskPriority,
            0x09 => Self::ArbitrationPriority,
            0x0A => Self::ProcessorPriority,
            0x0B => Self::EndOfInterrupt,
            0x0C => Self::RemoteRead,
            0x0D => Self::LogicalDestination,
            0x0E => Self::DestinationFormat,
            0x0F => Self::SpuriousVector,
            0x10..=0x17 => Self::InService((index & 7) as u8),
            0x18..=0x1F => Self::TriggerMode((index & 7) as u8),
            0x20..=0x27 => Self::InterruptRequest((index & 7) as u8),
            0x28 => Self::ErrorStatus,
            0x2F => Self::Lvt(LvtSource::CorrectedMachineCheck),
            0x30 => Self::InterruptCommand,
            0x31 => Self::InterruptCommandHigh,
            0x32 => Self::Lvt(LvtSource::Timer),
            0x33 => Self::Lvt(LvtSource::Thermal),
            0x34 => Self::Lvt(LvtSource::PerformanceCounter),
            0x35 => Self::Lvt(LvtSource::Lint0),
            0x36 => Self::Lvt(LvtSource::Lint1),
            0x37 => Self::Lvt(LvtSource::Error),
            0x38 => Self::TimerInitialCount,
            0x39 => Self::TimerCurrentCount,
            0x3E => Self::TimerDivide,
            0x3F => Self::SelfIpi,
            _ => return None,
        })
    }

    /// The register at a byte offset of the xAPIC page, or `None` for a hole.
    #[must_use]
    #[inline(always)]
    pub const fn from_offset(offset: u32) -> Option<Self> {
        Self::from_index(offset >> 4)
    }

    /// The register behind an x2APIC MSR, or `None` for a hole.
    #[must_use]
    #[inline(always)]
    pub const fn from_msr(msr: u32) -> Option<Self> {
        Self::from_index(msr.wrapping_sub(X2APIC_MSR_FIRST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_the_local_vector_table_knows_its_register() {
        for source in LvtSource::ALL {
            let register = Register::from_index(source.register());
            assert_eq!(register, Some(Register::Lvt(source)));
        }
    }
}
