//! The IOAPIC: 24 interrupt lines, a redirection table, version 0x20 with an EOI register (82093AA
//! datasheet §3; Intel I/O controller hubs for what came later).
//!
//! Like the Local APIC it asks nothing of its host: a call takes a value and the time and returns
//! the [`Pins`] whose interrupts must be delivered now. All of them are sent already as far as the
//! IOAPIC goes (remote IRR is set), so the host asks [`IoApic::message`] for each at once:
//!
//! ```
//! use vapic::spec::ioapic::{IOREGSEL, IOWIN};
//! use vapic::spec::message::Trigger;
//! use vapic::{IoApic, IoApicConfig};
//!
//! let mut ioapic = IoApic::new(IoApicConfig::default());
//! // The guest points pin 10 at vector 0x41 of APIC 0, level-triggered.
//! let mut write = |index, value: u32| {
//!     let _ = ioapic.write(IOREGSEL, &[index], 0);
//!     ioapic.write(IOWIN, &value.to_le_bytes(), 0)
//! };
//! let _ = write(0x24, 0x8041);
//! // A device asks for service; its interrupt ends while the device still asks.
//! for pins in [ioapic.line(10, true), ioapic.end_of_interrupt(0x41, 1_000)] {
//!     assert_eq!(pins.iter().collect::<Vec<_>>(), [10]);
//!     let message = ioapic.message(10).unwrap(); // goes to Router::deliver
//!     assert_eq!((message.vector, message.trigger), (0x41, Trigger::Level));
//! }
//! ```
//!
//! # The end of an interrupt
//!
//! A Local APIC whose level-triggered interrupt ends says so with
//! [`Effect::Ended`](crate::Effect::Ended). By then it has left service, so what
//! [`IoApic::end_of_interrupt`] sends may arrive at that very APIC. No call of either calls the
//! other.
//!
//! # Nobody takes it
//!
//! Remote IRR is set when an APIC accepts a level. The IOAPIC takes that for granted until the host
//! says otherwise: [`IoApic::posted`] tells it to how many APICs a message went, if not to one, and
//! [`IoApic::refused`] that one of them did not accept it. When none is left, remote IRR is clear
//! again and the message is sent anew 10 ms later, as long as the line asks.
//!
//! # Interrupt storms
//!
//! A guest that ends a level-triggered interrupt without serving its device would be interrupted
//! again at once, for ever. After 10,000 such ends without a change of the line the next interrupt
//! waits 10 ms, as KVM's and QEMU's do: [`IoApic::deadline`] says until when. Meanwhile the entry's
//! delivery status reads 1.
//!
//! # Absent
//!
//! The pin assertion register (bit 15 of the version register reads 0), interrupt remapping, the
//! routing of pin 23 to SMIOUT#, coalescing of RTC interrupts.

use crate::spec::ioapic::{EOIR, IOREGSEL, IOWIN, IoApicRegister, PINS, RedirectionEntry, VERSION};
use crate::spec::message::InterruptMessage;
use crate::spec::msi::{MsiFormat, MsiMessage};
use pin::Pin;

mod pin;
mod state;

pub use state::{IoApicRefusal, IoApicState, PinState};

/// What is fixed when an IOAPIC is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IoApicConfig {
    /// The format of destinations, the same as for the MSIs of the VM. An entry has bits for
    /// [`MsiFormat::Bits8`] and [`MsiFormat::Bits15`]; in [`MsiFormat::Bits32`] it addresses the
    /// lowest 256 APICs and none of its destinations is a broadcast.
    pub format: MsiFormat,
    /// What [`IoApic::line`] is told.
    pub polarity: Polarity,
}

/// What the polarity bit of an entry means to the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Polarity {
    /// A line is asserted or not, whatever its voltage would be: the bit is kept, without effect.
    /// There are guests that disregard what ACPI says of polarity, so KVM and QEMU do the same.
    #[default]
    Ignored,
    /// A line is high or low, and an entry with the bit set takes low for asserted. All lines are
    /// low until they are driven.
    Honoured,
}

/// A set of pins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "the interrupts of these pins must be delivered"]
pub struct Pins(u32);

