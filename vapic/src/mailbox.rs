//! What other threads may leave for an APIC: the only atomics besides the fabric's generation.
//!
//! A poster does one atomic read-modify-write (two for a level request, which is rare) and nothing
//! else; the owner takes everything at once with [`LocalApic::drain`](crate::LocalApic::drain), and
//! looks at five words to see that there is nothing. Edge and level requests have bitmaps of
//! their own, so each request carries its trigger in the very bit that makes it visible and the
//! two can never be mixed up, however posts and drains interleave.
//!
//! Orderings: a post is `AcqRel`, so it publishes all that the sender wrote before it (the flags
//! and page tables that the interrupt is about) and a request that finds its bit set already is
//! ordered against the owner's taking of that bit. The owner takes with `AcqRel` as well.

use crate::spec::message::{DeliveryMode, InterruptMessage, Trigger};
use crate::sync::{AtomicU64, Ordering};

/// The requests that wait for one APIC, on cache lines of their own.
///
/// 128 bytes, because adjacent lines are fetched in pairs.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct Mailbox {
    // These five share a line, which is all that a drain looks at.
    edge: [AtomicU64; 4],
    signals: AtomicU64,
    level: [AtomicU64; 4],
}

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Posted {
    // Were the first two 0 and 1, compilers would shift the old word instead of testing a bit of
    // it, and a post would be a loop of compare-and-exchange instead of one `lock bts`.
    /// The request is new.
    New = 0,
    /// An equal request was waiting already: the two will be one interrupt.
    Coalesced = 3,
    /// No APIC takes such a message.
    Unsupported = 4,
}

/// The requests that are no vectors, as one word so that their order is kept.
///
/// INIT overtakes what waits; a start-up counts only if it came after the last INIT. What was
/// overtaken is counted, so that every message is accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signals(u64);

impl Signals {
    const NMI_ONE: u64 = 1;
    const NMI_COUNT: u64 = 3;
    const INIT: u64 = 1 << 2;
    const START_UP: u64 = 1 << 3;
    const SMI: u64 = 1 << 4;
    const EXT_INT: u64 = 1 << 5;
    const WAITING: u64 = 0xFF;
    const START_PAGE: u64 = 0xFF << 8;
    /// Level requests wait in words of their own.
    const LEVEL: u64 = 1 << 63;

    /// NMIs that wait, two at most: one being handled and one latched is all a processor keeps.
    pub(crate) const fn nmis(self) -> u8 {
        self.byte(0) & 3
    }

    pub(crate) const fn init(self) -> bool {
        self.0 & Self::INIT != 0
    }

    pub(crate) const fn start_page(self) -> Option<u8> {
        if self.0 & Self::START_UP == 0 {
            None
        } else {
            Some(self.byte(1))
        }
    }

    pub(crate) const fn smi(self) -> bool {
        self.0 & Self::SMI != 0
    }

    pub(crate) const fn ext_int(self) -> bool {
        self.0 & Self::EXT_INT != 0
    }

    pub(crate) const fn level(self) -> bool {
        self.0 & Self::LEVEL != 0
    }

    /// Whether there is anything but level requests.
    pub(crate) const fn has_arrivals(self) -> bool {
        self.0 & !Self::LEVEL != 0
    }

    pub(crate) const fn overtaken(self) -> Overtaken {
        Overtaken {
            nmis: self.byte(2),
            start_ups: self.byte(3),
            smis: self.byte(4),
            ext_ints: self.byte(5),
        }
    }

    const fn byte(self, index: usize) -> u8 {
        self.0.to_le_bytes()[index & 7]
    }

