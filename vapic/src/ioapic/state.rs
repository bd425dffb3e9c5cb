//! What an IOAPIC is at one moment, as plain data that can be kept, sent and taken over.

use core::fmt;

use super::pin::{PAUSE, Pin, STORM_ENDS};
use super::{IoApic, IoApicConfig, Pins};
use crate::spec::ioapic::{PINS, RedirectionEntry};

/// The state of an [`IoApic`], without its configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoApicState {
    /// IOREGSEL.
    pub select: u8,
    /// The ID, below 16.
    pub id: u8,
    /// The pins.
    pub pins: [PinState; PINS],
}

/// The state of one pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PinState {
    /// The entry of the redirection table, see [`RedirectionEntry`]; the delivery status is clear.
    pub entry: u64,
    /// The line as the host last drove it.
    pub line: bool,
    /// Storm brake: ends in a row that found the line still asserted.
    pub ends: u32,
    /// For how many ns nothing is sent yet, for the storm brake or because no APIC took the last.
    pub pause: Option<u64>,
}

/// Why a state is not one that an IOAPIC can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IoApicRefusal {
    /// The ID has more than four bits.
    Id(u8),
    /// The entry of this pin has bits that the destination format does not know, or its delivery
    /// status is set.
    ReservedBits(u8),
    /// Remote IRR is set in the entry of this pin, which is edge-triggered.
    RemoteIrr(u8),
    /// The storm brake of this pin has counted further than it does or pauses for longer, or is on
    /// where no level waits to be sent.
    Storm(u8),
}

impl fmt::Display for IoApicRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "the IOAPIC's ID {id} is not below 16"),
            Self::ReservedBits(pin) => write!(f, "IOAPIC entry {pin} has reserved bits set"),
            Self::RemoteIrr(pin) => {
                write!(f, "IOAPIC entry {pin} is an edge with its remote IRR set")
            }
            Self::Storm(pin) => write!(f, "the storm brake of IOAPIC pin {pin} cannot be on so"),
        }
    }
}

impl core::error::Error for IoApicRefusal {}

impl PinState {
    fn check(&self, pin: u8, config: IoApicConfig) -> Result<(), IoApicRefusal> {
        let entry = RedirectionEntry::from_bits(self.entry);
        let known = RedirectionEntry::new().with_remote_irr(true).into_bits()
            | RedirectionEntry::writable(config.format);
        if self.entry & !known != 0 {
            return Err(IoApicRefusal::ReservedBits(pin));
        }
        if entry.remote_irr() && !entry.is_level() {
            return Err(IoApicRefusal::RemoteIrr(pin));
        }
        let counts = self.ends > 0 || self.pause.is_some();
        let storms = Pin::restore(self, 0).is_asserted_level(config.polarity);
        let in_range = self.ends < STORM_ENDS && self.pause.unwrap_or(0) <= PAUSE;
        let waits_and_sent = self.pause.is_some() && entry.remote_irr();
        if counts && !storms || !in_range || waits_and_sent {
            return Err(IoApicRefusal::Storm(pin));
        }
        Ok(())
    }
}

impl IoApic {
    /// What the IOAPIC is at `now`, in ns.
    #[must_use]
    pub fn save(&self, now: u64) -> IoApicState {
        let Self {
            config: _,
            select,
            id,
            pins,
        } = self;
        IoApicState {
            select: *select,
            id: *id,
            pins: pins.each_ref().map(|pin| pin.save(now)),
        }
    }

    /// Becomes what `state` says, and sends what that state owes: nothing if it was saved, but for
    /// pauses that had run out by then.
    ///
    /// # Errors
    ///
    /// Refuses a state that no IOAPIC with this configuration can be in, and is left as it was.
    pub fn restore(&mut self, state: &IoApicState, now: u64) -> Result<Pins, IoApicRefusal> {
        let IoApicState { select, id, pins } = state;
        if *id > 0xF {
            return Err(IoApicRefusal::Id(*id));
        }
        for (pin, state) in (0..).zip(pins) {
            state.check(pin, self.config)?;
        }
        *self = Self {
            config: self.config,
            select: *select,
            id: *id,
            pins: pins.each_ref().map(|state| Pin::restore(state, now)),
        };
        Ok(self.advance(now))
    }
}
