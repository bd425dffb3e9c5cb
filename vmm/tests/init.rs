//! What INIT and a start-up IPI leave in a vCPU (SDM 3A, "Processor state after reset").

#![cfg(not(loom))]
#![expect(unsafe_code, reason = "the guest's memory is registered with KVM")]

use kvm_bindings::{KVM_VCPUEVENT_VALID_SHADOW, KVM_X86_SHADOW_INT_STI, kvm_debugregs, kvm_regs};
use kvm_ioctls::{VcpuExit, VcpuFd, VmFd};
use vapic::spec::base::ApicBase;
use vm_memory::{Bytes, GuestAddress};
use vmm::kvm::{ApicModel, Host, create_vm, queue_interrupt};
use vmm::memory;
use vmm::vcpu::ResetState;

/// Family, model and stepping of a processor.
const SIGNATURE: u32 = 0x000A_0F11;
const CACHE_DISABLE: u64 = 1 << 30;
const NOT_WRITE_THROUGH: u64 = 1 << 29;

/// A vCPU in the midst of 64-bit code, and what it was like when it was new.
fn busy() -> (VmFd, VcpuFd, ResetState) {
    let host = Host::open().unwrap_or_else(|error| panic!("not run: {error}"));
    let vm = create_vm(&host, ApicModel::Userspace).unwrap();
    let vcpu = vm.create_vcpu(1).unwrap();
    let reset = ResetState::of_new(&vcpu, SIGNATURE).unwrap();
    // Without CPUID there is no x2APIC mode.
    vcpu.set_cpuid2(&host.supported_cpuid().unwrap()).unwrap();
    let mut sregs = vcpu.get_sregs().unwrap();
    sregs.cr0 = 0x8000_0011;
    sregs.cr2 = 0x1234_5000;
    sregs.cr3 = 0x9000;
    sregs.cr4 = 0x20;
    sregs.efer = 0x500;
    sregs.cs.selector = 0x10;
    (sregs.cs.base, sregs.cs.limit, sregs.cs.g) = (0, 0xFFFF_FFFF, 1);
    (sregs.cs.type_, sregs.cs.s, sregs.cs.l, sregs.cs.db) = (0xB, 1, 1, 0);
    sregs.idt.base = 0x1000;
    vcpu.set_sregs(&sregs).unwrap();
    vcpu.set_regs(&kvm_regs {
        rax: 1,
        r15: 15,
        rip: 0x20_0000,
        rflags: 0x202,
        ..kvm_regs::default()
    })
    .unwrap();
    vcpu.set_debug_regs(&kvm_debugregs {
        db: [0x5000, 0, 0, 0],
        dr6: 0xFFFF_0FF0,
        dr7: 0x401,
        ..kvm_debugregs::default()
    })
    .unwrap();
    let mut fpu = vcpu.get_fpu().unwrap();
    fpu.xmm[3] = [0x5A; 16];
    fpu.mxcsr = 0x1F80;
    vcpu.set_fpu(&fpu).unwrap();
    (vm, vcpu, reset)
}

#[test]
fn registers_are_reset_and_the_rest_stays() {
    let (_vm, mut vcpu, reset) = busy();
    let base = ApicBase::from_bits(0xFEE0_0000).with_enabled(true);
    reset.init(&mut vcpu, base.with_x2apic(true)).expect("INIT");
    let reset_values = kvm_regs {
        rdx: SIGNATURE.into(),
        rip: 0xFFF0,
        rflags: 2,
        ..kvm_regs::default()
    };
    assert_eq!(vcpu.get_regs().unwrap(), reset_values);
    let sregs = vcpu.get_sregs().unwrap();
    assert_eq!((sregs.cr0, sregs.efer), (0x10, 0));
    assert_eq!((sregs.cr2, sregs.cr3, sregs.cr4), (0, 0, 0));
    assert_eq!((sregs.cs.selector, sregs.cs.base), (0xF000, 0xFFFF_0000));
    assert_eq!((sregs.idt.base, sregs.idt.limit), (0, 0xFFFF));
    assert_eq!(sregs.apic_base, 0xFEE0_0C00, "the mode stays");
    let debug = vcpu.get_debug_regs().unwrap();
    assert_eq!((debug.db, debug.dr7), ([0; 4], 0x400));
    assert_eq!(vcpu.get_fpu().unwrap().xmm[3], [0x5A; 16], "stays");
}