    /// The word after one more message, and whether the message is new to it.
    const fn with(self, delivery: DeliveryMode, vector: u8) -> (Self, Posted) {
        let bits = self.0;
        let (next, waits) = match delivery {
            DeliveryMode::Nmi => {
                let full = bits & Self::NMI_COUNT == 2;
                (if full { bits } else { bits + Self::NMI_ONE }, full)
            }
            DeliveryMode::Init => return (self.overtake(), self.coalesced_if(self.init())),
            DeliveryMode::StartUp => {
                let page = (vector as u64) << 8;
                let next = bits & !Self::START_PAGE | Self::START_UP | page;
                (next, bits & Self::START_UP != 0)
            }
            DeliveryMode::Smi => (bits | Self::SMI, self.smi()),
            DeliveryMode::ExtInt => (bits | Self::EXT_INT, self.ext_int()),
            DeliveryMode::Fixed | DeliveryMode::LowestPriority | DeliveryMode::RemoteRead => {
                return (self, Posted::Unsupported);
            }
        };
        (Self(next), self.coalesced_if(waits))
    }

    const fn coalesced_if(self, waits: bool) -> Posted {
        if waits {
            Posted::Coalesced
        } else {
            Posted::New
        }
    }

    /// The word after an INIT.
    const fn overtake(self) -> Self {
        let mut bytes = (self.0 & !(Self::WAITING | Self::START_PAGE)).to_le_bytes();
        bytes[2] = bytes[2].saturating_add(self.nmis());
        bytes[3] = bytes[3].saturating_add(self.start_page().is_some() as u8);
        bytes[4] = bytes[4].saturating_add(self.smi() as u8);
        bytes[5] = bytes[5].saturating_add(self.ext_int() as u8);
        Self(u64::from_le_bytes(bytes) | Self::INIT)
    }
}

/// What waits in a mailbox that nobody will drain any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Vectors.
    pub vectors: u32,
    /// NMIs.
    pub nmis: u8,
    /// An INIT.
    pub init: bool,
    /// A start-up IPI.
    pub start_up: bool,
    /// A system-management interrupt.
    pub smi: bool,
    /// An external interrupt.
    pub ext_int: bool,
    /// What that INIT overtook.
    pub overtaken: Overtaken,
}

/// Messages that an INIT overtook in the mailbox, hence never took effect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Overtaken {
    /// NMIs.
    pub nmis: u8,
    /// Start-up IPIs.
    pub start_ups: u8,
    /// System-management interrupts.
    pub smis: u8,
    /// External interrupts.
    pub ext_ints: u8,
}

/// A message without its destination; small enough for a processor register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content {
    pub(crate) delivery: DeliveryMode,
    pub(crate) vector: u8,
    pub(crate) trigger: Trigger,
}

impl Content {
    #[inline]
    pub(crate) const fn of(message: &InterruptMessage) -> Self {
        let InterruptMessage {
            delivery,
            vector,
            trigger,
            ..
        } = *message;
        Self {
            delivery,
            vector,
            trigger,
        }
    }

    /// Whether it asks for an interrupt on its vector.
    #[inline]
    const fn is_vector(self) -> bool {
        matches!(
            self.delivery,
            DeliveryMode::Fixed | DeliveryMode::LowestPriority
        )
    }

    /// Whether it asks for that once, as an event.
    #[inline]
    pub(crate) const fn is_edge(self) -> bool {
        self.is_vector() && matches!(self.trigger, Trigger::Edge)
    }
}

impl Mailbox {
    pub(crate) fn new() -> Self {
        Self {
            edge: core::array::from_fn(|_| AtomicU64::new(0)),
            level: core::array::from_fn(|_| AtomicU64::new(0)),
            signals: AtomicU64::new(0),
        }
    }

    /// Leaves a message for the owner; the caller then wakes the owner, whatever the outcome.
    ///
    /// The read-modify-write happens even if the bit is set already: a plain load would not be
    /// ordered against the owner's taking of it, and the second event would be lost.
    #[inline]
    pub fn post(&self, message: &InterruptMessage) -> Posted {
        self.leave(Content::of(message))
    }

    #[inline]
    pub(crate) fn leave(&self, content: Content) -> Posted {
        if content.is_edge() {
            self.leave_edge(content.vector)
        } else {
            self.leave_rarer(content)
        }
    }

