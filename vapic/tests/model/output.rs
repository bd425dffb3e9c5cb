//! What can be seen of an APIC, in the model's own words.

use vapic::spec::message::InterruptMessage;

/// #GP(0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    None,
    Send(InterruptMessage),
    Ended { vector: u8, level: bool },
    Identity,
    Base(u64),
}

/// What became of a vector that was drained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Accepted,
    Merged,
    Disabled,
    Illegal,
}

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Post {
    New,
    Coalesced,
    Unsupported,
}

/// What a drain brings besides vectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Brought {
    pub(crate) nmis: u8,
    pub(crate) nmis_merged: u8,
    pub(crate) init: bool,
    pub(crate) start_page: Option<u8>,
    pub(crate) start_up_discarded: bool,
    pub(crate) smi: bool,
    pub(crate) ext_int: bool,
    /// NMIs, start-ups, SMIs and external interrupts that an INIT overtook.
    pub(crate) overtaken: [u8; 4],
}

/// The answer to one input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Nothing,
    Effect(Result<Effect, Fault>, Vec<(usize, Post)>),
    Bytes(Vec<u8>),
    Value(Result<u64, Fault>),
    Vector(Option<u8>),
    Flag(bool),
    Drained(Vec<(u8, Fate)>, Option<Brought>),
}

/// What an APIC shows at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) base: u64,
    pub(crate) page: Option<u64>,
    pub(crate) cr8: u8,
    pub(crate) processor_priority: u8,
    pub(crate) deliverable: Option<u8>,
    pub(crate) held_by_task_priority: bool,
    pub(crate) in_service: Option<u8>,
    pub(crate) nmis: u8,
    pub(crate) ext_int: bool,
    pub(crate) waits: bool,
    /// When time must be looked at.
    pub(crate) deadline: Option<u64>,
}
