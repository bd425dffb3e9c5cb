//! One interrupt input: its line, its entry of the redirection table, and when it sends.
//!
//! Between any two calls this holds: a pin that acts by level, is asserted and may send either has
//! sent (its remote IRR is set) or is held back, by the storm brake or because nobody took it.

use super::Polarity;
use super::state::PinState;
use crate::spec::ioapic::RedirectionEntry;
use crate::spec::msi::MsiFormat;

/// Ends without a change of the line after which the next interrupt of a pin waits.
pub(super) const STORM_ENDS: u32 = 10_000;

/// How long it waits, in ns; and so does one that no APIC accepted, until it is tried again.
pub(super) const PAUSE: u64 = 10_000_000;

#[derive(Clone, Copy, Debug)]
pub(super) struct Pin {
    /// Without its delivery status, which is computed.
    entry: RedirectionEntry,
    /// As the host drives it.
    line: bool,
    /// Ends in a row that found the line still asserted.
    ends: u32,
    /// Nothing is sent before this moment, in ns.
    held_until: Option<u64>,
    /// APICs that the last level was posted to and that have not refused it.
    takers: usize,
}

impl Pin {
    pub(super) const RESET: Self = Self {
        entry: RedirectionEntry::RESET,
        line: false,
        ends: 0,
        held_until: None,
        takers: 0,
    };

    /// The entry as it reads.
    pub(super) const fn entry(&self) -> RedirectionEntry {
        let waits = self.held_until.is_some() && self.entry.sends();
        self.entry.with_delivery_status(waits)
    }

    const fn is_asserted(&self, polarity: Polarity) -> bool {
        match polarity {
            Polarity::Ignored => self.line,
            Polarity::Honoured => self.line != self.entry.active_low(),
        }
    }

    pub(super) const fn is_asserted_level(&self, polarity: Polarity) -> bool {
        self.entry.is_level() && self.is_asserted(polarity)
    }

    /// The line changes, or not. Whether an interrupt is sent.
    pub(super) fn drive(&mut self, line: bool, polarity: Polarity) -> bool {
        if line == self.line {
            return false;
        }
        self.line = line;
        self.forget_storm();
        if self.entry.is_level() {
            self.send_level(polarity)
        } else {
            self.entry.sends() && self.is_asserted(polarity)
        }
    }

    /// The guest writes one half of the entry, or both. Whether an interrupt is sent.
    pub(super) fn write(
        &mut self,
        entry: RedirectionEntry,
        format: MsiFormat,
        polarity: Polarity,
        now: u64,
    ) -> bool {
        let kept = self.entry.into_bits() & RedirectionEntry::READ_ONLY;
        let written = entry.into_bits() & RedirectionEntry::writable(format);
        self.entry = RedirectionEntry::from_bits(written | kept);
        if !self.entry.is_level() {
            // Guests end an interrupt this way where there is no EOI register.
            self.entry.set_remote_irr(false);
        }
        if !self.is_asserted_level(polarity) {
            self.forget_storm();
        }
        self.advance(polarity, now)
    }

    /// The interrupt on `vector` has ended somewhere. Whether another one is sent.
    pub(super) fn end(&mut self, vector: u8, polarity: Polarity, now: u64) -> bool {
        if !self.entry.remote_irr() || self.entry.vector() != vector {
            return false;
        }
        self.entry.set_remote_irr(false);
        if !self.entry.sends() || !self.is_asserted(polarity) {
            self.forget_storm();
            return false;
        }
        self.ends += 1;
        if self.ends == STORM_ENDS {
            self.ends = 0;
            self.held_until = Some(now.saturating_add(PAUSE));
        }
        self.advance(polarity, now)
    }

    /// What the pin has just sent was posted to so many APICs.
    pub(super) fn posted(&mut self, targets: usize, polarity: Polarity, now: u64) {
        if self.entry.remote_irr() {
            self.takers = targets;
            self.hold_what_nobody_takes(polarity, now);
        }
    }

    /// An APIC has refused a level on `vector`.
    pub(super) fn refuse(&mut self, vector: u8, polarity: Polarity, now: u64) {
        if self.entry.remote_irr() && self.entry.vector() == vector {
            self.takers = self.takers.saturating_sub(1);
            self.hold_what_nobody_takes(polarity, now);
        }
    }

    /// Remote IRR is set by acceptance: without, the message waits to be sent again.
    fn hold_what_nobody_takes(&mut self, polarity: Polarity, now: u64) {
        if self.takers > 0 {
            return;
        }
        self.entry.set_remote_irr(false);
        if self.is_asserted_level(polarity) {
            self.held_until = Some(now.saturating_add(PAUSE));
        }
    }

    /// Time reaches `now`, in ns. Whether an interrupt is sent.
    pub(super) fn advance(&mut self, polarity: Polarity, now: u64) -> bool {
        if self.held_until.is_some_and(|moment| moment <= now) {
            self.held_until = None;
        }
        self.send_level(polarity)
    }

    /// When [`Self::advance`] will send something.
    pub(super) const fn deadline(&self) -> Option<u64> {
        if self.entry.sends() {
            self.held_until
        } else {
            None
        }
    }

    /// Sends what an asserted level owes.
    fn send_level(&mut self, polarity: Polarity) -> bool {
        let sends = self.entry.sends()
            && self.is_asserted_level(polarity)
            && !self.entry.remote_irr()
            && self.held_until.is_none();
        if sends {
            self.entry.set_remote_irr(true);
            self.takers = 1;
        }
        sends
    }

    fn forget_storm(&mut self) {
        self.ends = 0;
        self.held_until = None;
    }

    pub(super) fn save(&self, now: u64) -> PinState {
        let Self {
            entry,
            line,
            ends,
            held_until,
            takers: _,
        } = *self;
        PinState {
            entry: entry.into_bits(),
            line,
            ends,
            // A clock that ran backwards must not make a pause that no brake orders.
            pause: held_until.map(|moment| moment.saturating_sub(now).min(PAUSE)),
        }
    }

    /// Takes over a state that [`PinState::check`] has passed.
    pub(super) fn restore(state: &PinState, now: u64) -> Self {
        let PinState {
            entry,
            line,
            ends,
            pause,
        } = *state;
        Self {
            entry: RedirectionEntry::from_bits(entry),
            line,
            ends,
            held_until: pause.map(|pause| now.saturating_add(pause)),
            takers: 1,
        }
    }
}
