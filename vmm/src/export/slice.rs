//! What a timeline is made of: stretches of time and moments, each on a track.

use std::borrow::Cow;

use vapic::Posted;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use crate::observe::{Access, Cause, Door, IpiId, Kick, Kind, Line, Rest, Source, Value};

/// Where a slice is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Track {
    /// What the guest says it does.
    Phases,
    /// What the devices send.
    Devices,
    /// What a vCPU's thread does.
    Vcpu(usize),
    /// What a vCPU's APIC has in service.
    Interrupts(usize),
}

/// A stretch of time, in nanoseconds from the run's start, with what lies within it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Slice {
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) what: What,
    /// In the order of time, none beyond this slice or into the next.
    pub(super) inner: Vec<Slice>,
}

/// An interrupt on its way to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) id: IpiId,
    pub(super) target: usize,
    /// When it was sent: T1.
    pub(super) sent: u64,
}

/// One target of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) target: usize,
    pub(super) outcome: Posted,
    pub(super) kick: Option<Kick>,
}

/// What a slice shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// The vCPU is in the guest.
    Guest,
    /// It is outside, for this reason.
    Exit(Cause, Option<Access>),
    /// Its thread sleeps.
    Rest(Rest),
    /// What it did meanwhile is not in the trace, but for what lies within.
    Unknown,
    /// An interrupt goes out: from the exit or the device's moment to the last target's kick.
    Send {
        id: IpiId,
        message: InterruptMessage,
        decode_ns: u64,
        posts: Vec<Post>,
    },
    /// A vector is in service, to the moment of its end if it was `ended`.
    Service {
        vector: u8,
        arrow: Option<Arrow>,
        ended: bool,
    },
    /// A moment: the guest ends a vector.
    End { vector: u8, arrow: Option<Arrow> },
    /// A moment: an NMI is handed to the processor.
    Nmi(Option<Arrow>),
    /// A moment: a vector of the 8259 is handed to the processor.
    External(u8),
    /// A moment: an INIT or a start-up is carried out or let go.
    Signal(Line, Option<Arrow>),
    /// A phase of a scenario, with its labels and results.
    Phase(String, Vec<(String, Value)>),
}

/// A fact about a slice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fact {
    Truth(bool),
    Number(u64),
    /// A number whose bits matter.
    Bits(u64),
    Text(Cow<'static, str>),
    Guests(Value),
}

impl Slice {
    pub(super) const fn new(from: u64, to: u64, what: What) -> Self {
        Self {
            from,
            to,
            what,
            inner: Vec::new(),
        }
    }

    /// Puts slices into this one.
    pub(super) fn around(mut self, inner: Vec<Self>) -> Self {
        self.inner = in_order(inner, self.from, self.to);
        self
    }
}

/// Slices of one track, each cut to what the one before it leaves of the time from `from` to `to`.
pub(super) fn in_order(slices: Vec<Slice>, from: u64, to: u64) -> Vec<Slice> {
    let mut free = from;
    let cut = |mut slice: Slice| {
        slice.from = slice.from.clamp(free, to);
        slice.to = slice.to.clamp(slice.from, to);
        free = slice.to;
        slice
    };
    slices.into_iter().map(cut).collect()
}

/// The number of the arrow from an IPI to a target, unique among those under way: a send has as many
/// arrows as targets, and no two sends of one source are 2^40 ticks, minutes, apart to the tick.
pub(super) const fn arrow_number(id: IpiId, target: usize) -> u64 {
    id.raw() ^ (target as u64 & 0xFFF) << 40
}

impl What {
    /// Whether it takes no time.
    pub(super) const fn is_moment(&self) -> bool {
        matches!(
            self,
            Self::End { .. } | Self::Nmi(_) | Self::External(_) | Self::Signal(..)
        )
    }

