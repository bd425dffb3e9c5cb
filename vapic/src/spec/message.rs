//! What travels between APICs: one interrupt message, whoever sent it.

/// How a message is delivered (SDM 3A, APIC §5.1 and §6.1; the encoding is that of the ICR, the
/// local vector table, MSI data and IOAPIC entries alike).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum DeliveryMode {
    /// To every target, on the message's vector.
    Fixed = 0,
    /// To one of the targets, on the message's vector.
    LowestPriority = 1,
    /// System-management interrupt.
    Smi = 2,
    /// Remote read, withdrawn since the Pentium 4: reserved.
    RemoteRead = 3,
    /// Non-maskable interrupt; the vector is ignored.
    Nmi = 4,
    /// INIT.
    Init = 5,
    /// Start-up IPI: the vector is the page at which the target starts.
    StartUp = 6,
    /// External interrupt, whose vector an 8259 supplies; reserved in the ICR.
    ExtInt = 7,
}

impl DeliveryMode {
    /// Every mode, in the order of its encoding.
    pub const ALL: [Self; 8] = [
        Self::Fixed,
        Self::LowestPriority,
        Self::Smi,
        Self::RemoteRead,
        Self::Nmi,
        Self::Init,
        Self::StartUp,
        Self::ExtInt,
    ];

    /// The mode that three bits encode; higher bits are ignored.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 7 {
            0 => Self::Fixed,
            1 => Self::LowestPriority,
            2 => Self::Smi,
            3 => Self::RemoteRead,
            4 => Self::Nmi,
            5 => Self::Init,
            6 => Self::StartUp,
            _ => Self::ExtInt,
        }
    }

    /// The encoding.
    #[must_use]
    pub const fn into_bits(self) -> u8 {
        self as u8
    }

    /// A short lower-case name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::LowestPriority => "lowest-priority",
            Self::Smi => "smi",
            Self::RemoteRead => "remote-read",
            Self::Nmi => "nmi",
            Self::Init => "init",
            Self::StartUp => "start-up",
            Self::ExtInt => "ext-int",
        }
    }
}

/// How a source asserts its interrupt, hence whether its end is broadcast to the IOAPICs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trigger {
    /// One event.
    Edge,
    /// A line that stays asserted until it is served.
    Level,
}

/// To whom a message goes.
///
/// The sender's mode has already been applied: an address that means "all" in its width has become
/// [`Destination::All`], so that 0xFF from an x2APIC sender is plainly APIC 255.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// The APIC or APICs with this ID.
    Physical(u32),
    /// The APICs whose logical ID matches this message destination address; each receiver's own
    /// mode and model decide how.
    Logical(u32),
    /// The sender alone.
    Sender,
    /// Every APIC, the sender included.
    All,
    /// Every APIC but the sender.
    AllButSender,
}

/// A decoded interrupt message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InterruptMessage {
    /// To whom.
    pub destination: Destination,
    /// How.
    pub delivery: DeliveryMode,
    /// On which vector; for a start-up IPI the page number, else ignored where the mode has none.
    pub vector: u8,
    /// Edge or level.
    pub trigger: Trigger,
}
