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
    /// An NMI that was handed over since the last KVM_RUN stays: of the shared copy, which is of
    /// that moment, the parts that an ioctl may have changed meanwhile are not written back.
    ///
    /// # Errors
    ///
    /// As [`queue_interrupt`]; a shared register cannot fail here.
    pub fn queue(self, vcpu: &mut VcpuFd, vector: u8) -> Result<(), kvm_ioctls::Error> {
        match self {
            Self::Ioctl => queue_interrupt(vcpu, vector),
            Self::SharedEvents => {
                let events = &mut vcpu.sync_regs_mut().events;
                events.interrupt.injected = 1;
                events.interrupt.nr = vector;
                events.interrupt.soft = 0;
                // Each flag says that a part is valid. Without them KVM keeps its own pending NMIs,
                // interrupt shadow and SMM state; what it takes even so (exceptions, the NMI being
                // delivered and the blocking of NMIs), only KVM_RUN and INIT change.
                events.flags = 0;
                vcpu.set_sync_dirty_reg(SyncReg::VcpuEvents);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kvm_bindings::KVM_VCPUEVENT_VALID_NMI_PENDING;
    use kvm_ioctls::VmFd;

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

    /// A vCPU of which KVM has shared the events, and has no more to do.
    fn shared() -> (VmFd, VcpuFd) {
        let vm = create_vm(&host(), ApicModel::Userspace).unwrap();
        let mut vcpu = vm.create_vcpu(0).unwrap();
        Injection::SharedEvents.prepare(&mut vcpu);
        vcpu.set_kvm_immediate_exit(1);
        enter(&mut vcpu);
        (vm, vcpu)
    }

    /// KVM takes the registers that it shares, and does not get to the guest.
    fn enter(vcpu: &mut VcpuFd) {
        let result = vcpu.run().map(drop);
        assert_eq!(result.unwrap_err().errno(), libc::EINTR);
    }

    #[test]
    fn an_nmi_outlives_a_vector_queued_around_it() {
        let (_vm, mut vcpu) = shared();
        Injection::SharedEvents.queue(&mut vcpu, 0x41).unwrap();
        vcpu.nmi().unwrap();
        enter(&mut vcpu);
        let events = vcpu.get_vcpu_events().unwrap();
        assert_eq!((events.interrupt.injected, events.interrupt.nr), (1, 0x41));
        assert_eq!(events.nmi.pending, 1, "queued, then NMI");

        let (_vm, mut vcpu) = shared();
        vcpu.nmi().unwrap();
        Injection::SharedEvents.queue(&mut vcpu, 0x41).unwrap();
        enter(&mut vcpu);
        let events = vcpu.get_vcpu_events().unwrap();
        assert_eq!((events.interrupt.injected, events.interrupt.nr), (1, 0x41));
        assert_eq!(events.nmi.pending, 1, "NMI, then queued");
    }

    #[test]
    fn a_queued_vector_changes_nothing_else() {
        let (_vm, mut vcpu) = shared();
        // What KVM_RUN can return with while an interrupt may be queued: in the handler of an NMI,
        // the next one waiting.
        let mut before = vcpu.get_vcpu_events().unwrap();
        before.nmi.masked = 1;
        before.nmi.pending = 1;
        before.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING;
        vcpu.set_vcpu_events(&before).unwrap();
        enter(&mut vcpu);
        let before = vcpu.get_vcpu_events().unwrap();
        assert_eq!((before.nmi.masked, before.nmi.pending), (1, 1));

        Injection::SharedEvents.queue(&mut vcpu, 0x41).unwrap();
        enter(&mut vcpu);
        let mut after = vcpu.get_vcpu_events().unwrap();
        assert_eq!((after.interrupt.injected, after.interrupt.nr), (1, 0x41));
        after.interrupt = before.interrupt;
        assert_eq!(after, before);
        // Nor is anything written at the entry after that.
        vcpu.nmi().unwrap();
        vcpu.set_vcpu_events(&before).unwrap();
        enter(&mut vcpu);
        assert_eq!(vcpu.get_vcpu_events().unwrap(), before);
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
