//! The LINT pins (SDM 3A, APIC §5.1 and §4.3).
//!
//! A pin in fixed mode is edge-triggered, or on LINT0 level-triggered with a remote IRR: set when
//! the interrupt is accepted, cleared by its EOI, and as long as it is set the level asks for
//! nothing more. NMI, SMI and INIT are edges whatever the trigger bit says, ExtINT is a level. With
//! the APIC globally disabled LINT0 is INTR and LINT1 is NMI.

use crate::local_apic::{LocalApic, Raised};
use crate::mode::Mode;
use crate::spec::lvt::{LvtEntry, LvtSource};
use crate::spec::message::DeliveryMode;

/// A pin for local interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lint {
    /// By tradition the output of the 8259.
    Lint0 = 0,
    /// By tradition NMI.
    Lint1 = 1,
}

impl Lint {
    const fn source(self) -> LvtSource {
        match self {
            Self::Lint0 => LvtSource::Lint0,
            Self::Lint1 => LvtSource::Lint1,
        }
    }
}

/// The entry asks for a fixed interrupt for as long as the pin is asserted.
const fn is_level(lint: Lint, entry: LvtEntry) -> bool {
    // LINT1 does not support level-sensitive interrupts.
    matches!(lint, Lint::Lint0)
        && matches!(entry.delivery(), DeliveryMode::Fixed)
        && entry.level_triggered()
}

/// Whether the entry of `source` can have its remote IRR set.
pub(crate) fn has_remote_irr(source: LvtSource, entry: LvtEntry) -> bool {
    source == LvtSource::Lint0 && is_level(Lint::Lint0, entry)
}

impl LocalApic {
    /// A pin is asserted or not from now on; the host has applied the entry's polarity.
    pub fn set_lint(&mut self, lint: Lint, asserted: bool) -> Raised {
        let pin = &mut self.lint_asserted[lint as usize];
        let rises = asserted && !*pin;
        *pin = asserted;
        let entry = self.lvt.get(lint.source());
        if self.mode == Mode::Disabled {
            if rises && lint == Lint::Lint1 {
                self.latch_nmi();
            }
            return Raised::Nothing;
        }
        if is_level(lint, entry) {
            self.sample_lint0();
            return Raised::Nothing;
        }
        if rises && entry.delivery() != DeliveryMode::ExtInt {
            return self.raise(lint.source());
        }
        Raised::Nothing
    }

    /// Whether an 8259 asks for the processor: the host then has it acknowledged and injects the
    /// vector that it gives, past IRR, ISR and the processor priority.
    ///
    /// Never while the processor waits for a start-up IPI.
    #[must_use]
    pub const fn ext_int(&self) -> bool {
        let asked =
            self.ext_int || self.pin_asks_8259(Lint::Lint0) || self.pin_asks_8259(Lint::Lint1);
        asked && !self.waiting_for_start_up
    }

    const fn pin_asks_8259(&self, lint: Lint) -> bool {
        let entry = self.lvt.get(lint.source());
        let passes = match self.mode {
            Mode::Disabled => matches!(lint, Lint::Lint0),
            Mode::Xapic | Mode::X2apic => {
                matches!(entry.delivery(), DeliveryMode::ExtInt) && !entry.masked()
            }
        };
        self.lint_asserted[lint as usize] && passes
    }

    /// The external interrupt has been acknowledged: forgets one that came as a message.
    pub const fn end_ext_int(&mut self) {
        self.ext_int = false;
    }

    /// Takes one latched SMI, to be handed to the processor.
    pub const fn take_smi(&mut self) -> bool {
        let latched = self.smi && !self.waiting_for_start_up;
        if latched {
            self.smi = false;
        }
        latched
    }

    /// Accepts LINT0's level, if it asks for an interrupt and none is under way.
    pub(crate) fn sample_lint0(&mut self) {
        let entry = self.lvt.get(LvtSource::Lint0);
        let asks = self.lint_asserted[Lint::Lint0 as usize]
            && is_level(Lint::Lint0, entry)
            && !entry.masked()
            && self.lint0_vector == 0;
        if asks && self.accept_local(entry.vector()) {
            self.level.insert(entry.vector());
            self.watched.insert(entry.vector());
            self.lint0_vector = entry.vector();
        }
    }

    /// A vector has ended: it may have been LINT0's.
    #[cold]
    pub(crate) fn end_lint0(&mut self, vector: u8) {
        if vector == self.lint0_vector {
            self.lint0_vector = 0;
            self.sample_lint0();
        }
    }

    /// LINT0's entry has been written, and is or was a level.
    #[cold]
    #[inline(never)]
    pub(crate) fn lint0_written(&mut self) {
        if !is_level(Lint::Lint0, self.lvt.get(LvtSource::Lint0)) {
            self.lint0_vector = 0;
        }
        self.sample_lint0();
    }
}
