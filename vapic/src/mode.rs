//! Modes of the APIC and the legal moves between them (SDM 3A, APIC §12.5).

use crate::GeneralProtection;
use crate::spec::base::ApicBase;

/// The operating mode that IA32_APIC_BASE selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Globally disabled: the processor has no APIC.
    Disabled,
    /// Registers are memory-mapped, IDs have 8 bits.
    Xapic,
    /// Registers are MSRs, IDs have 32 bits.
    X2apic,
}

impl Mode {
    /// The mode of a base register image, or #GP for EXTD without EN.
    ///
    /// # Errors
    ///
    /// EXTD set while EN is clear is an invalid state.
    pub const fn of(base: ApicBase) -> Result<Self, GeneralProtection> {
        match (base.enabled(), base.x2apic()) {
            (false, false) => Ok(Self::Disabled),
            (true, false) => Ok(Self::Xapic),
            (true, true) => Ok(Self::X2apic),
            (false, true) => Err(GeneralProtection),
        }
    }

    /// Whether a guest may move from this mode to `next` by writing IA32_APIC_BASE.
    ///
    /// x2APIC is entered from xAPIC alone and left by disabling alone.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        !matches!(
            (self, next),
            (Self::X2apic, Self::Xapic) | (Self::Disabled, Self::X2apic)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Mode::{self, Disabled, X2apic, Xapic};

    #[test]
    fn moves_are_those_of_the_manual() {
        for (from, to, legal) in [
            (Disabled, Disabled, true),
            (Disabled, Xapic, true),
            (Disabled, X2apic, false),
            (Xapic, Disabled, true),
            (Xapic, Xapic, true),
            (Xapic, X2apic, true),
            (X2apic, Disabled, true),
            (X2apic, Xapic, false),
            (X2apic, X2apic, true),
        ] {
            assert_eq!(Mode::may_become(from, to), legal, "{from:?} -> {to:?}");
        }
    }
}
