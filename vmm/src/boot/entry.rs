//! The state of the boot processor at the kernel's first instruction.

use kvm_bindings::{kvm_regs, kvm_segment};
use kvm_ioctls::VcpuFd;

use super::long_mode::{self, CODE_SELECTOR, DATA_SELECTOR};
use crate::layout;

/// CR0: protection, numeric errors as exceptions (ET always reads 1), paging.
const CR0: u64 = 1 | 1 << 4 | 1 << 5 | 1 << 31;
/// CR4: physical address extension, which long mode requires.
const CR4_PAE: u64 = 1 << 5;
/// IA32_EFER: long mode enabled and active.
const EFER: u64 = 1 << 8 | 1 << 10;
/// RFLAGS with interrupts off: only the bit that always reads 1.
const RFLAGS: u64 = 1 << 1;
/// Descriptor type "busy 64-bit TSS": the only one VMX accepts in TR on entry to long mode.
const BUSY_TSS: u8 = 0xB;

/// How to enter the loaded kernel. Long mode's tables must be in memory, as `boot::load` leaves
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// First instruction, a guest-physical (and, by the identity map, linear) address.
    pub rip: u64,
    /// Guest-physical address of the zero page, which RSI holds on entry.
    pub boot_params: u64,
}

impl Entry {
    /// Puts a vCPU at the entry: 64-bit mode, CPL 0, IF=0, flat segments, RSI at the zero page.
    /// IA32_APIC_BASE keeps its reset value.
    ///
    /// # Errors
    /// What KVM_GET_SREGS, KVM_SET_SREGS or KVM_SET_REGS answer.
    pub fn apply(&self, vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
        let mut sregs = vcpu.get_sregs()?;
        sregs.cr0 = CR0;
        sregs.cr3 = layout::PML4;
        sregs.cr4 = CR4_PAE;
        sregs.efer = EFER;
        sregs.gdt.base = layout::GDT;
        sregs.gdt.limit = long_mode::GDT_LIMIT;
        sregs.cs = long_mode::segment(CODE_SELECTOR);
        let data = long_mode::segment(DATA_SELECTOR);
        (sregs.ds, sregs.es, sregs.ss) = (data, data, data);
        (sregs.fs, sregs.gs) = (data, data);
        sregs.tr = kvm_segment {
            limit: 0xFFFF,
            type_: BUSY_TSS,
            present: 1,
            ..Default::default()
        };
        vcpu.set_sregs(&sregs)?;
        vcpu.set_regs(&kvm_regs {
            rip: self.rip,
            rsi: self.boot_params,
            rflags: RFLAGS,
            ..Default::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::{ApicModel, Host, create_vm};

    #[test]
    fn the_boot_processor_is_left_as_the_protocol_says() {
        let host = Host::open().unwrap_or_else(|error| panic!("not run: {error}"));
        let vm = create_vm(&host, ApicModel::Userspace).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        let reset = vcpu.get_sregs().unwrap();
        Entry {
            rip: 0x20_0000,
            boot_params: 0x7000,
        }
        .apply(&vcpu)
        .unwrap();

        let registers = vcpu.get_regs().unwrap();
        assert_eq!(
            (registers.rip, registers.rsi, registers.rflags),
            (0x20_0000, 0x7000, RFLAGS)
        );
        let sregs = vcpu.get_sregs().unwrap();
        assert_eq!(
            (sregs.cr0, sregs.cr3, sregs.efer),
            (CR0, layout::PML4, EFER)
        );
        assert_eq!((sregs.cs.selector, sregs.cs.l, sregs.cs.dpl), (0x10, 1, 0));
        assert_eq!(
            (sregs.ds.selector, sregs.es.selector, sregs.ss.selector),
            (0x18, 0x18, 0x18)
        );
        assert_eq!(sregs.apic_base, reset.apic_base);
    }
}
