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

    /// The line of a number that [`Self::index`] gave.
    #[must_use]
    pub fn from_index(index: usize) -> Option<Self> {
        match index {
            256 => Some(Self::Nmi),
            257 => Some(Self::Init),
            258 => Some(Self::StartUp),
            vector => u8::try_from(vector).ok().map(Self::Vector),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_list() {
        assert!(
            Kind::ALL
                .into_iter()
                .enumerate()
                .all(|(at, kind)| kind.index() == at)
        );
    }

    #[test]
    fn lines_have_places_of_their_own() {
        let lines = (0..=255)
            .map(Line::Vector)
            .chain([Line::Nmi, Line::Init, Line::StartUp]);
        assert!(lines.clone().map(Line::index).eq(0..Line::COUNT));
        let again = (0..Line::COUNT).map_while(Line::from_index);
        assert!(lines.eq(again));
        assert_eq!(Line::from_index(Line::COUNT), None);
    }

    #[test]
    fn both_ways_to_a_vector_are_one_kind() {
        assert_eq!(
            Kind::of(DeliveryMode::Fixed),
            Kind::of(DeliveryMode::LowestPriority)
        );
    }
}
