//! Which MSR accesses leave the kernel.
//!
//! Without an in-kernel APIC the x2APIC block 0x800-0x8FF is invalid to KVM and exits with reason
//! INVAL by itself; a filter that names it has no effect. Two APIC MSRs KVM answers on its own
//! unless a filter denies them: it would change the mode behind our back on an IA32_APIC_BASE
//! write, and drop an IA32_TSC_DEADLINE write.

use kvm_bindings::{KVM_CAP_X86_USER_SPACE_MSR, kvm_enable_cap};
use kvm_ioctls::{
    MsrExitReason, MsrFilterDefaultAction, MsrFilterRange, MsrFilterRangeFlags, VmFd,
};

/// Mode, enable and page address of the Local APIC (SDM Vol. 4, table 2-2).
pub const IA32_APIC_BASE: u32 = 0x1B;

/// The TSC value at which the Local APIC timer fires (SDM Vol. 4, table 2-2).
pub const IA32_TSC_DEADLINE: u32 = 0x6E0;

/// One MSR, its bit clear: denied.
const DENIED: &[u8] = &[0];

/// Makes invalid, unknown and denied MSR accesses exit, and denies writes of IA32_APIC_BASE and
/// all access to IA32_TSC_DEADLINE. Reads of IA32_APIC_BASE stay in the kernel: its copy is kept
/// equal to ours by KVM_SET_SREGS.
pub(super) fn install(vm: &VmFd) -> Result<(), kvm_ioctls::Error> {
    let reasons = MsrExitReason::Inval | MsrExitReason::Unknown | MsrExitReason::Filter;
    vm.enable_cap(&kvm_enable_cap {
        cap: KVM_CAP_X86_USER_SPACE_MSR,
        args: [reasons.bits().into(), 0, 0, 0],
        ..Default::default()
    })?;
    let deny = |base, flags| MsrFilterRange {
        flags,
        base,
        msr_count: 1,
        bitmap: DENIED,
    };
    vm.set_msr_filter(
        MsrFilterDefaultAction::ALLOW,
        &[
            deny(IA32_APIC_BASE, MsrFilterRangeFlags::WRITE),
            deny(
                IA32_TSC_DEADLINE,
                MsrFilterRangeFlags::READ | MsrFilterRangeFlags::WRITE,
            ),
        ],
    )
}
