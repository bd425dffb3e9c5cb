//! The KVM capabilities this program knows of, and which it cannot do without
//! (Linux, Documentation/virt/kvm/api.rst).
//!
//! A capability is KVM's word, and without an in-kernel irqchip it is not always kept:
//! TSC_DEADLINE_TIMER answers 1 where the MSR does nothing. What matters and may lie is probed.

use kvm_bindings as kvm;
use kvm_ioctls::Kvm;
use serde::Serialize;

/// Who cannot do without a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Need {
    /// Every machine.
    Always,
    /// The machine whose APIC is ours.
    UserspaceApic,
    /// The machine on KVM's own APIC.
    KernelApic,
    /// Nobody: its absence costs speed or a detail.
    Optional,
}

/// One capability and this host's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// The kernel's name without `KVM_CAP_`.
    pub name: &'static str,
    /// Who needs it.
    pub need: Need,
    /// What KVM_CHECK_EXTENSION answers: 0 or less is "no", above is "yes" or a quantity.
    pub value: i32,
    /// What it is used for.
    pub purpose: &'static str,
}

impl Capability {
    /// Whether the host has it.
    pub fn present(&self) -> bool {
        self.value > 0
    }
}

/// Asks `kvm` about every capability of the table, in its order.
pub(super) fn check_all(kvm: &Kvm) -> Vec<Capability> {
    TABLE
        .iter()
        .map(|&(name, number, need, purpose)| Capability {
            name,
            need,
            value: kvm.check_extension_raw(number.into()),
            purpose,
        })
        .collect()
}

type Row = (&'static str, u32, Need, &'static str);

use Need::{Always, KernelApic, Optional, UserspaceApic};

#[rustfmt::skip]
const TABLE: &[Row] = &[
    ("USER_MEMORY", kvm::KVM_CAP_USER_MEMORY, Always, "guest RAM is our memory"),
    ("EXT_CPUID", kvm::KVM_CAP_EXT_CPUID, Always, "CPUID is ours to write"),
    ("IMMEDIATE_EXIT", kvm::KVM_CAP_IMMEDIATE_EXIT, Always, "a kick is not lost before KVM_RUN"),
    ("USER_NMI", kvm::KVM_CAP_USER_NMI, UserspaceApic, "NMIs reach the guest"),
    ("VCPU_EVENTS", kvm::KVM_CAP_VCPU_EVENTS, UserspaceApic, "INIT revokes what KVM still holds"),
    ("X86_USER_SPACE_MSR", kvm::KVM_CAP_X86_USER_SPACE_MSR, UserspaceApic, "x2APIC MSRs exit to us"),
    ("X86_MSR_FILTER", kvm::KVM_CAP_X86_MSR_FILTER, UserspaceApic, "IA32_APIC_BASE writes exit to us"),
    ("SPLIT_IRQCHIP", kvm::KVM_CAP_SPLIT_IRQCHIP, KernelApic, "KVM's APIC without its IOAPIC"),
    ("X2APIC_API", kvm::KVM_CAP_X2APIC_API, KernelApic, "32-bit APIC ids, no broadcast quirk"),
    ("NR_VCPUS", kvm::KVM_CAP_NR_VCPUS, Optional, "recommended number of vCPUs"),
    ("MAX_VCPUS", kvm::KVM_CAP_MAX_VCPUS, Optional, "greatest number of vCPUs"),
    ("MAX_VCPU_ID", kvm::KVM_CAP_MAX_VCPU_ID, Optional, "bound of the APIC ids"),
    ("ENFORCE_PV_FEATURE_CPUID", kvm::KVM_CAP_ENFORCE_PV_FEATURE_CPUID, Optional, "hidden hypercalls are refused"),
    ("SYNC_REGS", kvm::KVM_CAP_SYNC_REGS, Optional, "registers without an ioctl of their own"),
    ("SET_TSS_ADDR", kvm::KVM_CAP_SET_TSS_ADDR, Optional, "VMX without unrestricted guest"),
    ("SET_IDENTITY_MAP_ADDR", kvm::KVM_CAP_SET_IDENTITY_MAP_ADDR, Optional, "VMX without unrestricted guest"),
    ("CLOCKSOURCE", kvm::KVM_CAP_CLOCKSOURCE, Optional, "kvmclock for Linux guests"),
    ("GET_TSC_KHZ", kvm::KVM_CAP_GET_TSC_KHZ, Optional, "the guest is told its TSC clock"),
    ("TSC_CONTROL", kvm::KVM_CAP_TSC_CONTROL, Optional, "the TSC clock can be chosen"),
    ("TSC_DEADLINE_TIMER", kvm::KVM_CAP_TSC_DEADLINE_TIMER, Optional, "not trusted: see the probe"),
    ("VCPU_ATTRIBUTES", kvm::KVM_CAP_VCPU_ATTRIBUTES, Optional, "TSC offset, for deadlines"),
    ("X86_APIC_BUS_CYCLES_NS", kvm::KVM_CAP_X86_APIC_BUS_CYCLES_NS, Optional, "KVM's APIC timer clock can be chosen"),
];