    /// What it is called.
    pub(super) fn name(&self) -> Cow<'static, str> {
        match self {
            Self::Guest => "guest".into(),
            Self::Exit(cause, _) => cause.label().into(),
            Self::Rest(Rest::Halted) => "halted".into(),
            Self::Rest(Rest::WaitingForStartUp) => "waiting for SIPI".into(),
            Self::Unknown => "not recorded".into(),
            Self::Send { message, .. } => match Kind::of(message.delivery) {
                Kind::Vector => format!("send {:#04x}", message.vector).into(),
                Kind::Nmi => "send NMI".into(),
                Kind::Init => "send INIT".into(),
                Kind::StartUp => "send SIPI".into(),
                Kind::Smi | Kind::Other => "send".into(),
            },
            Self::Service { vector, .. } => format!("vector {vector:#04x}").into(),
            Self::End { .. } => "EOI".into(),
            Self::Nmi(_) => "NMI".into(),
            Self::External(_) => "ExtINT".into(),
            Self::Signal(Line::Init, _) => "INIT".into(),
            Self::Signal(..) => "SIPI".into(),
            Self::Phase(scenario, _) => scenario.clone().into(),
        }
    }

    /// The kind of slice, by which it can be searched for.
    pub(super) const fn category(&self) -> &'static str {
        match self {
            Self::Guest => "guest",
            Self::Exit(..) => "exit",
            Self::Rest(_) => "rest",
            Self::Unknown => "unknown",
            Self::Send { .. } => "send",
            Self::Service { .. } => "service",
            Self::End { .. } => "eoi",
            Self::Nmi(_) | Self::External(_) => "inject",
            Self::Signal(..) => "signal",
            Self::Phase(..) => "phase",
        }
    }

    /// What there is to say of it, if it begins at `at`.
    pub(super) fn facts(&self, at: u64) -> Vec<(Cow<'static, str>, Fact)> {
        let mut facts = Vec::new();
        let mut say = |name: &'static str, fact| facts.push((name.into(), fact));
        match self {
            Self::Exit(_, Some(access)) => {
                match access.door {
                    Door::Page(offset, _) => say("offset", Fact::Bits(offset.into())),
                    Door::Msr(msr) => say("msr", Fact::Bits(msr.into())),
                }
                say("write", Fact::Truth(access.write));
                say("value", Fact::Bits(access.value));
                if access.fault {
                    say("fault", Fact::Truth(true));
                }
            }
            Self::Send {
                id,
                message,
                decode_ns,
                posts,
            } => {
                say("ipi", Fact::Bits(id.raw()));
                say("delivery", Fact::Text(message.delivery.name().into()));
                if has_vector(message.delivery) {
                    say("vector", Fact::Bits(message.vector.into()));
                }
                if message.trigger == Trigger::Level {
                    say("level", Fact::Truth(true));
                }
                say("destination", Fact::Text(destination(message.destination)));
                say("decode_ns", Fact::Number(*decode_ns));
                say("targets", Fact::Number(posts.len() as u64));
                let coalesced = posts.iter().filter(|post| post.outcome != Posted::New);
                say("coalesced", Fact::Number(coalesced.count() as u64));
                let kicked = |way| posts.iter().filter(|post| post.kick == Some(way)).count();
                say("unparked", Fact::Number(kicked(Kick::Unpark) as u64));
                say("signalled", Fact::Number(kicked(Kick::Signal) as u64));
            }
            Self::Service {
                vector,
                arrow,
                ended,
            } => {
                say("vector", Fact::Bits((*vector).into()));
                came_from(*arrow, at, &mut say);
                if !ended {
                    say("ended", Fact::Truth(false));
                }
            }
            Self::End { vector, arrow } => {
                say("vector", Fact::Bits((*vector).into()));
                came_from(*arrow, at, &mut say);
            }
            Self::Nmi(arrow) | Self::Signal(_, arrow) => came_from(*arrow, at, &mut say),
            Self::External(vector) => say("vector", Fact::Bits((*vector).into())),
            Self::Phase(_, fields) => {
                let told = fields.iter().cloned();
                facts.extend(told.map(|(key, value)| (key.into(), Fact::Guests(value))));
            }
            Self::Exit(_, None) | Self::Guest | Self::Rest(_) | Self::Unknown => {}
        }
        facts
    }

    /// The numbers of the arrows that start here or pass through.
    pub(super) fn arrows(&self) -> Vec<u64> {
        match self {
            Self::Send { id, posts, .. } => posts
                .iter()
                .filter(|post| post.outcome != Posted::Unsupported)
                .map(|post| arrow_number(*id, post.target))
                .collect(),
            Self::Service { arrow, .. } => arrow
                .iter()
                .map(|arrow| arrow_number(arrow.id, arrow.target))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The number of the arrow that comes to its end here.
    pub(super) fn last_of(&self) -> Option<u64> {
        match self {
            Self::End { arrow, .. } | Self::Nmi(arrow) | Self::Signal(_, arrow) => {
                arrow.map(|arrow| arrow_number(arrow.id, arrow.target))
            }
            _ => None,
        }
    }
}

fn came_from(arrow: Option<Arrow>, at: u64, say: &mut impl FnMut(&'static str, Fact)) {
    if let Some(arrow) = arrow {
        say("ipi", Fact::Bits(arrow.id.raw()));
        let sender = match arrow.id.source() {
            Source::Vcpu(vcpu) => format!("vCPU {vcpu}").into(),
            Source::Device => "device".into(),
        };
        say("from", Fact::Text(sender));
        let age = at.saturating_sub(arrow.sent);
        say("since_send_ns", Fact::Number(age));
    }
}

/// Whether the vector of a message means anything, if only a page.
pub(super) const fn has_vector(mode: DeliveryMode) -> bool {
    matches!(Kind::of(mode), Kind::Vector | Kind::StartUp)
}

/// A destination in words.
pub(super) fn destination(destination: Destination) -> Cow<'static, str> {
    match destination {
        Destination::Physical(id) => format!("APIC {id}").into(),
        Destination::Logical(address) => format!("logical {address:#x}").into(),
        Destination::Sender => "self".into(),
        Destination::All => "all".into(),
        Destination::AllButSender => "all but self".into(),
    }
}
