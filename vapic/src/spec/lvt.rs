//! Local vector table entries (SDM 3A, APIC §5.1).

use bitfield_struct::bitfield;

use super::message::DeliveryMode;

/// The raw image of one local vector table entry.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct LvtEntry {
    /// Vector of a fixed delivery.
    pub vector: u8,
    /// How the interrupt is delivered; the timer and error entries are always fixed.
    #[bits(3)]
    pub delivery: DeliveryMode,
    reserved_11: bool,
    /// Delivery status, read-only; deliveries here never wait, so it reads 0.
    pub delivery_status: bool,
    /// LINT pins: the input is active low.
    pub active_low: bool,
    /// LINT pins, read-only: a level interrupt was accepted and not yet ended.
    pub remote_irr: bool,
    /// LINT pins: level-triggered.
    pub level_triggered: bool,
    /// Deliveries are inhibited.
    pub masked: bool,
    /// Timer: periodic rather than one-shot.
    pub periodic: bool,
    /// Timer: TSC-deadline mode, where the processor has it.
    pub tsc_deadline: bool,
    #[bits(13)]
    reserved_31_19: u16,
}

impl LvtEntry {
    /// Masked, all else zero: the state after power-up, reset and INIT.
    pub const RESET: Self = Self::new().with_masked(true);

    /// What hardware says in an entry: bits that no write changes.
    pub const STATUS: u32 = Self::new()
        .with_delivery_status(true)
        .with_remote_irr(true)
        .into_bits();
}

/// The entries of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LvtSource {
    /// The APIC timer.
    Timer = 0,
    /// The thermal sensor.
    Thermal = 1,
    /// Performance-monitoring counter overflow.
    PerformanceCounter = 2,
    /// The LINT0 pin, by tradition the 8259's output.
    Lint0 = 3,
    /// The LINT1 pin, by tradition NMI.
    Lint1 = 4,
    /// The APIC's own errors.
    Error = 5,
    /// Corrected machine checks.
    CorrectedMachineCheck = 6,
}

impl LvtSource {
    /// Number of entries.
    pub const COUNT: usize = 7;

    /// Every entry, in the order of its number.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Timer,
        Self::Thermal,
        Self::PerformanceCounter,
        Self::Lint0,
        Self::Lint1,
        Self::Error,
        Self::CorrectedMachineCheck,
    ];

    /// Number of the entry's register: page offset divided by 16, MSR minus 0x800.
    #[must_use]
    pub const fn register(self) -> u32 {
        match self {
            Self::CorrectedMachineCheck => 0x2F,
            Self::Timer
            | Self::Thermal
            | Self::PerformanceCounter
            | Self::Lint0
            | Self::Lint1
            | Self::Error => 0x32 + self as u32,
        }
    }

    /// LINT0 or LINT1, whose entries alone can deliver INIT and ExtINT (§5.1).
    #[must_use]
    pub const fn is_pin(self) -> bool {
        matches!(self, Self::Lint0 | Self::Lint1)
    }

    /// Bits of the entry that a guest can set; the rest are reserved or read-only.
    #[must_use]
    pub const fn writable(self) -> u32 {
        let common = LvtEntry::new().with_vector(0xFF).with_masked(true);
        let any_delivery = LvtEntry::from_bits(common.into_bits() | 7 << 8);
        match self {
            // The second only where the processor has the mode.
            Self::Timer => common.with_periodic(true).with_tsc_deadline(true),
            Self::Error => common,
            Self::Thermal | Self::PerformanceCounter | Self::CorrectedMachineCheck => any_delivery,
            Self::Lint0 | Self::Lint1 => any_delivery
                .with_active_low(true)
                .with_level_triggered(true),
        }
        .into_bits()
    }

    /// Bits that exist and that software cannot change: written values are ignored, never a fault.
    #[must_use]
    pub const fn read_only(self) -> u32 {
        let status = LvtEntry::new().with_delivery_status(true);
        match self {
            Self::Lint0 | Self::Lint1 => status.with_remote_irr(true),
            _ => status,
        }
        .into_bits()
    }

    /// Bits that the entry does not have: x2APIC mode faults on them.
    #[must_use]
    pub const fn reserved(self) -> u32 {
        match self {
            Self::Timer => !(Self::Timer.writable() | Self::Timer.read_only()),
            Self::Error => !(Self::Error.writable() | Self::Error.read_only()),
            Self::Lint0 | Self::Lint1 => !(Self::Lint0.writable() | Self::Lint0.read_only()),
            Self::Thermal | Self::PerformanceCounter | Self::CorrectedMachineCheck => {
                !(Self::Thermal.writable() | Self::Thermal.read_only())
            }
        }
    }
}
