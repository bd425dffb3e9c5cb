//! What guests, devices and the clock can do, in the shape that the fuzzer mutates.
//!
//! Most values mean something somewhere; one kind of each is arbitrary, so nothing is out of reach.

use arbitrary::{Arbitrary, Result, Unstructured};
use vapic::spec::lvt::LvtSource;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Config, Features, Lint};

/// As many as the bytes last for; a list that says its own length would be a short one most often.
pub(crate) fn to_the_end<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>) -> Result<Vec<T>> {
    let mut list = Vec::new();
    while !bytes.is_empty() {
        list.push(bytes.arbitrary()?);
    }
    Ok(list)
}

/// A few.
pub(crate) fn some<'a, T: Arbitrary<'a>>(bytes: &mut Unstructured<'a>) -> Result<Vec<T>> {
    let count = bytes.int_in_range(0..=15)?;
    (0..count).map(|_| bytes.arbitrary()).collect()
}

/// One thing that happens at one processor.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Input {
    /// A 32-bit write to a register of the page.
    WritePage(Number, Value),
    /// A write of any width anywhere.
    WriteBytes(Offset, Bytes),
    /// A read of any width anywhere, so wide.
    ReadPage(Offset, Width),
    /// A write to an x2APIC register.
    WriteMsr(Number, Value, High),
    /// A write to any MSR.
    WriteAnyMsr(u32, u64),
    /// A read of an x2APIC register.
    ReadMsr(Number),
    /// A read of any MSR.
    ReadAnyMsr(u32),
    /// IA32_APIC_BASE is written.
    WriteBase(Base),
    /// IA32_TSC_DEADLINE is written.
    WriteDeadline(u64),
    /// IA32_TSC_DEADLINE is read.
    ReadDeadline,
    /// The processor's CR8 is taken over.
    SetCr8(u8),
    /// A local source fires.
    Raise(Source),
    /// A pin is asserted or not.
    Lint(Pin, bool),
    /// A device or another processor sends.
    Message(Message),
    /// The mailbox is drained.
    Drain,
    /// The processor takes an interrupt.
    Acknowledge,
    /// The guest ends an interrupt, through whichever door is open.
    End,
    /// The processor takes a latched NMI.
    TakeNmi,
    /// The processor takes a latched SMI.
    TakeSmi,
    /// The processor has taken an external interrupt from its 8259.
    EndExtInt,
    /// The clock moves.
    Clock(Clock),
    /// The TSC moves.
    Tsc(Clock),
    /// The APIC is replaced by what its snapshot restores.
    SaveAndRestore,
}

impl Input {
    /// Whether the processor itself does it.
    pub(crate) const fn is_executed(&self) -> bool {
        matches!(
            self,
            Self::WritePage(..)
                | Self::WriteBytes(..)
                | Self::ReadPage(..)
                | Self::WriteMsr(..)
                | Self::WriteAnyMsr(..)
                | Self::ReadMsr(..)
                | Self::ReadAnyMsr(..)
                | Self::WriteBase(_)
                | Self::WriteDeadline(_)
                | Self::ReadDeadline
                | Self::End
        )
    }
}

/// The number of a register, as a page offset divided by 16 or an MSR minus 0x800.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Number(
    #[arbitrary(with = |u: &mut Unstructured<'_>| u.int_in_range(0..=0x3F))] u8,
);

impl Number {
    pub(crate) fn offset(self) -> u32 {
        u32::from(self.0) << 4
    }

    pub(crate) fn msr(self) -> u32 {
        0x800 + u32::from(self.0)
    }
}

/// A 32-bit value.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Value {
    Any(u32),
    Byte(u8),
    Bit(u8),
    /// The spurious-vector register of an enabled APIC.
    Enabled,
    /// A command, or an entry of the local vector table.
    Vector {
        vector: u8,
        delivery: u8,
        flags: u8,
    },
}

impl Value {
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Any(bits) => bits,
            Self::Byte(bits) => bits.into(),
            Self::Bit(bit) => 1 << (bit & 31),
            Self::Enabled => 0x1FF,
            // Bits 11 to 18 are the flags of both.
            Self::Vector {
                vector,
                delivery,
                flags,
            } => u32::from(vector) | u32::from(delivery & 7) << 8 | u32::from(flags) << 11,
        }
    }
}

/// The upper half of an MSR's value.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum High {
    Zero,
    Id(u8),
    Any(u32),
}