impl Pins {
    /// No pin.
    pub const NONE: Self = Self(0);

    /// `pin`, an existing one, if it sends.
    fn one(pin: u8, sends: bool) -> Self {
        if sends { Self(1 << pin) } else { Self::NONE }
    }

    /// Whether the set has no pin.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a bit mask, pin 0 in bit 0.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The pins, lowest first.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..32).filter(move |pin| self.0 >> pin & 1 != 0)
    }
}

const HIGH_HALF: u64 = 0xFFFF_FFFF << 32;

/// An IOAPIC.
#[derive(Clone, Debug)]
pub struct IoApic {
    config: IoApicConfig,
    select: u8,
    id: u8,
    pins: [Pin; PINS],
}

impl IoApic {
    /// The IOAPIC after power-up: all entries masked, all lines low.
    #[must_use]
    pub const fn new(config: IoApicConfig) -> Self {
        Self {
            config,
            select: 0,
            id: 0,
            pins: [Pin::RESET; PINS],
        }
    }

    /// Back to the state after power-up.
    ///
    /// The lines are low again too: a machine's reset reaches its devices as well, and one that
    /// goes on asking for service must drive its line anew.
    pub fn reset(&mut self) {
        let Self {
            config: _,
            select,
            id,
            pins,
        } = self;
        *select = 0;
        *id = 0;
        *pins = [Pin::RESET; PINS];
    }

    /// The guest writes at `offset` from the base address.
    ///
    /// IOREGSEL takes the lowest byte of a write of any width. IOWIN and EOIR take 32 bits and no
    /// other width; such writes are dropped, as are those to all other offsets.
    pub fn write(&mut self, offset: u32, data: &[u8], now: u64) -> Pins {
        let value = <[u8; 4]>::try_from(data).map(u32::from_le_bytes);
        match (offset, data, value) {
            (IOREGSEL, &[index, ..], _) => {
                self.select = index;
                Pins::NONE
            }
            (IOWIN, _, Ok(value)) => self.write_register(value, now),
            (EOIR, &[vector, ..], Ok(_)) => self.end_of_interrupt(vector, now),
            _ => Pins::NONE,
        }
    }

    fn write_register(&mut self, value: u32, now: u64) -> Pins {
        let half = u64::from(value);
        match IoApicRegister::from_index(self.select) {
            Some(IoApicRegister::Id) => {
                self.id = value.to_be_bytes()[0] & 0xF;
                Pins::NONE
            }
            Some(IoApicRegister::EntryLow(pin)) => self.write_entry(pin, HIGH_HALF, half, now),
            Some(IoApicRegister::EntryHigh(pin)) => {
                self.write_entry(pin, !HIGH_HALF, half << 32, now)
            }
            Some(IoApicRegister::Version | IoApicRegister::Arbitration) | None => Pins::NONE,
        }
    }

    /// Writes `bits` to an entry, of which the bits `kept` stay.
    fn write_entry(&mut self, number: u8, kept: u64, bits: u64, now: u64) -> Pins {
        let IoApicConfig { format, polarity } = self.config;
        let Some(pin) = self.pins.get_mut(usize::from(number)) else {
            return Pins::NONE;
        };
        let entry = RedirectionEntry::from_bits(pin.entry().into_bits() & kept | bits);
        let sends = pin.write(entry, format, polarity, now);
        Pins::one(number, sends)
    }

    /// The guest reads at `offset` from the base address; `data` receives the bytes.
    ///
    /// A read inside a register's four bytes returns them; all else reads as zero.
    pub fn read(&self, offset: u32, data: &mut [u8]) {
        let value = match offset & !3 {
            IOREGSEL => u32::from(self.select),
            IOWIN => self.read_register(),
            _ => 0,
        };
        data.fill(0);
        let bytes = value.to_le_bytes();
        let within = bytes.iter().skip(offset as usize & 3);
        for (to, from) in data.iter_mut().zip(within) {
            *to = *from;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "an entry is read by halves"
    )]
    fn read_register(&self) -> u32 {
        let bits = |pin| self.entry(pin).map_or(0, RedirectionEntry::into_bits);
        match IoApicRegister::from_index(self.select) {
            Some(IoApicRegister::Id | IoApicRegister::Arbitration) => u32::from(self.id) << 24,
            Some(IoApicRegister::Version) => VERSION,
            Some(IoApicRegister::EntryLow(pin)) => bits(pin) as u32,
            Some(IoApicRegister::EntryHigh(pin)) => (bits(pin) >> 32) as u32,
            None => 0,
        }
    }

