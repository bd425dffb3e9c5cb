//! The owner takes what the mailbox holds (SDM 3A, APIC §8.4; INIT and start-up: §4.7 and §8.4.1).

use crate::local_apic::LocalApic;
use crate::mailbox::{Mailbox, Overtaken, Signals};
use crate::spec::error::ErrorStatus;
use crate::spec::message::Trigger;
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
    /// An external interrupt arrived; it is latched unless the APIC is disabled by software.
    pub ext_int: bool,
    /// What an INIT overtook on its way.
    pub overtaken: Overtaken,
}

/// The word of the vectors from 192 up, where operating systems have their IPIs and timers: what
/// waits there alone takes the shortest way.
const HIGHEST: u8 = 3;

impl LocalApic {
    /// Takes all that waits in the mailbox; `each` learns of every vector how it came and what
    /// became of it.
    ///
    /// Returns the arrivals that are no vectors, if there were any.
    #[inline(always)]
    pub fn drain(
        &mut self,
        mailbox: &Mailbox,
        mut each: impl FnMut(u8, Trigger, Acceptance),
    ) -> Option<Arrivals> {
        if !mailbox.holds_any_but_highest() {
            if !mailbox.has_edge(HIGHEST) {
                return None;
            }
            if self.takes_plainly(HIGHEST) {
                self.take_plainly(HIGHEST, mailbox, &mut each);
                return None;
            }
        }
        self.drain_longer(mailbox, each)
    }

    /// Whether edge requests in a word of legal vectors become requests and nothing else.
    #[inline]
    fn takes_plainly(&mut self, index: u8) -> bool {
        let taken = *self.requests.word_mut(index) | *self.watched.word_mut(index);
        taken == 0 && self.spurious.enabled()
    }

    #[inline]
    fn take_plainly(
        &mut self,
        index: u8,
        mailbox: &Mailbox,
        each: &mut impl FnMut(u8, Trigger, Acceptance),
    ) {
        let word = mailbox.take_edge(index);
        *self.requests.word_mut(index) = word;
        Bits { index, word }.for_each(|vector| each(vector, Trigger::Edge, Acceptance::Accepted));
    }

    /// The longer way: still a short one for the vectors of devices, if there is nothing else.
    #[inline(never)]
    fn drain_longer(
        &mut self,
        mailbox: &Mailbox,
        mut each: impl FnMut(u8, Trigger, Acceptance),
    ) -> Option<Arrivals> {
        match mailbox.only_edge() {
            // The lowest word has illegal vectors too.
            Some(index @ 1..) if self.takes_plainly(index) => {
                self.take_plainly(index, mailbox, &mut each);
                None
            }
            _ => self.drain_all(mailbox, each),
        }
    }

    #[inline(never)]
    fn drain_all(
        &mut self,
        mailbox: &Mailbox,
        mut each: impl FnMut(u8, Trigger, Acceptance),
    ) -> Option<Arrivals> {
        let signals = mailbox.take_signals();
        // INIT goes first: it disables the APIC, which then refuses vectors that came before it.
        let arrivals = signals.has_arrivals().then(|| self.take_signals(signals));
        for index in 0..4 {
            if mailbox.has_edge(index) {
                let word = mailbox.take_edge(index);
                self.accept(Bits { index, word }, Trigger::Edge, &mut each);
            }
        }
        // Level comes last, so that a vector that arrived both ways ends with a broadcast.
        if signals.level() {
            for index in 0..4 {
                let word = mailbox.take_level(index);
                self.accept(Bits { index, word }, Trigger::Level, &mut each);
            }
        }
        arrivals
    }

    /// Accepts the vectors of one word.
    fn accept(
        &mut self,
        mut arrived: Bits,
        trigger: Trigger,
        each: &mut impl FnMut(u8, Trigger, Acceptance),
    ) {
        if !self.spurious.enabled() {
            return arrived.for_each(|vector| each(vector, trigger, Acceptance::Disabled));
        }
        let illegal = arrived.below_16();
        if illegal.word != 0 {
            self.note_error(ErrorStatus::new().with_receive_illegal_vector(true));
            arrived.word &= !illegal.word;
            illegal.for_each(|vector| each(vector, trigger, Acceptance::IllegalVector));
        }
        let Bits { index, word } = arrived;
        let requests = self.requests.word_mut(index);
        let merged = *requests & word;
        *requests |= word;
        // The trigger mode is decided at acceptance and left alone by EOI (§8.4).
        let triggers = self.level.word_mut(index);
        match trigger {
            Trigger::Edge => *triggers &= !word,
            Trigger::Level => {
                *triggers |= word;
                *self.watched.word_mut(index) |= word;
            }
        }
        for vector in arrived {
            let was_set = merged >> (vector & 63) & 1 != 0;
            each(
                vector,
                trigger,
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
        // Software-disabled, an APIC takes NMI, INIT, SMI and start-up alone (§4.7.2).
        self.ext_int |= signals.ext_int() && self.spurious.enabled();
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