#[test]
fn cache_control_stays() {
    for kept in [0, CACHE_DISABLE, CACHE_DISABLE | NOT_WRITE_THROUGH] {
        let (_vm, mut vcpu, reset) = busy();
        let mut sregs = vcpu.get_sregs().unwrap();
        sregs.cr0 |= kept;
        vcpu.set_sregs(&sregs).unwrap();
        reset.init(&mut vcpu, ApicBase::from_bits(0)).expect("INIT");
        assert_eq!(vcpu.get_sregs().unwrap().cr0, 0x10 | kept);
    }
}

#[test]
fn what_kvm_had_queued_is_gone() {
    let (_vm, mut vcpu, reset) = busy();
    queue_interrupt(&vcpu, 0x41).unwrap();
    vcpu.nmi().unwrap();
    reset.init(&mut vcpu, ApicBase::from_bits(0)).expect("INIT");
    let events = vcpu.get_vcpu_events().unwrap();
    assert_eq!(
        (events.interrupt.injected, events.exception.injected),
        (0, 0)
    );
    assert_eq!(
        (events.nmi.pending, events.nmi.injected, events.nmi.masked),
        (0, 0, 0)
    );
}

#[test]
fn the_shadow_of_an_sti_is_gone() {
    let (_vm, mut vcpu, reset) = busy();
    let mut events = vcpu.get_vcpu_events().unwrap();
    events.flags |= KVM_VCPUEVENT_VALID_SHADOW;
    events.interrupt.shadow = u8::try_from(KVM_X86_SHADOW_INT_STI).unwrap();
    vcpu.set_vcpu_events(&events).unwrap();
    assert_ne!(vcpu.get_vcpu_events().unwrap().interrupt.shadow, 0);
    reset.init(&mut vcpu, ApicBase::from_bits(0)).expect("INIT");
    assert_eq!(vcpu.get_vcpu_events().unwrap().interrupt.shadow, 0);
}

#[test]
fn a_read_of_two_parts_ends_before_the_reset() {
    const CODE: u64 = 0x1000;
    let host = Host::open().unwrap_or_else(|error| panic!("not run: {error}"));
    let guest_memory = memory::create(memory::MIN_SIZE).unwrap();
    let vm = create_vm(&host, ApicModel::Userspace).unwrap();
    // SAFETY: the vCPU is dropped before the memory is, and no other accesses it.
    unsafe { memory::register(&vm, &guest_memory) }.unwrap();
    let mut vcpu = vm.create_vcpu(0).unwrap();
    let reset = ResetState::of_new(&vcpu, SIGNATURE).unwrap();
    vcpu.set_cpuid2(&host.supported_cpuid().unwrap()).unwrap();
    // mov ebp, [0xD0000FFE], in 32-bit mode: two bytes on each of two pages without memory.
    let code = [0x8B, 0x2D, 0xFE, 0x0F, 0x00, 0xD0];
    guest_memory.write_slice(&code, GuestAddress(CODE)).unwrap();
    let mut sregs = vcpu.get_sregs().unwrap();
    sregs.cr0 = 0x11;
    for segment in [&mut sregs.cs, &mut sregs.ds, &mut sregs.ss] {
        (segment.base, segment.limit, segment.g, segment.db) = (0, 0xFFFF_FFFF, 1, 1);
    }
    vcpu.set_sregs(&sregs).unwrap();
    vcpu.set_regs(&kvm_regs {
        rip: CODE,
        rflags: 2,
        ..kvm_regs::default()
    })
    .unwrap();
    match vcpu.run().unwrap() {
        VcpuExit::MmioRead(0xD000_0FFE, data) => {
            assert_eq!(data.len(), 2, "a part");
            data.fill(0x5A);
        }
        other => panic!("{other:?}"),
    }

    reset.init(&mut vcpu, ApicBase::from_bits(0)).expect("INIT");
    vcpu.set_kvm_immediate_exit(1);
    let result = vcpu.run().map(drop);
    assert_eq!(result.unwrap_err().errno(), libc::EINTR, "nothing is left");
    let regs = vcpu.get_regs().unwrap();
    assert_eq!((regs.rip, regs.rbp), (0xFFF0, 0));
}

#[test]
fn a_start_up_sets_where_the_processor_starts() {
    let (_vm, mut vcpu, reset) = busy();
    reset.init(&mut vcpu, ApicBase::from_bits(0)).expect("INIT");
    ResetState::start_up(&mut vcpu, 0x9A).expect("start-up");
    let sregs = vcpu.get_sregs().unwrap();
    assert_eq!((sregs.cs.selector, sregs.cs.base), (0x9A00, 0x9_A000));
    let regs = vcpu.get_regs().unwrap();
    assert_eq!((regs.rip, regs.rdx), (0, SIGNATURE.into()));
}
