//! The owner takes what the mailbox holds (SDM 3A, APIC §8.4; INIT and start-up: §4.7 and §8.4.1).

use crate::local_apic::LocalApic;
use crate::mailbox::{Mailbox, Overtaken, Signals};
use crate::spec::error::ErrorStatus;
use crate::vector::Bits;

/// What became of a vector that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// Its request bit is now set.
    Accepted,
    /// Its request bit was set already: the two are one interrupt.
    Merged,
    /// The APIC is disabled by software or globally and takes no vectors.
    Disabled,
    /// The vector is below 16: noted in the ESR, never delivered.
    IllegalVector,
}

/// Arrivals that are no vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrivals {
    /// NMIs latched by this drain; hand them over with [`LocalApic::take_nmi`].
    pub nmis: u8,
    /// NMIs that merged with two latched before.
    pub nmis_merged: u8,
    /// INIT: the APIC has been reset; reset the processor too, before anything below.
    pub init: bool,
    /// The processor leaves wait-for-SIPI and starts at this page (real mode, CS:IP = page << 8 : 0).
    pub start_page: Option<u8>,
    /// A start-up arrived while the processor was not waiting for one, and was discarded.
    pub start_up_discarded: bool,
    /// An SMI is latched.
    pub smi: bool,
    /// An external interrupt is latched.
    pub ext_int: bool,
    /// What an INIT overtook on its way.
    pub overtaken: Overtaken,
}

impl LocalApic {
    /// Takes all that waits in the mailbox; `each` learns what became of every vector.
    ///
    /// Returns the arrivals that are no vectors, if there were any.
    #[inline]
    pub fn drain(
        &mut self,
        mailbox: &Mailbox,
        mut each: impl FnMut(u8, Acceptance),
    ) -> Option<Arrivals> {
        let signals = mailbox.take_signals();
        // INIT goes first: it disables the APIC, which then refuses vectors that came before it.
        let arrivals = if signals.is_none() {
            None
        } else {
            Some(self.take_signals(signals))
        };
        for index in 0..4u8 {
            let (edge, level) = mailbox.take_requests(usize::from(index));
            if edge | level != 0 {
                self.accept_word(index, edge, level, &mut each);
            }
        }
        arrivals
    }

    #[inline]
    fn accept_word(
        &mut self,
        index: u8,
        edge: u64,
        level: u64,
        each: &mut impl FnMut(u8, Acceptance),
    ) {
        let mut arrived = edge | level;
        if !self.spurious.enabled() {
            return Bits {
                index,
                word: arrived,
            }
            .for_each(|v| each(v, Acceptance::Disabled));
        }
        if index == 0 && arrived & 0xFFFF != 0 {
            self.note_error(ErrorStatus::new().with_receive_illegal_vector(true));
            Bits {
                index,
                word: arrived & 0xFFFF,
            }
            .for_each(|v| each(v, Acceptance::IllegalVector));
            arrived &= !0xFFFF;
        }
        let requests = self.requests.word_mut(index);
        let merged = *requests & arrived;
        *requests |= arrived;
        // The trigger mode is decided at acceptance and left alone by EOI (§8.4).
        let triggers = self.level.word_mut(index);
        *triggers = *triggers & !arrived | level & arrived;
        for vector in (Bits {
            index,
            word: arrived,
        }) {
            let was_set = merged >> (vector & 63) & 1 != 0;
            each(
                vector,
                if was_set {
                    Acceptance::Merged
                } else {
                    Acceptance::Accepted
                },
            );
        }
    }

    #[cold]
    fn take_signals(&mut self, signals: Signals) -> Arrivals {
        if signals.init() {
            self.init();
        }
        let start_page = signals.start_page().filter(|_| self.waiting_for_start_up);
        if start_page.is_some() {
            self.waiting_for_start_up = false;
        }
        let nmis = signals.nmis().min(2 - self.nmis);
        self.nmis += nmis;
        self.smi |= signals.smi();
        self.ext_int |= signals.ext_int();
        Arrivals {
            nmis,
            nmis_merged: signals.nmis() - nmis,
            init: signals.init(),
            start_page,
            start_up_discarded: signals.start_page().is_some() && start_page.is_none(),
            smi: signals.smi(),
            ext_int: signals.ext_int(),
            overtaken: signals.overtaken(),
        }
    }
}
