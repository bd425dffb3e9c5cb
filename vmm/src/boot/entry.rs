//! The state of the boot processor at the kernel's first instruction.

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use kvm_ioctls::VcpuFd;

use super::long_mode::{self, CODE_SELECTOR, DATA_SELECTOR};
use crate::layout;

/// CR0: protection; ET always reads 1.
const CR0_PROTECTED: u64 = 1 | 1 << 4;
/// CR0: the same, numeric errors as exceptions, paging.
const CR0_PAGED: u64 = CR0_PROTECTED | 1 << 5 | 1 << 31;
/// CR4: physical address extension, which long mode requires.
const CR4_PAE: u64 = 1 << 5;
/// IA32_EFER: long mode enabled and active.
const EFER: u64 = 1 << 8 | 1 << 10;
/// RFLAGS with interrupts off: only the bit that always reads 1.
const RFLAGS: u64 = 1 << 1;
/// Descriptor type "busy TSS", of 64 bits in long mode and of 32 in protected mode: the only one
/// VMX accepts in TR on entry.
const BUSY_TSS: u8 = 0xB;
/// EAX at the entry of a multiboot kernel (Multiboot Specification 0.6.96, 3.2).
const MULTIBOOT_LOADER: u64 = 0x2BAD_B002;

/// How to enter the loaded kernel. What the entry needs must be in memory, as `boot::load` leaves
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// 64-bit mode, as Linux's 64-bit boot protocol says: CPL 0, IF=0, flat segments, the first
    /// 4 GiB mapped to themselves.
    Linux {
        /// First instruction, a guest-physical (and, by the identity map, linear) address.
        rip: u64,
        /// Guest-physical address of the zero page, which RSI holds on entry.
        boot_params: u64,
    },
    /// 32-bit protected mode without paging, as multiboot says: CPL 0, IF=0, flat segments.
    Multiboot {
        /// First instruction, a guest-physical address.
        eip: u64,
        /// Guest-physical address of the information structure, which EBX holds on entry.
        info: u64,
    },
}

impl Entry {
    /// Puts a vCPU at the entry. IA32_APIC_BASE keeps its reset value.
    ///
    /// # Errors
    /// What KVM_GET_SREGS, KVM_SET_SREGS or KVM_SET_REGS answer.
    pub fn apply(&self, vcpu: &VcpuFd) -> Result<(), kvm_ioctls::Error> {
        let mut sregs = vcpu.get_sregs()?;
        let registers = match *self {
            Self::Linux { rip, boot_params } => {
                enter_long_mode(&mut sregs);
                kvm_regs {
                    rip,
                    rsi: boot_params,
                    ..Default::default()
                }
            }
            Self::Multiboot { eip, info } => {
                enter_protected_mode(&mut sregs);
                kvm_regs {
                    rip: eip,
                    rax: MULTIBOOT_LOADER,
                    rbx: info,
                    ..Default::default()
                }
            }
        };
        vcpu.set_sregs(&sregs)?;
        vcpu.set_regs(&kvm_regs {
            rflags: RFLAGS,
            ..registers
        })
    }
}

fn enter_long_mode(sregs: &mut kvm_sregs) {
    sregs.cr0 = CR0_PAGED;
    sregs.cr3 = layout::PML4;
    sregs.cr4 = CR4_PAE;
    sregs.efer = EFER;
    sregs.gdt.base = layout::GDT;
    sregs.gdt.limit = long_mode::GDT_LIMIT;
    set_segments(sregs, long_mode::segment(CODE_SELECTOR));
}

/// GDTR stays as after reset: a multiboot kernel must load its own before it loads a segment.
fn enter_protected_mode(sregs: &mut kvm_sregs) {
    sregs.cr0 = CR0_PROTECTED;
    sregs.cr4 = 0;
    sregs.efer = 0;
    set_segments(
        sregs,
        kvm_segment {
            l: 0,
            db: 1,
            ..long_mode::segment(CODE_SELECTOR)
        },
    );
}

fn set_segments(sregs: &mut kvm_sregs, code: kvm_segment) {
    let data = long_mode::segment(DATA_SELECTOR);
    sregs.cs = code;
    (sregs.ds, sregs.es, sregs.ss) = (data, data, data);
    (sregs.fs, sregs.gs) = (data, data);
    sregs.tr = kvm_segment {
        limit: 0xFFFF,
        type_: BUSY_TSS,
        present: 1,
        ..Default::default()
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kvm::{ApicModel, Host, create_vm};

    /// The registers of a new vCPU, and what is left of them at the entry.
    fn applied(entry: Entry) -> (kvm_sregs, kvm_regs, kvm_sregs) {
        let host = Host::open().unwrap_or_else(|error| panic!("not run: {error}"));
        let vm = create_vm(&host, ApicModel::Userspace).unwrap();
        let vcpu = vm.create_vcpu(0).unwrap();
        let reset = vcpu.get_sregs().unwrap();
        entry.apply(&vcpu).unwrap();
        (reset, vcpu.get_regs().unwrap(), vcpu.get_sregs().unwrap())
    }

    #[test]
    fn linux_is_entered_in_long_mode() {
        let (reset, registers, sregs) = applied(Entry::Linux {
            rip: 0x20_0000,
            boot_params: 0x7000,
        });
        assert_eq!(
            (registers.rip, registers.rsi, registers.rflags),
            (0x20_0000, 0x7000, RFLAGS)
        );
        assert_eq!(
            (sregs.cr0, sregs.cr3, sregs.efer),
            (CR0_PAGED, layout::PML4, EFER)
        );
        assert_eq!((sregs.cs.selector, sregs.cs.l, sregs.cs.dpl), (0x10, 1, 0));
        assert_eq!(
            (sregs.ds.selector, sregs.es.selector, sregs.ss.selector),
            (0x18, 0x18, 0x18)
        );
        assert_eq!(sregs.apic_base, reset.apic_base);
    }

    #[test]
    fn a_multiboot_kernel_is_entered_in_protected_mode_without_paging() {
        let (reset, registers, sregs) = applied(Entry::Multiboot {
            eip: 0x40_0000,
            info: 0x9000,
        });
        assert_eq!((registers.rip, registers.rflags), (0x40_0000, RFLAGS));
        assert_eq!((registers.rax, registers.rbx), (0x2BAD_B002, 0x9000));
        assert_eq!((sregs.cr0, sregs.cr4, sregs.efer), (0x11, 0, 0));
        assert_eq!((sregs.cs.base, sregs.cs.limit), (0, u32::MAX));
        assert_eq!((sregs.cs.db, sregs.cs.l, sregs.cs.type_), (1, 0, 0xB));
        assert_eq!((sregs.ss.base, sregs.ss.limit), (0, u32::MAX));
        assert_eq!((sregs.ss.db, sregs.ss.type_), (1, 3));
        assert_eq!(sregs.apic_base, reset.apic_base);
    }
}