impl High {
    pub(crate) fn bits(self) -> u64 {
        let bits = match self {
            Self::Zero => 0,
            Self::Id(id) => id.into(),
            Self::Any(bits) => bits,
        };
        u64::from(bits) << 32
    }
}

/// Where on the page, or beyond it.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Offset {
    Register(Number),
    Page(u16),
    Any(u32),
}

impl Offset {
    pub(crate) fn get(self) -> u32 {
        match self {
            Self::Register(number) => number.offset(),
            Self::Page(offset) => offset.into(),
            Self::Any(offset) => offset,
        }
    }
}

/// The width of an access in bytes.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Width(#[arbitrary(with = |u: &mut Unstructured<'_>| u.int_in_range(0..=16))] u8);

impl Width {
    /// A buffer of this width.
    pub(crate) fn of(self, bytes: &mut [u8; 16]) -> &mut [u8] {
        bytes.split_at_mut(self.0.into()).0
    }
}

/// Bytes of some width.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Bytes {
    width: Width,
    bytes: [u8; 16],
}

impl Bytes {
    pub(crate) fn get(&mut self) -> &[u8] {
        self.width.of(&mut self.bytes)
    }
}

/// Values of IA32_APIC_BASE.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Base {
    Any(u64),
    /// The default page, and bits 11:8.
    Mode(u8),
    /// Another page in xAPIC mode.
    Page(u32),
}

impl Base {
    pub(crate) fn bits(self) -> u64 {
        match self {
            Self::Any(bits) => bits,
            Self::Mode(bits) => 0xFEE0_0000 | u64::from(bits & 0xF) << 8,
            Self::Page(number) => u64::from(number) << 12 | 0x800,
        }
    }
}

/// A local source, as an index.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Source(u8);

impl Source {
    pub(crate) fn get(self) -> LvtSource {
        LvtSource::ALL[usize::from(self.0) % LvtSource::COUNT]
    }
}

/// A pin.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Pin {
    Zero,
    One,
}

impl From<Pin> for Lint {
    fn from(pin: Pin) -> Self {
        match pin {
            Pin::Zero => Self::Lint0,
            Pin::One => Self::Lint1,
        }
    }
}

/// How a clock moves.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) enum Clock {
    Forward(u32),
    Backward(u32),
    /// To exactly the next deadline.
    Deadline,
    To(u64),
}

impl Clock {
    /// The time after the move.
    pub(crate) fn from(self, now: u64, deadline: Option<u64>) -> u64 {
        match self {
            Self::Forward(by) => now.saturating_add(by.into()),
            Self::Backward(by) => now.saturating_sub(by.into()),
            Self::Deadline => deadline.unwrap_or(now),
            Self::To(now) => now,
        }
    }
}

/// An interrupt message.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Message {
    /// From a device rather than from the processor.
    pub(crate) device: bool,
    to: To,
    delivery: u8,
    vector: u8,
    level: bool,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum To {
    Physical(u8),
    Logical(u8),
    AnyPhysical(u32),
    AnyLogical(u32),
    Sender,
    All,
    AllButSender,
}

impl From<Message> for InterruptMessage {
    fn from(message: Message) -> Self {
        Self {
            destination: match message.to {
                To::Physical(id) => Destination::Physical(id.into()),
                To::Logical(address) => Destination::Logical(address.into()),
                To::AnyPhysical(id) => Destination::Physical(id),
                To::AnyLogical(address) => Destination::Logical(address),
                To::Sender => Destination::Sender,
                To::All => Destination::All,
                To::AllButSender => Destination::AllButSender,
            },
            delivery: DeliveryMode::from_bits(message.delivery),
            vector: message.vector,
            trigger: if message.level {
                Trigger::Level
            } else {
                Trigger::Edge
            },
        }
    }
}

/// A model of processor.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub(crate) struct Model {
    tsc_deadline: bool,
    eoi_suppression: bool,
    corrected_machine_check: bool,
    #[arbitrary(with = |u: &mut Unstructured<'_>| u.int_in_range(32..=52))]
    physical_bits: u8,
}

impl Model {
    pub(crate) fn config(self, id: u32, bootstrap: bool) -> Config {
        Config {
            id,
            bootstrap,
            physical_bits: self.physical_bits,
            features: Features {
                x2apic: true,
                tsc_deadline: self.tsc_deadline,
                eoi_suppression: self.eoi_suppression,
                corrected_machine_check: self.corrected_machine_check,
            },
        }
    }
}
