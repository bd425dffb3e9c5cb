//! Why a delivery was not taken.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_follow_the_list() {
        assert!(
            Refusal::ALL
                .into_iter()
                .enumerate()
                .all(|(at, refusal)| refusal.index() == at)
        );
    }
}
