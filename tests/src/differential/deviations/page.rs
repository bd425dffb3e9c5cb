//! Registers whose word in the page of KVM_GET_LAPIC is not what a guest reads, on either APIC, each
//! with its reason. What a guest reads of them is compared as of any other.

/// A register that the page does not tell.
#[derive(Clone, Copy, Debug)]
pub struct NotInPage {
    /// The register's number: its offset in the page divided by 16.
    pub index: u32,
    /// Why the page may have another value.
    pub reason: &'static str,
}

/// All of them.
pub const NOT_IN_PAGE: &[NotInPage] = &[
    NotInPage {
        index: 0x09,
        reason: "Arbitration priority: a constant for the guest, and nobody keeps it.",
    },
    NotInPage {
        index: 0x0A,
        reason: "Processor priority: KVM computes it when it is read (apic_update_ppr).",
    },
    NotInPage {
        index: 0x0B,
        reason: "EOI: write-only. KVM's page has what was written last.",
    },
    NotInPage {
        index: 0x2F,
        reason: "CMCI: KVM's APIC does not have it, see the deviation of that name.",
    },
    NotInPage {
        index: 0x39,
        reason: "Current count: computed when it is read, and the page is read later.",
    },
];

/// Whether the page tells a register.
#[must_use]
pub(in crate::differential) fn is_in_page(index: u32) -> bool {
    NOT_IN_PAGE.iter().all(|register| register.index != index)
}
