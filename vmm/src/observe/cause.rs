//! Why a vCPU left the guest: the causes by which exits are counted and priced.

use vapic::spec::register::Register;

/// The cause of an exit, with accesses to the APIC split by register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Cause {
    /// Interrupt command; its low half in xAPIC mode.
    ApicIcr,
    /// High half of the interrupt command (xAPIC).
    ApicIcr2,
    /// SELF IPI (x2APIC).
    ApicSelfIpi,
    /// End of interrupt.
    ApicEoi,
    /// Task priority register, through the page or its MSR.
    ApicTpr,
    /// Spurious-interrupt vector register.
    ApicSvr,
    /// A local vector table entry.
    ApicLvt,
    /// Initial count, current count or divide configuration of the timer, or its deadline MSR.
    ApicTimer,
    /// Any other register of the APIC, and the holes between them.
    ApicOther,
    /// IA32_APIC_BASE.
    ApicBase,
    /// HLT.
    Hlt,
    /// The interrupt window opened.
    Window,
    /// CR8 was lowered (`KVM_EXIT_SET_TPR`).
    SetTpr,
    /// Another thread asked for attention: `KVM_RUN` returned `EINTR`.
    Kick,
    /// Port I/O.
    Port,
    /// MMIO outside the APIC page.
    Mmio,
    /// An MSR that is not the APIC's.
    Msr,
    /// Anything else: shutdown, internal errors, EOIs that a kernel APIC passes on.
    Other,
}

impl Cause {
    /// Every cause, in the order of reports.
    pub const ALL: [Self; 18] = [
        Self::ApicIcr,
        Self::ApicIcr2,
        Self::ApicSelfIpi,
        Self::ApicEoi,
        Self::ApicTpr,
        Self::ApicSvr,
        Self::ApicLvt,
        Self::ApicTimer,
        Self::ApicOther,
        Self::ApicBase,
        Self::Hlt,
        Self::Window,
        Self::SetTpr,
        Self::Kick,
        Self::Port,
        Self::Mmio,
        Self::Msr,
        Self::Other,
    ];

    /// Number of causes.
    pub const COUNT: usize = Self::ALL.len();

    /// The causes that exist only because an IPI is sent, noticed, delivered or ended.
    ///
    /// HLT is not among them: a processor halts because it is idle, whoever wakes it.
    pub const OF_IPI: [Self; 6] = [
        Self::ApicIcr,
        Self::ApicIcr2,
        Self::ApicSelfIpi,
        Self::ApicEoi,
        Self::Window,
        Self::Kick,
    ];

    /// Position in [`Self::ALL`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The cause of an access to the APIC; `None` is a hole in its register file.
    #[must_use]
    #[inline]
    pub const fn of_register(register: Option<Register>) -> Self {
        match register {
            Some(Register::InterruptCommand) => Self::ApicIcr,
            Some(Register::InterruptCommandHigh) => Self::ApicIcr2,
            Some(Register::SelfIpi) => Self::ApicSelfIpi,
            Some(Register::EndOfInterrupt) => Self::ApicEoi,
            Some(Register::TaskPriority) => Self::ApicTpr,
            Some(Register::SpuriousVector) => Self::ApicSvr,
            Some(Register::Lvt(_)) => Self::ApicLvt,
            Some(
                Register::TimerInitialCount | Register::TimerCurrentCount | Register::TimerDivide,
            ) => Self::ApicTimer,
            Some(
                Register::Id
                | Register::Version
                | Register::ArbitrationPriority
                | Register::ProcessorPriority
                | Register::RemoteRead
                | Register::LogicalDestination
                | Register::DestinationFormat
                | Register::InService(_)
                | Register::TriggerMode(_)
                | Register::InterruptRequest(_)
                | Register::ErrorStatus,
            )
            | None => Self::ApicOther,
        }
    }

    /// The name in JSON; it never changes once released.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApicIcr => "apic_icr",
            Self::ApicIcr2 => "apic_icr2",
            Self::ApicSelfIpi => "apic_self_ipi",
            Self::ApicEoi => "apic_eoi",
            Self::ApicTpr => "apic_tpr",
            Self::ApicSvr => "apic_svr",
            Self::ApicLvt => "apic_lvt",
            Self::ApicTimer => "apic_timer",
            Self::ApicOther => "apic_other",
            Self::ApicBase => "apic_base",
            Self::Hlt => "hlt",
            Self::Window => "window",
            Self::SetTpr => "set_tpr",
            Self::Kick => "kick",
            Self::Port => "port",
            Self::Mmio => "mmio",
            Self::Msr => "msr",
            Self::Other => "other",
        }
    }

    /// The name in tables.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ApicIcr => "APIC ICR",
            Self::ApicIcr2 => "APIC ICR2",
            Self::ApicSelfIpi => "APIC SELF IPI",
            Self::ApicEoi => "APIC EOI",
            Self::ApicTpr => "APIC TPR",
            Self::ApicSvr => "APIC SVR",
            Self::ApicLvt => "APIC LVT",
            Self::ApicTimer => "APIC timer",
            Self::ApicOther => "APIC other",
            Self::ApicBase => "APIC base MSR",
            Self::Hlt => "HLT",
            Self::Window => "interrupt window",
            Self::SetTpr => "CR8 lowered",
            Self::Kick => "kick",
            Self::Port => "port I/O",
            Self::Mmio => "other MMIO",
            Self::Msr => "other MSR",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vapic::spec::lvt::LvtSource;

    #[test]
    fn positions_and_names_are_unique() {
        for (position, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause.index(), position);
            let twins = Cause::ALL
                .into_iter()
                .filter(|other| other.name() == cause.name());
            assert_eq!(twins.count(), 1, "{}", cause.name());
            assert!(
                cause
                    .name()
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
            );
        }
    }

    #[test]
    fn every_register_has_its_cause() {
        for (index, cause) in [
            (0x30, Cause::ApicIcr),
            (0x31, Cause::ApicIcr2),
            (0x3F, Cause::ApicSelfIpi),
            (0x0B, Cause::ApicEoi),
            (0x08, Cause::ApicTpr),
            (0x0F, Cause::ApicSvr),
            (0x38, Cause::ApicTimer),
            (0x39, Cause::ApicTimer),
            (0x3E, Cause::ApicTimer),
            (0x02, Cause::ApicOther),
            (0x28, Cause::ApicOther),
            (0x3A, Cause::ApicOther),
        ] {
            assert_eq!(
                Cause::of_register(Register::from_index(index)),
                cause,
                "register {index:#x}"
            );
        }
        assert_eq!(
            Cause::of_register(Some(Register::Lvt(LvtSource::Timer))),
            Cause::ApicLvt
        );
    }
}
