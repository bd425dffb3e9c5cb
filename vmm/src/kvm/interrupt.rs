//! KVM_INTERRUPT, which `kvm-ioctls` 0.25 does not wrap.
#![expect(unsafe_code, reason = "a raw ioctl")]

use kvm_bindings::{KVMIO, kvm_interrupt};
use kvm_ioctls::VcpuFd;
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

ioctl_iow_nr!(KVM_INTERRUPT, KVMIO, 0x86, kvm_interrupt);

/// Commits `vector` to the vCPU: the guest takes it at its next entry.
///
/// KVM guards nothing here when the VM has no irqchip (arch/x86/kvm/x86.c,
/// `kvm_vcpu_ioctl_interrupt`): RFLAGS.IF and CR8 are not looked at, and a second call before the
/// entry replaces the first vector, which is then lost. So call it at most once an entry, only
/// with `ready_for_interrupt_injection` and `if_flag` both set after the last KVM_RUN, and only
/// for a vector above PPR. It is a commit: the vector stays queued over EINTR exits, a later rise
/// of TPR does not hold it back, and only KVM_SET_VCPU_EVENTS takes it away. Move IRR to ISR here.
///
/// Only the thread that runs the vCPU can call it: while KVM_RUN is on, other callers block.
///
/// With KVM's own APIC the meaning is another: the vector of a PIC in user space, kept until the
/// guest acknowledges it.
///
/// # Errors
/// None is known without an irqchip; EEXIST with KVM's APIC while an earlier vector is kept.
pub fn queue_interrupt(vcpu: &VcpuFd, vector: u8) -> Result<(), kvm_ioctls::Error> {
    let interrupt = kvm_interrupt { irq: vector.into() };
    // SAFETY: the descriptor is a vCPU's, and the kernel reads one kvm_interrupt, which outlives
    // the call.
    match unsafe { ioctl_with_ref(vcpu, KVM_INTERRUPT(), &interrupt) } {
        0 => Ok(()),
        _ => Err(kvm_ioctls::Error::last()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::host::tests::host;
    use crate::kvm::{ApicModel, create_vm};

    #[test]
    fn a_queued_vector_is_seen_by_kvm() {
        let vm = create_vm(&host(), ApicModel::Userspace).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        queue_interrupt(&vcpu, 0x41).unwrap();
        let queued = vcpu.get_vcpu_events().unwrap().interrupt;
        assert_eq!((queued.injected, queued.nr), (1, 0x41));
    }

    #[test]
    fn a_second_vector_replaces_the_first_unless_kvm_has_the_apic() {
        let vm = create_vm(&host(), ApicModel::Userspace).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        queue_interrupt(&vcpu, 0x41).unwrap();
        queue_interrupt(&vcpu, 0x61).unwrap();
        assert_eq!(vcpu.get_vcpu_events().unwrap().interrupt.nr, 0x61);

        let vm = create_vm(&host(), ApicModel::Kernel).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        queue_interrupt(&vcpu, 0x41).unwrap();
        let refusal = queue_interrupt(&vcpu, 0x61).unwrap_err();
        assert_eq!(refusal.errno(), libc::EEXIST);
    }
}