    /// A request on a vector, edge-triggered.
    #[inline]
    pub(crate) fn leave_edge(&self, vector: u8) -> Posted {
        request(&self.edge, vector)
    }

    #[inline(never)]
    fn leave_rarer(&self, content: Content) -> Posted {
        if content.is_vector() {
            let posted = request(&self.level, content.vector);
            // After the request, so that whoever takes the flag finds the request.
            self.signals.fetch_or(Signals::LEVEL, Ordering::AcqRel);
            posted
        } else {
            self.signal(content.delivery, content.vector)
        }
    }

    fn signal(&self, delivery: DeliveryMode, vector: u8) -> Posted {
        // Most often nothing waits.
        let mut now = 0;
        loop {
            let (next, posted) = Signals(now).with(delivery, vector);
            match self
                .signals
                .compare_exchange(now, next.0, Ordering::AcqRel, Ordering::Relaxed)
            {
                Ok(_) => return posted,
                Err(changed) => now = changed,
            }
        }
    }

    /// Whether nothing waits.
    ///
    /// A hint unless the caller has synchronised with the posters some other way (the kick).
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        !self.holds_any_but_highest() && !self.has_edge(3)
    }

    /// What waits, for the account at the end of a run.
    #[must_use]
    pub fn waiting(&self) -> Waiting {
        let words = self.edge.iter().chain(&self.level);
        let signals = Signals(self.signals.load(Ordering::Acquire));
        Waiting {
            vectors: words
                .map(|word| word.load(Ordering::Acquire).count_ones())
                .sum(),
            nmis: signals.nmis(),
            init: signals.init(),
            start_up: signals.start_page().is_some(),
            smi: signals.smi(),
            ext_int: signals.ext_int(),
            overtaken: signals.overtaken(),
        }
    }

    /// Whether word `index` of the edge requests holds any.
    #[inline]
    pub(crate) fn has_edge(&self, index: u8) -> bool {
        self.edge[usize::from(index & 3)].load(Ordering::Relaxed) != 0
    }

    /// Takes word `index` of the edge requests.
    #[inline]
    pub(crate) fn take_edge(&self, index: u8) -> u64 {
        self.edge[usize::from(index & 3)].swap(0, Ordering::AcqRel)
    }

    /// Takes word `index` of the level requests.
    #[inline]
    pub(crate) fn take_level(&self, index: u8) -> u64 {
        self.level[usize::from(index & 3)].swap(0, Ordering::AcqRel)
    }

    /// Whether anything waits but edge requests in their highest word.
    #[inline]
    pub(crate) fn holds_any_but_highest(&self) -> bool {
        let [lowest, second, third, _] = &self.edge;
        let words = [&self.signals, lowest, second, third];
        words
            .into_iter()
            .fold(0, |any, word| any | word.load(Ordering::Relaxed))
            != 0
    }

    /// The one word with edge requests, if nothing else waits.
    #[inline]
    pub(crate) fn only_edge(&self) -> Option<u8> {
        let words = self
            .edge
            .each_ref()
            .map(|word| word.load(Ordering::Relaxed));
        match (self.signals.load(Ordering::Relaxed), words) {
            (0, [0, 0, 0, _]) => Some(3),
            (0, [0, 0, _, 0]) => Some(2),
            (0, [0, _, 0, 0]) => Some(1),
            (0, [_, 0, 0, 0]) => Some(0),
            _ => None,
        }
    }

    /// Takes the requests that are no edge requests.
    pub(crate) fn take_signals(&self) -> Signals {
        match self.signals.load(Ordering::Relaxed) {
            0 => Signals(0),
            _ => Signals(self.signals.swap(0, Ordering::AcqRel)),
        }
    }
}

#[inline]
fn request(words: &[AtomicU64; 4], vector: u8) -> Posted {
    let bit = 1 << (vector & 63);
    if words[usize::from(vector >> 6)].fetch_or(bit, Ordering::AcqRel) & bit == 0 {
        Posted::New
    } else {
        Posted::Coalesced
    }
}
