//! Handing an interrupt to KVM: through the registers shared with KVM_RUN where the host has them,
//! else with KVM_INTERRUPT, which `kvm-ioctls` 0.25 does not wrap.
#![expect(unsafe_code, reason = "a raw ioctl")]

use kvm_bindings::{KVM_SYNC_X86_EVENTS, KVMIO, kvm_interrupt};
use kvm_ioctls::{SyncReg, VcpuFd};
use vmm_sys_util::ioctl::ioctl_with_ref;
use vmm_sys_util::ioctl_iow_nr;

use super::Host;

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

/// How interrupts are handed to KVM on this host.
///
/// An ioctl of its own costs about 7 µs on some hosts, since each loads the vCPU's state onto the
/// processor and takes it off again; the events part of the shared registers costs nothing but the
/// entry that follows anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injection {
    /// With the next KVM_RUN, in `kvm_run.s.regs.events`.
    SharedEvents,
    /// With [`queue_interrupt`].
    Ioctl,
}

impl Injection {
    /// The best way that the host has.
    #[must_use]
    pub fn best(host: &Host) -> Self {
        let shared = host.capability("SYNC_REGS").unsigned_abs();
        if shared & KVM_SYNC_X86_EVENTS == 0 {
            Self::Ioctl
        } else {
            Self::SharedEvents
        }
    }

    /// Prepares a vCPU; once, before its first KVM_RUN.
    pub fn prepare(self, vcpu: &mut VcpuFd) {
        if self == Self::SharedEvents {
            vcpu.set_sync_valid_reg(SyncReg::VcpuEvents);
        }
    }

    /// Commits `vector` to the vCPU, under the conditions of [`queue_interrupt`].
    ///
    /// Besides, no ioctl may have changed the vCPU's events since the last KVM_RUN returned: the
    /// shared copy is of that moment, and all of it is written back.
    ///
    /// # Errors
    ///
    /// As [`queue_interrupt`]; a shared register cannot fail here.
    pub fn queue(self, vcpu: &mut VcpuFd, vector: u8) -> Result<(), kvm_ioctls::Error> {
        match self {
            Self::Ioctl => queue_interrupt(vcpu, vector),
            Self::SharedEvents => {
                let interrupt = &mut vcpu.sync_regs_mut().events.interrupt;
                interrupt.injected = 1;
                interrupt.nr = vector;
                interrupt.soft = 0;
                vcpu.set_sync_dirty_reg(SyncReg::VcpuEvents);
                Ok(())
            }
        }
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
