//! What a delivery is at its target: a vector, or one of the signals that have none.

use vapic::spec::message::{DeliveryMode, InterruptMessage};

/// The kinds of delivery that a target tells apart.
///
/// Fixed and lowest priority are one kind: once the target is chosen both are the same request bit,
/// and two of them on one vector are one interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// An interrupt with a vector: fixed or lowest priority.
    Vector,
    /// Non-maskable interrupt.
    Nmi,
    /// INIT.
    Init,
    /// Start-up IPI.
    StartUp,
    /// System-management interrupt.
    Smi,
    /// Any other mode: external interrupt, remote read.
    Other,
}

impl Kind {
    /// Every kind, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Vector,
        Self::Nmi,
        Self::Init,
        Self::StartUp,
        Self::Smi,
        Self::Other,
    ];

    /// Number of kinds.
    pub const COUNT: usize = Self::ALL.len();

    /// The kind that a delivery mode ends as.
    #[must_use]
    #[inline]
    pub const fn of(mode: DeliveryMode) -> Self {
        match mode {
            DeliveryMode::Fixed | DeliveryMode::LowestPriority => Self::Vector,
            DeliveryMode::Nmi => Self::Nmi,
            DeliveryMode::Init => Self::Init,
            DeliveryMode::StartUp => Self::StartUp,
            DeliveryMode::Smi => Self::Smi,
            DeliveryMode::RemoteRead | DeliveryMode::ExtInt => Self::Other,
        }
    }

    /// Position in [`Self::ALL`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vector => "vector",
            Self::Nmi => "nmi",
            Self::Init => "init",
            Self::StartUp => "start_up",
            Self::Smi => "smi",
            Self::Other => "other",
        }
    }
}

/// The line of a target on which a delivery travels; each keeps one id under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// An interrupt vector.
    Vector(u8),
    /// Non-maskable interrupts.
    Nmi,
    /// INIT.
    Init,
    /// Start-up.
    StartUp,
}

impl Line {
    /// Number of lines.
    pub const COUNT: usize = 256 + 3;

    /// The line of a message, or `None` for a mode that no target takes.
    #[must_use]
    #[inline]
    pub const fn of(message: &InterruptMessage) -> Option<Self> {
        match Kind::of(message.delivery) {
            Kind::Vector => Some(Self::Vector(message.vector)),
            Kind::Nmi => Some(Self::Nmi),
            Kind::Init => Some(Self::Init),
            Kind::StartUp => Some(Self::StartUp),
            Kind::Smi | Kind::Other => None,
        }
    }

    /// A number below [`Self::COUNT`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Self::Vector(vector) => vector as usize,
            Self::Nmi => 256,
            Self::Init => 257,
            Self::StartUp => 258,
        }
    }
}

/// Why a target that was posted a message did not take it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Refusal {
    /// The APIC is disabled, by its spurious-interrupt register or by IA32_APIC_BASE.
    Disabled,
    /// The vector is below 16.
    IllegalVector,
    /// INIT, or a global disable, cleared the request before it was injected.
    Init,
    /// A start-up IPI reached a processor that does not wait for one.
    NotWaitingForSipi,
    /// The processor waits for a start-up IPI and listens to nothing else.
    WaitingForSipi,
    /// The delivery mode is not emulated.
    NotEmulated,
}

impl Refusal {
    /// Every reason, in the order of reports.
    pub const ALL: [Self; 6] = [
        Self::Disabled,
        Self::IllegalVector,
        Self::Init,
        Self::NotWaitingForSipi,
        Self::WaitingForSipi,
        Self::NotEmulated,
    ];

    /// Number of reasons.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::IllegalVector => "illegal_vector",
            Self::Init => "init",
            Self::NotWaitingForSipi => "not_waiting_for_sipi",
            Self::WaitingForSipi => "waiting_for_sipi",
            Self::NotEmulated => "not_emulated",
        }
    }
}

/// How a sender woke its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kick {
    /// Not at all: the target was outside the guest and will look by itself.
    None,
    /// Its thread was parked and is released.
    Unpark,
    /// It ran in the guest and gets a signal.
    Signal,
}

impl Kick {
    /// Every way, in the order of reports.
    pub const ALL: [Self; 3] = [Self::None, Self::Unpark, Self::Signal];

    /// Number of ways.
    pub const COUNT: usize = Self::ALL.len();

    /// Position in [`Self::ALL`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name in JSON and in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Unpark => "unpark",
            Self::Signal => "signal",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_lists() {
        assert!(
            Kind::ALL
                .into_iter()
                .enumerate()
                .all(|(at, kind)| kind.index() == at)
        );
        assert!(
            Refusal::ALL
                .into_iter()
                .enumerate()
                .all(|(at, refusal)| refusal.index() == at)
        );
        assert!(
            Kick::ALL
                .into_iter()
                .enumerate()
                .all(|(at, kick)| kick.index() == at)
        );
    }

    #[test]
    fn lines_have_places_of_their_own() {
        let lines = (0..=255)
            .map(Line::Vector)
            .chain([Line::Nmi, Line::Init, Line::StartUp]);
        assert!(lines.map(Line::index).eq(0..Line::COUNT));
    }

    #[test]
    fn both_ways_to_a_vector_are_one_kind() {
        assert_eq!(
            Kind::of(DeliveryMode::Fixed),
            Kind::of(DeliveryMode::LowestPriority)
        );
    }
}
