//! What is fixed when a processor is made, and what of it the guest can see.

use crate::GeneralProtection;
use crate::mode::Mode;
use crate::spec::base::ApicBase;
use crate::spec::lvt::LvtSource;
use crate::spec::register::Register;

/// What is fixed when a processor is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The initial APIC ID: 32 bits in x2APIC mode, of which xAPIC mode shows the lowest 8.
    pub id: u32,
    /// The processor starts by itself; all others wait for a start-up IPI. It is the BSP flag of
    /// IA32_APIC_BASE after power-up, which decides the same at an INIT.
    pub bootstrap: bool,
    /// MAXPHYADDR, the width of physical addresses in bits (CPUID 8000_0008H EAX, bits 7:0).
    pub physical_bits: u8,
    /// What differs between models of processors.
    pub features: Features,
}

impl Config {
    /// The register, if this model has it.
    pub(crate) const fn register(&self, register: Option<Register>) -> Option<Register> {
        match register {
            Some(Register::Lvt(LvtSource::CorrectedMachineCheck))
                if !self.features.corrected_machine_check =>
            {
                None
            }
            other => other,
        }
    }

    /// The mode that a base register selects, or #GP if this model has no such mode.
    pub(crate) const fn mode_of(&self, base: ApicBase) -> Result<Mode, GeneralProtection> {
        if base.x2apic() && !self.features.x2apic {
            return Err(GeneralProtection);
        }
        Mode::of(base)
    }

    /// The version register: version 0x14, the highest entry of the local vector table, and whether
    /// EOI broadcasts can be suppressed (§4.8).
    #[must_use]
    pub const fn version(&self) -> u32 {
        let Features {
            x2apic: _,
            tsc_deadline: _,
            eoi_suppression,
            corrected_machine_check,
        } = self.features;
        0x14 | (5 + corrected_machine_check as u32) << 16 | (eoi_suppression as u32) << 24
    }
}

/// What differs between models of processors; the guest learns it from CPUID, IA32_MCG_CAP and the
/// version register.
///
/// Take what is not named from the default, as in `Features { tsc_deadline: true,
/// ..Features::default() }`: a later version may know more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// There is x2APIC mode (CPUID 1 ECX, bit 21).
    pub x2apic: bool,
    /// The timer has TSC-deadline mode (CPUID 1 ECX, bit 24).
    pub tsc_deadline: bool,
    /// EOI broadcasts can be suppressed (version register, bit 24): offer it only with an IOAPIC
    /// that has an EOI register, else level interrupts never end.
    pub eoi_suppression: bool,
    /// There is an entry for corrected machine checks (IA32_MCG_CAP, bit 10).
    pub corrected_machine_check: bool,
}

impl Default for Features {
    /// x2APIC mode and corrected machine checks: what needs nothing of the host.
    fn default() -> Self {
        Self {
            x2apic: true,
            tsc_deadline: false,
            eoi_suppression: false,
            corrected_machine_check: true,
        }
    }
}
