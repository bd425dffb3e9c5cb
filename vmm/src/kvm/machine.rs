//! A VM with the one or the other Local APIC, all else equal.

use kvm_bindings::{
    KVM_CAP_ENFORCE_PV_FEATURE_CPUID, KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API,
    KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK, KVM_X2APIC_API_USE_32BIT_IDS, kvm_enable_cap,
};
use kvm_ioctls::{VcpuFd, VmFd};

use super::{Host, HostError, Need, msr_filter};
use crate::layout;

/// Pins of the IOAPIC in user space that the in-kernel APIC keeps routes for.
const IOAPIC_PINS: u64 = 24;

/// Whose Local APIC a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApicModel {
    /// Ours: KVM has no irqchip, and every access exits.
    Userspace,
    /// KVM's, with the IOAPIC left to user space, so that the Local APIC is all that differs.
    Kernel,
}

/// Why there is no VM.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// The host cannot run this machine.
    #[error(transparent)]
    Host(#[from] HostError),
    /// KVM_CREATE_VM failed.
    #[error("KVM refuses to create a VM: close other hypervisors, or see the kernel log")]
    Create(#[source] kvm_ioctls::Error),
    /// A step of its set-up failed.
    #[error("KVM refuses to {step}: see the kernel log")]
    SetUp {
        /// What was being done.
        step: &'static str,
        /// KVM's answer.
        #[source]
        source: kvm_ioctls::Error,
    },
}

/// Creates a VM with all that has to be there before its first vCPU.
///
/// # Errors
/// [`VmError::Host`] when a capability is missing, else KVM's refusal.
pub fn create_vm(host: &Host, apic: ApicModel) -> Result<VmFd, VmError> {
    host.require(match apic {
        ApicModel::Userspace => Need::UserspaceApic,
        ApicModel::Kernel => Need::KernelApic,
    })?;
    let vm = host.kvm().create_vm().map_err(VmError::Create)?;
    place_vmx_pages(host, &vm)?;
    match apic {
        ApicModel::Userspace => step("exit on MSR accesses", msr_filter::install(&vm))?,
        ApicModel::Kernel => create_split_irqchip(&vm)?,
    }
    Ok(vm)
}

/// Makes KVM refuse the paravirtual calls that the vCPU's CPUID does not offer. Call it before
/// `set_cpuid2`; a host without the capability still hides them.
///
/// # Errors
/// [`VmError::SetUp`].
pub fn prepare_vcpu(host: &Host, vcpu: &VcpuFd) -> Result<(), VmError> {
    if host.capability("ENFORCE_PV_FEATURE_CPUID") <= 0 {
        return Ok(());
    }
    let enforce = kvm_enable_cap {
        cap: KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
        args: [1, 0, 0, 0],
        ..Default::default()
    };
    step(
        "enforce the paravirtual features of CPUID",
        vcpu.enable_cap(&enforce),
    )
}

/// Real mode on old VMX hosts runs as virtual-8086 code and needs four pages of the guest's
/// address space; other hosts take the addresses and do not use them.
fn place_vmx_pages(host: &Host, vm: &VmFd) -> Result<(), VmError> {
    if host.capability("SET_IDENTITY_MAP_ADDR") > 0 {
        let placed = vm.set_identity_map_address(layout::KVM_IDENTITY_MAP);
        step("place its identity map page", placed)?;
    }
    if host.capability("SET_TSS_ADDR") > 0 {
        let address = usize::try_from(layout::KVM_TSS).expect("a 64-bit host, as KVM needs");
        step("place its task-state segment", vm.set_tss_address(address))?;
    }
    Ok(())
}

fn create_split_irqchip(vm: &VmFd) -> Result<(), VmError> {
    let split = kvm_enable_cap {
        cap: KVM_CAP_SPLIT_IRQCHIP,
        args: [IOAPIC_PINS, 0, 0, 0],
        ..Default::default()
    };
    step("create its Local APICs", vm.enable_cap(&split))?;
    // Destination 0xFF is then an APIC id like any other to an APIC in x2APIC mode.
    let flags = KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
    let wide_ids = kvm_enable_cap {
        cap: KVM_CAP_X2APIC_API,
        args: [flags.into(), 0, 0, 0],
        ..Default::default()
    };
    step("use 32-bit APIC ids", vm.enable_cap(&wide_ids))
}

fn step(step: &'static str, answer: Result<(), kvm_ioctls::Error>) -> Result<(), VmError> {
    answer.map_err(|source| VmError::SetUp { step, source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::host::tests::host;

    #[test]
    fn only_the_kernel_model_has_an_apic_in_the_kernel() {
        let host = host();
        for (apic, in_kernel) in [(ApicModel::Userspace, false), (ApicModel::Kernel, true)] {
            let vm = create_vm(&host, apic).unwrap();
            let vcpu = vm.create_vcpu(0).unwrap();
            prepare_vcpu(&host, &vcpu).unwrap();
            assert_eq!(vcpu.get_lapic().is_ok(), in_kernel, "{apic:?}");
        }
    }

    #[test]
    fn the_boot_processor_starts_with_its_apic_enabled_at_the_reset_address() {
        let vm = create_vm(&host(), ApicModel::Userspace).unwrap();
        let apic_base = |id| vm.create_vcpu(id).unwrap().get_sregs().unwrap().apic_base;
        assert_eq!(apic_base(0), layout::APIC_PAGE | 0x900);
        assert_eq!(apic_base(1), layout::APIC_PAGE | 0x800);
    }
}
