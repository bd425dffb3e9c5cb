//! All answers in one place; as JSON for programs, as a table (in `table.rs`) for people.

use serde::Serialize;

use super::{
    Answer, BlockedInterrupt, Hlt, HostFacts, InterruptWindow, MsrAccess, NmiDepth, StiHltWindow,
    TprExits,
};
use crate::kvm::Capability;

/// Number of the JSON form; a change that breaks a reader raises it.
pub const SCHEMA: u32 = 1;

/// What `vapic probe` tells.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The machine that was asked.
    pub host: HostFacts,
    /// What KVM says of itself.
    pub capabilities: Vec<Capability>,
    /// What it was seen to do.
    pub probes: Probes,
}

/// Every question with its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Probes {
    /// WRMSR to the x2APIC ICR.
    pub x2apic_write: Answer<MsrAccess>,
    /// RDMSR of the x2APIC ID.
    pub x2apic_read: Answer<MsrAccess>,
    /// WRMSR to IA32_APIC_BASE, which the filter denies.
    pub apic_base_write: Answer<MsrAccess>,
    /// WRMSR to IA32_TSC_DEADLINE, which the filter denies.
    pub tsc_deadline_write: Answer<MsrAccess>,
    /// A rise and a fall of CR8.
    pub tpr_exits: Answer<TprExits>,
    /// A requested interrupt window over a long stretch with IF=0, then IF=1.
    pub interrupt_window: Answer<InterruptWindow>,
    /// The same over `sti; hlt`.
    pub sti_hlt_window: Answer<StiHltWindow>,
    /// KVM_INTERRUPT with IF=0.
    pub blocked_interrupt: Answer<BlockedInterrupt>,
    /// Three KVM_NMIs before one entry.
    pub nmi_depth: Answer<NmiDepth>,
    /// HLT, and the KVM_RUN after it.
    pub hlt: Answer<Hlt>,
}
