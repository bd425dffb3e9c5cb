//! The local sources and the pins (SDM 3A, APIC §5.1).

use vapic::spec::message::{DeliveryMode, Trigger};

use crate::apic::*;

impl Apic {
    /// A local source other than the timer fires (§5.1); whether that is an INIT.
    pub(crate) fn fire(&mut self, register: u32) -> bool {
        let entry = self.entries[&register];
        if entry & MASKED != 0 || !self.exists(register) {
            return false;
        }
        if register == LVT_PMC {
            self.entries.insert(register, entry | MASKED);
        }
        match DeliveryMode::from_bits((entry >> 8 & 7) as u8) {
            DeliveryMode::Fixed => drop(self.request(entry.to_le_bytes()[0], Trigger::Edge)),
            DeliveryMode::Smi => self.smi = true,
            DeliveryMode::Nmi => self.nmis = 2.min(self.nmis + 1),
            // The thermal, counter and machine-check entries support neither INIT nor ExtINT.
            DeliveryMode::Init if [LVT_LINT0, LVT_LINT1].contains(&register) => {
                self.init();
                return true;
            }
            _ => {}
        }
        false
    }

    pub(crate) fn is_lint0_level(&self) -> bool {
        self.entries[&LVT_LINT0] & (LEVEL | 7 << 8) == LEVEL
    }

    /// LINT0 by level: one request until its end, for as long as the pin asks.
    pub(crate) fn look_at_lint0(&mut self) {
        let entry = self.entries[&LVT_LINT0];
        let [vector, ..] = entry.to_le_bytes();
        let may = self.is_lint0_level() && entry & MASKED == 0 && self.lint0.is_none();
        if may && self.pins[0] && self.request(vector, Trigger::Level) {
            self.lint0 = Some(vector);
        }
    }

    /// A pin changes, or not; whether that is an INIT.
    pub(crate) fn pin(&mut self, pin: usize, asserted: bool) -> bool {
        let rises = asserted && !self.pins[pin];
        self.pins[pin] = asserted;
        let register = [LVT_LINT0, LVT_LINT1][pin];
        let is_ext_int = self.entries[&register] >> 8 & 7 == 7;
        match (self.mode(), pin) {
            (Mode::Disabled, 0) => false,
            (Mode::Disabled, _) => {
                self.nmis = 2.min(self.nmis + u8::from(rises));
                false
            }
            (_, 0) if self.is_lint0_level() => {
                self.look_at_lint0();
                false
            }
            _ => rises && !is_ext_int && self.fire(register),
        }
    }

    pub(crate) fn ext_int(&self) -> bool {
        let is_open = |register| self.entries[&register] & (MASKED | 7 << 8) == 7 << 8;
        let asked = match (self.mode(), self.pins) {
            (Mode::Disabled, [intr, _]) => intr,
            (_, [lint0, lint1]) => lint0 && is_open(LVT_LINT0) || lint1 && is_open(LVT_LINT1),
        };
        !self.waits && (self.ext_int_message || asked)
    }

    pub(crate) fn set_ext_int(&mut self, pending: bool) {
        self.ext_int_message = pending;
    }
}
