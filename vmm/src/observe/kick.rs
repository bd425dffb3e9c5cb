//! How a target was woken.

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
    fn positions_follow_the_list() {
        assert!(
            Kick::ALL
                .into_iter()
                .enumerate()
                .all(|(at, kick)| kick.index() == at)
        );
    }
}
