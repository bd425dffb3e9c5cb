//! The Interrupt Command Register: the raw word, and what it asks for (SDM 3A, APIC §6.1, §12.9).

use bitfield_struct::bitfield;

use super::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

/// The raw image of the ICR as x2APIC mode writes it; any `u64` is one.
///
/// In xAPIC mode only bits 63:56 of the upper half exist, see [`Icr::from_xapic`].
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct Icr {
    /// Vector, or the start page of a start-up IPI.
    pub vector: u8,
    /// Delivery mode.
    #[bits(3)]
    pub delivery: DeliveryMode,
    /// Destination mode: logical rather than physical.
    pub logical: bool,
    /// Delivery status, read-only: a send here is complete when the write is.
    pub delivery_status: bool,
    reserved_13: bool,
    /// Level: assert rather than de-assert; has meaning for INIT only.
    pub assert: bool,
    /// Trigger mode: level rather than edge.
    pub level_triggered: bool,
    #[bits(2)]
    reserved_17_16: u8,
    /// Destination shorthand, which overrides the destination when it is not `None`.
    #[bits(2)]
    pub shorthand: Shorthand,
    #[bits(12)]
    reserved_31_20: u16,
    /// Destination: 32 bits in x2APIC mode, bits 63:56 alone in xAPIC mode.
    pub destination: u32,
}

/// The destination shorthands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Shorthand {
    /// The destination field counts.
    None = 0,
    /// The sender alone.
    Sender = 1,
    /// All, the sender included.
    All = 2,
    /// All but the sender.
    AllButSender = 3,
}

impl Shorthand {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::None,
            1 => Self::Sender,
            2 => Self::All,
            _ => Self::AllButSender,
        }
    }

    const fn into_bits(self) -> u8 {
        self as u8
    }
}

/// Which of the two formats an ICR value has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcrFormat {
    /// Two 32-bit registers, an 8-bit destination.
    Xapic,
    /// One 64-bit MSR, a 32-bit destination.
    X2apic,
}

/// Why a write to the ICR sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IcrRefusal {
    /// x2APIC: a reserved bit is set, the WRMSR takes #GP(0).
    ReservedBits,
    /// Fixed or lowest priority with a vector below 16: ESR, send illegal vector.
    IllegalVector,
    /// x2APIC has no lowest-priority IPIs: ESR, redirectable IPI.
    LowestPriorityUnsupported,
    /// Remote read (011) or ExtINT (111), reserved in the ICR: ignored.
    ReservedDeliveryMode,
    /// INIT level de-assert, without effect since the Pentium 4: ignored.
    InitDeassert,
    /// Fixed or lowest priority, level-triggered with the level de-asserted: nothing is asked for.
    LevelDeassert,
}

impl Icr {
    /// Bits that fault in x2APIC mode: 13, 17:16 and 31:20. Bit 12 is read-only and ignored.
    pub const X2APIC_RESERVED: u64 = 0xFFF3_2000;

    /// The bit that the commonest command may have set besides its vector.
    const ASSERT: u64 = Self::new().with_assert(true).into_bits();

    /// The image of an xAPIC command: its upper register keeps bits 31:24 alone.
    #[must_use]
    #[inline]
    pub const fn from_xapic(low: u32, high: u32) -> Self {
        Self::from_bits((high as u64 & 0xFF00_0000) << 32 | low as u64)
    }

    /// What the command sends, or why it sends nothing.
    ///
    /// # Errors
    ///
    /// The refusal says whether the guest sees a #GP, an ESR bit or nothing at all.
    pub fn decode(self, format: IcrFormat) -> Result<InterruptMessage, IcrRefusal> {
        self.plain(format)
            .map_or_else(|| self.decode_any(format), Ok)
    }

    /// What the commonest command sends, or `None` if this is not one: fixed, edge-triggered, to the
    /// one ID in the destination field.
    #[inline]
    pub(crate) fn plain(self, format: IcrFormat) -> Option<InterruptMessage> {
        let low = self.into_bits() & 0xFFFF_FFFF;
        // All other bits zero, and a legal vector.
        if !matches!(low & !Self::ASSERT, 16..=0xFF) {
            return None;
        }
        Some(InterruptMessage {
            destination: Destination::Physical(self.address(format)?),
            delivery: DeliveryMode::Fixed,
            vector: self.vector(),
            trigger: Trigger::Edge,
        })
    }

    #[inline]
    pub(crate) fn decode_any(self, format: IcrFormat) -> Result<InterruptMessage, IcrRefusal> {
        if format == IcrFormat::X2apic && self.into_bits() & Self::X2APIC_RESERVED != 0 {
            return Err(IcrRefusal::ReservedBits);
        }
        let deasserted = self.level_triggered() && !self.assert();
        let delivery = self.delivery();
        match delivery {
            DeliveryMode::RemoteRead | DeliveryMode::ExtInt => {
                return Err(IcrRefusal::ReservedDeliveryMode);
            }
            DeliveryMode::Init if deasserted => return Err(IcrRefusal::InitDeassert),
            DeliveryMode::LowestPriority if format == IcrFormat::X2apic => {
                return Err(IcrRefusal::LowestPriorityUnsupported);
            }
            DeliveryMode::Fixed | DeliveryMode::LowestPriority if self.vector() < 16 => {
                return Err(IcrRefusal::IllegalVector);
            }
            DeliveryMode::Fixed | DeliveryMode::LowestPriority if deasserted => {
                return Err(IcrRefusal::LevelDeassert);
            }
            // The other modes have no level (§6.1).
            _ => {}
        }
        let destination = match self.shorthand() {
            Shorthand::None if self.logical() => self.logical_destination(format),
            Shorthand::None => self.physical(format),
            Shorthand::Sender => Destination::Sender,
            Shorthand::All => Destination::All,
            Shorthand::AllButSender => Destination::AllButSender,
        };
        // IPIs have been edge-triggered whatever bit 15 says since the Pentium 4 (§6.1).
        Ok(InterruptMessage {
            destination,
            delivery,
            vector: self.vector(),
            trigger: Trigger::Edge,
        })
    }

    /// The destination field in its own width, with all ones meaning every APIC.
    #[inline]
    const fn address(self, format: IcrFormat) -> Option<u32> {
        let (address, broadcast) = match format {
            IcrFormat::Xapic => (self.destination() >> 24, 0xFF),
            IcrFormat::X2apic => (self.destination(), u32::MAX),
        };
        if address == broadcast {
            None
        } else {
            Some(address)
        }
    }

    #[inline]
    fn physical(self, format: IcrFormat) -> Destination {
        self.address(format)
            .map_or(Destination::All, Destination::Physical)
    }

    fn logical_destination(self, format: IcrFormat) -> Destination {
        self.address(format)
            .map_or(Destination::All, Destination::Logical)
    }
}

#[cfg(test)]
mod tests;