    /// The line of `pin` is asserted or not, or high or low: see [`Polarity`].
    ///
    /// The state is that of the line and nothing is counted: where devices share a line, the host
    /// passes on what they drive together. (Of a PC's ISA interrupts, IRQ 0 is wired to pin 2 and
    /// the others to the pin of their number.) Pins that do not exist are ignored.
    pub fn line(&mut self, pin: u8, high: bool) -> Pins {
        let polarity = self.config.polarity;
        let input = self.pins.get_mut(usize::from(pin));
        let sends = input.is_some_and(|input| input.drive(high, polarity));
        Pins::one(pin, sends)
    }

    /// A level-triggered interrupt on `vector` has ended: a Local APIC broadcasts it, or the guest
    /// wrote EOIR.
    ///
    /// All entries with this vector whose remote IRR is set have been served; those whose line is
    /// still asserted send again, each once.
    pub fn end_of_interrupt(&mut self, vector: u8, now: u64) -> Pins {
        let polarity = self.config.polarity;
        self.each(|pin| pin.end(vector, polarity, now))
    }

    /// The message that `pin` has just sent was posted to so many APICs, each of which may still
    /// refuse it; unless this is called, the IOAPIC supposes one. Edges are lost where nobody takes
    /// them.
    pub fn posted(&mut self, pin: u8, targets: usize, now: u64) {
        let polarity = self.config.polarity;
        if let Some(pin) = self.pins.get_mut(usize::from(pin)) {
            pin.posted(targets, polarity, now);
        }
    }

    /// A Local APIC has refused a level-triggered `vector` that was posted to it: what
    /// [`LocalApic::drain`](crate::LocalApic::drain) reports as
    /// [`Disabled`](crate::Acceptance::Disabled) with [`Trigger::Level`](crate::spec::message::Trigger).
    ///
    /// Nothing is sent at once: ask for [`Self::deadline`].
    pub fn refused(&mut self, vector: u8, now: u64) {
        let polarity = self.config.polarity;
        for pin in &mut self.pins {
            pin.refuse(vector, polarity, now);
        }
    }

    /// When an interrupt that is held back, by the storm brake or because no APIC took it, is due,
    /// in ns.
    ///
    /// Calling [`Self::advance`] earlier is harmless.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        self.pins.iter().filter_map(Pin::deadline).min()
    }

    /// Lets time reach `now`, in ns.
    pub fn advance(&mut self, now: u64) -> Pins {
        let polarity = self.config.polarity;
        self.each(|pin| pin.advance(polarity, now))
    }

    fn each(&mut self, mut call: impl FnMut(&mut Pin) -> bool) -> Pins {
        let pins = (0..).zip(&mut self.pins);
        pins.fold(Pins::NONE, |Pins(set), (number, pin)| {
            Pins(set | Pins::one(number, call(pin)).0)
        })
    }

    /// The message that `pin` sends, by its entry as it is now; `None` for a pin that does not
    /// exist or whose delivery mode is reserved, neither of which ever sends.
    ///
    /// For an ExtINT entry the target's processor takes its vector from an 8259, not from here.
    #[must_use]
    pub fn message(&self, pin: u8) -> Option<InterruptMessage> {
        self.msi(pin)?.decode(self.config.format).ok()
    }

    /// The same as a memory write, for a host whose Local APICs are elsewhere.
    #[must_use]
    pub fn msi(&self, pin: u8) -> Option<MsiMessage> {
        self.entry(pin).map(RedirectionEntry::msi)
    }

    /// The entry of `pin` as the guest reads it.
    #[must_use]
    pub fn entry(&self, pin: u8) -> Option<RedirectionEntry> {
        self.pins.get(usize::from(pin)).map(Pin::entry)
    }
}
