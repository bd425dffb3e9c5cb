//! A machine of one vCPU for a few instructions: 64-bit mode, an IDT, no APIC anywhere.
#![expect(unsafe_code, reason = "the guest's memory is registered with KVM")]

use kvm_bindings::{CpuId, kvm_regs};
use kvm_ioctls::{MsrExitReason, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress};

use super::watchdog::Expired;
use crate::boot::{Entry, long_mode};
use crate::kvm::{ApicModel, Host, VmError, create_vm, prepare_vcpu, queue_interrupt};
use crate::layout;
use crate::memory::{self, GuestMemory, MemoryError};

/// Where the code under test starts, and where the one handler is.
pub(super) const CODE: u64 = layout::HIGH_RAM_START;
const HANDLER: u64 = CODE + 0x1000;
/// The interrupt descriptor table: one page, room for 256 gates.
const IDT: u64 = 0x1000;
const STACK_TOP: u64 = 0x8_0000;
/// What an RDMSR that exits is answered.
pub(super) const MSR_ANSWER: u64 = 0x5A;
/// More exits than any probe makes.
const MOST_EXITS: u32 = 64;

/// Why KVM_RUN returned, as far as a probe cares.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Hlt,
    /// `out 0x80, al`, which probes speak with.
    Out(u8),
    ReadMsr(MsrExitReason),
    WriteMsr(MsrExitReason),
    SetTpr,
    Window,
    FailEntry(u64),
    /// A fault: gates that are not set are not present, which ends in a triple fault.
    Shutdown,
}

