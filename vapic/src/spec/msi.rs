//! Message-signalled interrupts: a memory write, and the interrupt it asks for (SDM 3A, APIC §11).
//!
//! Whoever writes to 0xFEEx_xxxx from outside a processor (a device, an IOAPIC) sends one. Three
//! formats of the address are in use, told apart by nothing in the address: [`MsiFormat`].

use core::fmt;

use bitfield_struct::bitfield;

use super::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

/// The raw image of the address (APIC §11.1); any `u64` is one.
#[bitfield(u64)]
#[derive(PartialEq, Eq)]
pub struct MsiAddress {
    #[bits(2)]
    reserved_1_0: u8,
    /// DM: the destination is a logical address rather than an APIC ID.
    pub logical: bool,
    /// RH: one of the addressed processors takes the interrupt rather than all of them.
    pub redirection_hint: bool,
    /// The rest names an entry of an interrupt remapping table (VT-d specification, "Interrupt
    /// Request Formats"). Reserved where there is no remapping.
    pub remappable: bool,
    /// Destination bits 14:8 in [`MsiFormat::Bits15`], else reserved.
    #[bits(7)]
    pub extended_destination: u8,
    /// Destination bits 7:0.
    pub destination: u8,
    /// Address bits 31:20, [`Self::WINDOW`] in an interrupt.
    #[bits(12)]
    pub window: u16,
    reserved_39_32: u8,
    /// Destination bits 31:8 in [`MsiFormat::Bits32`], else zero in an interrupt.
    #[bits(24)]
    pub high_destination: u32,
}

impl MsiAddress {
    /// Address bits 31:20 of every message-signalled interrupt.
    pub const WINDOW: u16 = 0xFEE;

    /// An address in the window, all else zero.
    pub const BASE: Self = Self::new().with_window(Self::WINDOW);

    /// Whether a write to this address is an interrupt at all.
    const fn is_interrupt(self, format: MsiFormat) -> bool {
        let high_bits_are_free = matches!(format, MsiFormat::Bits32);
        self.window() == Self::WINDOW
            && self.reserved_39_32() == 0
            && (high_bits_are_free || self.high_destination() == 0)
    }

    /// The destination field in its own width, `None` where it says "all".
    fn id(self, format: MsiFormat) -> Option<u32> {
        let low = u32::from(self.destination());
        let id = match format {
            MsiFormat::Bits8 => low,
            MsiFormat::Bits15 => u32::from(self.extended_destination()) << 8 | low,
            MsiFormat::Bits32 => self.high_destination() << 8 | low,
        };
        (Some(id) != format.broadcast()).then_some(id)
    }

    /// The address with this destination field; `None` if the field is too narrow for it.
    fn with_id(self, id: u32, format: MsiFormat) -> Option<Self> {
        if id > format.highest() {
            return None;
        }
        let [low, middle, ..] = id.to_le_bytes();
        let address = self.with_destination(low);
        Some(match format {
            MsiFormat::Bits8 => address,
            MsiFormat::Bits15 => address.with_extended_destination(middle),
            MsiFormat::Bits32 => address.with_high_destination(id >> 8),
        })
    }
}

/// The raw image of the data (APIC §11.2); any `u32` is one.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct MsiData {
    /// Vector.
    pub vector: u8,
    /// Delivery mode.
    #[bits(3)]
    pub delivery: DeliveryMode,
    #[bits(3)]
    reserved_13_11: u8,
    /// Level: assert rather than de-assert; has no meaning for an edge.
    pub assert: bool,
    /// Trigger mode: level rather than edge.
    pub level_triggered: bool,
    reserved_31_16: u16,
}

/// Where an address keeps its destination, and how wide that is; fixed when a VM is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MsiFormat {
    /// The manual's: 8 bits, of which all ones are every APIC, in x2APIC mode too.
    #[default]
    Bits8,
    /// Address bits 11:5 are destination bits 14:8. To be used if, and only if, the guest is told
    /// so (CPUID 4000_0001H EAX bit 15, `KVM_FEATURE_MSI_EXT_DEST_ID`).
    ///
    /// This format has no broadcast: 0xFF is APIC 255, and 0x7FFF is APIC 32767. KVM agrees for
    /// processors in x2APIC mode once `KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK` is set.
    Bits15,
    /// Address bits 63:40 are destination bits 31:8, as in `KVM_SIGNAL_MSI` and KVM's routes with
    /// `KVM_X2APIC_API_USE_32BIT_IDS`: what an interrupt remapping unit sends. All 32 ones are
    /// every APIC; 0xFF is APIC 255, as it is for KVM without its broadcast quirk.
    Bits32,
}

impl MsiFormat {
    const fn highest(self) -> u32 {
        match self {
            Self::Bits8 => 0xFF,
            Self::Bits15 => 0x7FFF,
            Self::Bits32 => u32::MAX,
        }
    }

    /// The destination that means every APIC.
    const fn broadcast(self) -> Option<u32> {
        match self {
            Self::Bits8 | Self::Bits32 => Some(self.highest()),
            Self::Bits15 => None,
        }
    }
}

/// Why a write sends nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsiRefusal {
    /// The address is not 0xFEEx_xxxx, or has bits above 31 that the format has not: this is an
    /// ordinary write to memory.
    OutsideWindow,
    /// [`MsiFormat::Bits15`] alone: bit 4 asks for an interrupt remapping unit, and there is none.
    Remappable,
    /// Delivery mode 011 or 110, reserved in a message: ignored.
    ReservedDeliveryMode,
    /// Level-triggered with the level de-asserted. Only an assertion is an interrupt: ignored.
    LevelDeassert,
}

