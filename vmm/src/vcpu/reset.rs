//! What INIT and a start-up IPI do to the processor (SDM 3A, "Processor state after reset").
//!
//! INIT is not a reset: IA32_APIC_BASE, the TSC, MTRRs, PAT, FPU and SSE state and most MSRs stay.

use kvm_bindings::{
    KVM_VCPUEVENT_VALID_NMI_PENDING, KVM_VCPUEVENT_VALID_SHADOW, kvm_debugregs, kvm_regs,
    kvm_sregs, kvm_vcpu_events,
};
use kvm_ioctls::VcpuFd;
use vapic::spec::base::ApicBase;
use vmm_sys_util::errno;

/// CR0 bits that INIT leaves alone: CD and NW.
const CR0_KEPT: u64 = 0x6000_0000;
/// CR0 bits that INIT sets: ET, hard-wired.
const CR0_RESET: u64 = 0x10;

/// The state that INIT restores.
#[derive(Clone, Debug)]
pub struct ResetState {
    sregs: kvm_sregs,
    /// EDX after INIT: family, model and stepping, CPUID leaf 1 EAX.
    signature: u32,
}

impl ResetState {
    /// Takes the state of a vCPU that has not run and that nothing has been written to.
    ///
    /// # Errors
    ///
    /// Whatever `KVM_GET_SREGS` reports.
    pub fn of_new(vcpu: &VcpuFd, signature: u32) -> Result<Self, errno::Error> {
        Ok(Self {
            sregs: vcpu.get_sregs()?,
            signature,
        })
    }

    /// INIT: the processor would start at FFFF_FFF0H; an application processor waits instead.
    ///
    /// # Errors
    ///
    /// Whatever KVM reports for reading or writing the state.
    pub fn init(&self, vcpu: &mut VcpuFd, base: ApicBase) -> Result<(), errno::Error> {
        finish_exit(vcpu);
        let kept = vcpu.get_sregs()?.cr0 & CR0_KEPT;
        let mut sregs = self.sregs;
        sregs.cr0 = CR0_RESET | kept;
        sregs.apic_base = base.into_bits();
        sregs.interrupt_bitmap = [0; 4];
        vcpu.set_sregs(&sregs)?;
        vcpu.set_regs(&kvm_regs {
            rdx: u64::from(self.signature),
            rip: 0xFFF0,
            rflags: 2,
            ..kvm_regs::default()
        })?;
        // An interrupt that was queued, an NMI and its blocking are gone (T12: nothing else revokes),
        // and so is the shadow of an STI, with which interrupts off would not be a state to enter.
        vcpu.set_vcpu_events(&kvm_vcpu_events {
            flags: KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SHADOW,
            ..kvm_vcpu_events::default()
        })?;
        vcpu.set_debug_regs(&kvm_debugregs {
            dr6: 0xFFFF_0FF0,
            dr7: 0x400,
            ..kvm_debugregs::default()
        })
    }

    /// A start-up IPI for `page`: real mode at CS:IP = page << 8 : 0.
    ///
    /// # Errors
    ///
    /// Whatever KVM reports for reading or writing the state.
    pub fn start_up(vcpu: &mut VcpuFd, page: u8) -> Result<(), errno::Error> {
        finish_exit(vcpu);
        let mut sregs = vcpu.get_sregs()?;
        sregs.cs.selector = u16::from(page) << 8;
        sregs.cs.base = u64::from(page) << 12;
        vcpu.set_sregs(&sregs)?;
        let mut regs = vcpu.get_regs()?;
        regs.rip = 0;
        vcpu.set_regs(&regs)
    }
}

/// Exits that completing one instruction may make, of a string one a kilobyte or so: who repeats more
/// than that loses its own INIT alone.
const MOST_EXITS: u32 = 1024;

/// Lets KVM complete the instruction whose exit is being handled, and nothing more.
///
/// The completion of a RDMSR, WRMSR or MMIO read waits in KVM for the next `KVM_RUN` and would
/// overwrite registers that were set in between. It may exit again: a read that crosses pages has
/// two parts, a string of a port has many. Each reads what `kvm_run` happens to hold.
fn finish_exit(vcpu: &mut VcpuFd) {
    vcpu.set_kvm_immediate_exit(1);
    for _ in 0..MOST_EXITS {
        // EINTR says that nothing is left to complete; any other failure returns at the next run.
        if vcpu.run().is_err() {
            break;
        }
    }
    vcpu.set_kvm_immediate_exit(0);
}

/// Writes a new IA32_APIC_BASE to KVM, which derives CPUID.1:EDX.APIC from it.
///
/// # Errors
///
/// Whatever KVM reports for reading or writing the state.
pub(super) fn mirror_base(vcpu: &VcpuFd, base: ApicBase) -> Result<(), errno::Error> {
    let mut sregs = vcpu.get_sregs()?;
    sregs.apic_base = base.into_bits();
    // What is queued stays queued; writing it back would queue it a second time.
    sregs.interrupt_bitmap = [0; 4];
    vcpu.set_sregs(&sregs)
}
