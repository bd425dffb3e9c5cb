//! IA32_APIC_BASE, MSR 0x1B (SDM 3A, APIC §4.4 and §12.1).

use bitfield_struct::bitfield;

/// MSR number of IA32_APIC_BASE.
pub const IA32_APIC_BASE: u32 = 0x1B;

/// Guest-physical address of the APIC page after reset.
pub const DEFAULT_APIC_PAGE: u64 = 0xFEE0_0000;

/// Size of the APIC page in bytes.
pub const APIC_PAGE_SIZE: u64 = 0x1000;

/// The raw image of IA32_APIC_BASE; any `u64` is one.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct ApicBase {
    #[bits(8)]
    reserved_7_0: u8,
    /// This processor is the bootstrap processor.
    pub bootstrap: bool,
    reserved_9: bool,
    /// EXTD: x2APIC mode, legal only together with [`Self::enabled`].
    pub x2apic: bool,
    /// EN: the APIC exists for the processor.
    pub enabled: bool,
    /// Bits 51:12 of the page's address; bits at and above MAXPHYADDR are reserved.
    #[bits(40)]
    pub page_number: u64,
    #[bits(12)]
    reserved_63_52: u16,
}

impl ApicBase {
    /// Guest-physical address of the page that the xAPIC registers occupy.
    #[must_use]
    pub const fn address(self) -> u64 {
        self.page_number() << 12
    }

    /// Bits that must be zero for an address width of `physical_bits` (CPUID 8000_0008H `EAX[7:0]`).
    #[must_use]
    pub const fn reserved_mask(physical_bits: u8) -> u64 {
        let implemented = if physical_bits >= 52 {
            (1 << 52) - 1
        } else {
            (1 << physical_bits) - 1
        };
        !implemented | 0x2FF
    }
}
