//! Spurious-Interrupt Vector Register (SDM 3A, APIC §9).

use bitfield_struct::bitfield;

/// The raw image of the SVR.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct SpuriousVector {
    /// Vector delivered when an interrupt vanishes between signal and acknowledge.
    pub vector: u8,
    /// APIC software enable.
    pub enabled: bool,
    /// Focus processor checking disable; kept, without effect since the Pentium 4.
    pub focus_disabled: bool,
    #[bits(2)]
    reserved_11_10: u8,
    /// Suppress EOI broadcasts; exists only if the version register's bit 24 is set.
    pub suppress_eoi_broadcast: bool,
    #[bits(19)]
    reserved_31_13: u32,
}

impl SpuriousVector {
    /// After power-up, reset and INIT: vector 0xFF, software-disabled.
    pub const RESET: Self = Self::from_bits(0xFF);
    /// Bits a guest can set when EOI broadcasts cannot be suppressed.
    pub const WRITABLE: u32 = Self::new()
        .with_vector(0xFF)
        .with_enabled(true)
        .with_focus_disabled(true)
        .into_bits();

    /// The same when EOI broadcasts can be suppressed.
    pub const WRITABLE_WITH_SUPPRESSION: u32 = Self::from_bits(Self::WRITABLE)
        .with_suppress_eoi_broadcast(true)
        .into_bits();
}