/// Why a probe could not be finished.
#[derive(Debug, thiserror::Error)]
pub(super) enum Stopped {
    #[error("no machine to ask on: {0}")]
    Vm(#[from] VmError),
    #[error("no memory to ask on: {0}")]
    Memory(#[from] MemoryError),
    #[error("KVM refused a call: {0}")]
    Kvm(#[from] kvm_ioctls::Error),
    #[error("the guest did not exit in time")]
    Expired,
    #[error("unexpected exit: {0}")]
    Unexpected(String),
}

/// The machine.
pub(super) struct Scratch {
    vcpu: VcpuFd,
    _vm: VmFd,
    // After the descriptors above: the mapping goes last.
    memory: GuestMemory,
    expired: Expired,
    exits_left: u32,
}

impl Scratch {
    pub(super) fn new(host: &Host, cpuid: &CpuId) -> Result<Self, Stopped> {
        let memory = memory::create(memory::MIN_SIZE)?;
        long_mode::write_tables(&memory);
        let vm = create_vm(host, ApicModel::Userspace)?;
        // SAFETY: the vCPU below is the only one; it lives in the same struct as the memory and
        // is dropped before it.
        unsafe { memory::register(&vm, &memory) }?;
        let vcpu = vm.create_vcpu(0)?;
        prepare_vcpu(host, &vcpu)?;
        vcpu.set_cpuid2(cpuid)?;
        let expired = Expired::default();
        Ok(Self {
            vcpu,
            _vm: vm,
            memory,
            expired,
            exits_left: MOST_EXITS,
        })
    }

    /// Makes [`Scratch::run`] stop when the watchdog says so.
    pub(super) fn watch(&mut self, expired: Expired) {
        self.expired = expired;
    }

    /// Puts the vCPU at the start of `code`, in 64-bit mode with interrupts off; `set` may change
    /// the registers it starts with.
    pub(super) fn start(
        &mut self,
        code: &[u8],
        set: impl FnOnce(&mut kvm_regs),
    ) -> Result<(), Stopped> {
        self.finish_exit()?;
        self.write(CODE, code);
        Entry::Linux {
            rip: CODE,
            boot_params: 0,
        }
        .apply(&self.vcpu)?;
        let mut registers = self.vcpu.get_regs()?;
        registers.rsp = STACK_TOP;
        set(&mut registers);
        self.vcpu.set_regs(&registers)?;
        self.vcpu.get_kvm_run().cr8 = 0;
        Ok(())
    }

    /// Lets KVM finish the instruction of the last exit, which would otherwise change registers
    /// that were set meanwhile.
    fn finish_exit(&mut self) -> Result<(), Stopped> {
        self.vcpu.set_kvm_immediate_exit(1);
        let finished = self.vcpu.run().map(|exit| format!("{exit:?}"));
        self.vcpu.set_kvm_immediate_exit(0);
        match finished {
            Err(error) if error.errno() == libc::EINTR => Ok(()),
            Err(error) => Err(error.into()),
            Ok(exit) => Err(Stopped::Unexpected(format!(
                "{exit} with immediate_exit set"
            ))),
        }
    }

    /// Gives `vector` a handler that tells it ran with `Out(vector)` and returns.
    pub(super) fn handle(&mut self, vector: u8) -> Result<(), Stopped> {
        // It leaves the interrupted code its registers.
        let handler = [
            0x50, //             push rax
            0xB0, vector, //     mov  al, vector
            0xE6, 0x80, //       out  0x80, al
            0x58, //             pop  rax
            0x48, 0xCF, //       iretq
        ];
        self.write(HANDLER, &handler);
        let mut sregs = self.vcpu.get_sregs()?;
        sregs.idt.base = IDT;
        sregs.idt.limit = 256 * 16 - 1;
        self.vcpu.set_sregs(&sregs)?;
        // Interrupt gate (SDM Vol. 3A 7.14.1): offset 15:0, selector 0x10, type 14 and present,
        // offset 31:16; the upper half of the offset is 0.
        let gate = HANDLER & 0xFFFF | 0x10 << 16 | 0x8E << 40 | (HANDLER >> 16) << 48;
        self.write(IDT + u64::from(vector) * 16, &gate.to_le_bytes());
        Ok(())
    }

    /// Runs to the next exit a probe cares for.
    pub(super) fn run(&mut self) -> Result<Seen, Stopped> {
        loop {
            self.exits_left = self
                .exits_left
                .checked_sub(1)
                .ok_or(Stopped::Unexpected("too many".into()))?;
            let seen = match self.vcpu.run() {
                Ok(VcpuExit::Hlt) => Seen::Hlt,
                Ok(VcpuExit::IoOut(0x80, &[value])) => Seen::Out(value),
                Ok(VcpuExit::X86Rdmsr(read)) => {
                    *read.data = MSR_ANSWER;
                    Seen::ReadMsr(read.reason)
                }
                Ok(VcpuExit::X86Wrmsr(write)) => Seen::WriteMsr(write.reason),
                Ok(VcpuExit::SetTpr) => Seen::SetTpr,
                Ok(VcpuExit::IrqWindowOpen) => Seen::Window,
                Ok(VcpuExit::FailEntry(reason, _)) => Seen::FailEntry(reason),
                Ok(VcpuExit::Shutdown) => Seen::Shutdown,
                Ok(other) => return Err(Stopped::Unexpected(format!("{other:?}"))),
                Err(error) if error.errno() != libc::EINTR => return Err(error.into()),
                Err(_) if self.expired.get() => return Err(Stopped::Expired),
                Err(_signal_of_another) => continue,
            };
            return Ok(seen);
        }
    }

    /// Hands `vector` to KVM, whatever the guest's state.
    pub(super) fn queue(&self, vector: u8) -> Result<(), Stopped> {
        Ok(queue_interrupt(&self.vcpu, vector)?)
    }

    pub(super) fn queue_nmi(&self) -> Result<(), Stopped> {
        Ok(self.vcpu.nmi()?)
    }

    pub(super) fn request_window(&mut self, request: bool) {
        self.vcpu.get_kvm_run().request_interrupt_window = request.into();
    }

    /// Whether KVM says that an interrupt could be injected now.
    pub(super) fn ready(&mut self) -> bool {
        let run = self.vcpu.get_kvm_run();
        run.ready_for_interrupt_injection != 0 && run.if_flag != 0
    }

    pub(super) fn cr8(&mut self) -> u64 {
        self.vcpu.get_kvm_run().cr8
    }

    pub(super) fn registers(&self) -> Result<kvm_regs, Stopped> {
        Ok(self.vcpu.get_regs()?)
    }

    pub(super) fn tsc_khz(&self) -> Option<u32> {
        self.vcpu.get_tsc_khz().ok()
    }

    fn write(&self, address: u64, bytes: &[u8]) {
        self.memory
            .write_slice(bytes, GuestAddress(address))
            .expect("every address of a probe is RAM");
    }
}
