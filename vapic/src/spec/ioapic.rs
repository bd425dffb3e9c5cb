//! The IOAPIC's registers (82093AA datasheet §3; the EOI register and version 0x20 are those of
//! the I/O APIC in Intel's I/O controller hubs).

use bitfield_struct::bitfield;

use super::message::DeliveryMode;
use super::msi::{MsiAddress, MsiData, MsiFormat, MsiMessage, has_level};

/// Guest-physical address of the first IOAPIC of a PC.
pub const IOAPIC_BASE: u64 = 0xFEC0_0000;

/// Bytes that an IOAPIC claims from its base.
pub const IOAPIC_SIZE: u64 = 0x1000;

/// Interrupt inputs, and so entries of the redirection table.
pub const PINS: usize = 24;

/// IOAPICVER: bits 7:0, version 0x20, which has an EOI register; bits 23:16, the last entry (§3.2.2).
pub const VERSION: u32 = 0x0017_0020;

/// IOREGSEL, the index of the register that [`IOWIN`] shows: 8 bits, read and write (§3.1.1).
pub const IOREGSEL: u32 = 0x00;

/// IOWIN, the window to the selected register: 32 bits (§3.1.2).
pub const IOWIN: u32 = 0x10;

/// EOIR, write-only: a vector whose level-triggered interrupt has been served.
pub const EOIR: u32 = 0x40;

/// A register behind IOREGSEL and IOWIN (§3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IoApicRegister {
    /// IOAPICID: bits 27:24 are the ID (§3.2.1).
    Id,
    /// IOAPICVER: read-only, [`VERSION`].
    Version,
    /// IOAPICARB: the arbitration ID, read-only, which is the ID (§3.2.3).
    Arbitration,
    /// The low half of the entry of this pin (§3.2.4).
    EntryLow(u8),
    /// Its high half.
    EntryHigh(u8),
}

impl IoApicRegister {
    /// What IOREGSEL selects; `None` for a hole.
    #[must_use]
    pub const fn from_index(index: u8) -> Option<Self> {
        Some(match index {
            0 => Self::Id,
            1 => Self::Version,
            2 => Self::Arbitration,
            0x10..=0x3F if index & 1 == 0 => Self::EntryLow((index - 0x10) >> 1),
            0x10..=0x3F => Self::EntryHigh((index - 0x10) >> 1),
            _ => return None,
        })
    }
}

/// The raw image of an entry of the redirection table (§3.2.4); any `u64` is one.
///
/// Bits 63:48 are bits 19:4 of the address of the message it sends, so the formats of
/// [`MsiFormat`] are the entry's as well.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct RedirectionEntry {
    /// Vector.
    pub vector: u8,
    /// Delivery mode.
    #[bits(3)]
    pub delivery: DeliveryMode,
    /// Destination mode: logical rather than physical.
    pub logical: bool,
    /// Delivery status, read-only: an interrupt waits to be sent.
    pub delivery_status: bool,
    /// Polarity: the pin is asserted while low.
    pub active_low: bool,
    /// Remote IRR, read-only: a level-triggered interrupt was sent and has not ended.
    pub remote_irr: bool,
    /// Trigger mode: level rather than edge.
    pub level_triggered: bool,
    /// Nothing is sent.
    pub masked: bool,
    #[bits(31)]
    reserved_47_17: u32,
    reserved_48: bool,
    /// Destination bits 14:8 in [`MsiFormat::Bits15`], else reserved.
    #[bits(7)]
    pub extended_destination: u8,
    /// Destination bits 7:0.
    pub destination: u8,
}

impl RedirectionEntry {
    /// After power-up and reset: masked, all else zero.
    pub const RESET: Self = Self::new().with_masked(true);

    /// Bits that software cannot change.
    pub const READ_ONLY: u64 = Self::new()
        .with_delivery_status(true)
        .with_remote_irr(true)
        .into_bits();

    /// Bits that a guest can set; the rest are read-only or reserved, which read 0.
    #[must_use]
    pub const fn writable(format: MsiFormat) -> u64 {
        let extended = match format {
            MsiFormat::Bits15 => 0x7F,
            MsiFormat::Bits8 | MsiFormat::Bits32 => 0,
        };
        Self::new()
            .with_vector(0xFF)
            .with_delivery(DeliveryMode::ExtInt)
            .with_logical(true)
            .with_active_low(true)
            .with_level_triggered(true)
            .with_masked(true)
            .with_extended_destination(extended)
            .with_destination(0xFF)
            .into_bits()
    }

    /// Whether the pin acts by level: fixed and lowest priority alone, other delivery modes are
    /// edges whatever the trigger mode says.
    #[must_use]
    pub const fn is_level(self) -> bool {
        self.level_triggered() && has_level(self.delivery())
    }

    /// Whether an assertion sends anything: neither masked nor of a reserved delivery mode.
    #[must_use]
    pub const fn sends(self) -> bool {
        let reserved = matches!(
            self.delivery(),
            DeliveryMode::RemoteRead | DeliveryMode::StartUp
        );
        !self.masked() && !reserved
    }

    /// The write to memory that the pin's assertion causes.
    #[must_use]
    pub fn msi(self) -> MsiMessage {
        let level = self.is_level();
        let lowest_priority = matches!(self.delivery(), DeliveryMode::LowestPriority);
        MsiMessage {
            address: MsiAddress::BASE
                .with_logical(self.logical())
                .with_redirection_hint(lowest_priority)
                .with_extended_destination(self.extended_destination())
                .with_destination(self.destination())
                .into_bits(),
            data: MsiData::new()
                .with_vector(self.vector())
                .with_delivery(self.delivery())
                .with_assert(level)
                .with_level_triggered(level)
                .into_bits(),
        }
    }
}