impl fmt::Display for MsiRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutsideWindow => "the address is not an interrupt's",
            Self::Remappable => "there is no interrupt remapping unit",
            Self::ReservedDeliveryMode => "the delivery mode is reserved",
            Self::LevelDeassert => "the level is de-asserted",
        })
    }
}

impl core::error::Error for MsiRefusal {}

/// Why a message cannot be sent as a memory write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MsiUnencodable {
    /// The format has no address for the destination: an ID that is too wide or that would read
    /// as a broadcast, a broadcast in a format without one, or a shorthand relative to a sender.
    Destination,
    /// Remote reads and start-up IPIs are sent by processors alone.
    DeliveryMode,
}

impl fmt::Display for MsiUnencodable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Destination => "the format has no address for the destination",
            Self::DeliveryMode => "the delivery mode is for processors alone",
        })
    }
}

impl core::error::Error for MsiUnencodable {}

/// A message-signalled interrupt as it is on the bus: a 32-bit write of `data` to `address`.
///
/// ```
/// use vapic::spec::message::{DeliveryMode, Destination};
/// use vapic::spec::msi::{MsiFormat, MsiMessage};
///
/// let msi = MsiMessage { address: 0xFEE0_3000, data: 0x0041 };
/// let message = msi.decode(MsiFormat::Bits8)?;
/// assert_eq!(message.destination, Destination::Physical(3));
/// assert_eq!((message.delivery, message.vector), (DeliveryMode::Fixed, 0x41));
/// assert_eq!(MsiMessage::encode(&message, MsiFormat::Bits8), Ok(msi));
/// # Ok::<(), vapic::spec::msi::MsiRefusal>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MsiMessage {
    /// Physical address of the write.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

impl MsiMessage {
    /// What the write asks for.
    ///
    /// - DM counts whether RH is set or not. The manual has it ignored without RH; processors, KVM
    ///   and Linux (for logical x2APIC destinations) all take it at its word.
    /// - RH turns a fixed interrupt into a lowest-priority one. Other delivery modes have no
    ///   arbitration and reach everyone addressed.
    /// - Only fixed and lowest-priority interrupts can be level-triggered.
    /// - A vector below 16 is passed on, since it is the receiver who notes that error.
    ///
    /// # Errors
    ///
    /// The refusal says why the write is no interrupt; in each case it is without effect.
    pub fn decode(self, format: MsiFormat) -> Result<InterruptMessage, MsiRefusal> {
        let address = MsiAddress::from_bits(self.address);
        let data = MsiData::from_bits(self.data);
        if !address.is_interrupt(format) {
            return Err(MsiRefusal::OutsideWindow);
        }
        if format == MsiFormat::Bits15 && address.remappable() {
            return Err(MsiRefusal::Remappable);
        }
        let deasserted = data.level_triggered() && !data.assert();
        let delivery = match data.delivery() {
            DeliveryMode::RemoteRead | DeliveryMode::StartUp => {
                return Err(MsiRefusal::ReservedDeliveryMode);
            }
            DeliveryMode::Fixed | DeliveryMode::LowestPriority | DeliveryMode::Init
                if deasserted =>
            {
                return Err(MsiRefusal::LevelDeassert);
            }
            DeliveryMode::Fixed if address.redirection_hint() => DeliveryMode::LowestPriority,
            other => other,
        };
        let destination = match address.id(format) {
            None => Destination::All,
            Some(id) if address.logical() => Destination::Logical(id),
            Some(id) => Destination::Physical(id),
        };
        let trigger = if data.level_triggered() && has_level(delivery) {
            Trigger::Level
        } else {
            Trigger::Edge
        };
        Ok(InterruptMessage {
            destination,
            delivery,
            vector: data.vector(),
            trigger,
        })
    }

    /// The write that asks for `message`.
    ///
    /// A lowest-priority message says so in the data and by RH. The trigger counts for fixed and
    /// lowest-priority messages alone.
    ///
    /// # Errors
    ///
    /// Some messages that processors send have no such form.
    pub fn encode(message: &InterruptMessage, format: MsiFormat) -> Result<Self, MsiUnencodable> {
        let delivery = message.delivery;
        if matches!(delivery, DeliveryMode::RemoteRead | DeliveryMode::StartUp) {
            return Err(MsiUnencodable::DeliveryMode);
        }
        let logical = matches!(message.destination, Destination::Logical(_));
        let id = match message.destination {
            Destination::Physical(id) | Destination::Logical(id) => {
                Some(id).filter(|_| Some(id) != format.broadcast())
            }
            Destination::All => format.broadcast(),
            Destination::Sender | Destination::AllButSender => None,
        };
        let level = message.trigger == Trigger::Level && has_level(delivery);
        let data = MsiData::new()
            .with_vector(message.vector)
            .with_delivery(delivery)
            .with_level_triggered(level)
            .with_assert(level);
        let address = MsiAddress::BASE
            .with_logical(logical)
            .with_redirection_hint(delivery == DeliveryMode::LowestPriority);
        let address = id.and_then(|id| address.with_id(id, format));
        Ok(Self {
            address: address.ok_or(MsiUnencodable::Destination)?.into_bits(),
            data: data.into_bits(),
        })
    }
}

/// Whether interrupts of this mode can be level-triggered; all others are edges whatever their
/// trigger bit says (APIC §11.2, 82093AA datasheet §3.2.4).
pub(crate) const fn has_level(delivery: DeliveryMode) -> bool {
    matches!(delivery, DeliveryMode::Fixed | DeliveryMode::LowestPriority)
}
