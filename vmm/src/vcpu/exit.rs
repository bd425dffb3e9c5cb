//! Every way out of `KVM_RUN`, decoded once.

use kvm_ioctls::{ReadMsrExit, VcpuExit, WriteMsrExit};
use vapic::spec::base::{APIC_PAGE_SIZE, IA32_APIC_BASE};
use vapic::spec::register::{Register, X2APIC_MSR_FIRST, X2APIC_MSR_LAST};
use vmm_sys_util::errno;

use crate::observe::Cause;

/// Why the vCPU is outside the guest, with what it wants or brings.
#[derive(Debug)]
pub enum Exit<'a> {
    /// Reads the APIC page.
    PageRead(u32, &'a mut [u8]),
    /// Writes the APIC page.
    PageWrite(u32, &'a [u8]),
    /// Reads an MSR that KVM leaves to us.
    MsrRead(ReadMsrExit<'a>),
    /// Writes an MSR that KVM leaves to us.
    MsrWrite(WriteMsrExit<'a>),
    /// Reads a port.
    PortIn(u16, &'a mut [u8]),
    /// Writes a port.
    PortOut(u16, &'a [u8]),
    /// Reads memory that is no RAM.
    MmioRead(u64, &'a mut [u8]),
    /// Writes memory that is no RAM.
    MmioWrite(u64, &'a [u8]),
    /// KVM's own Local APIC broadcasts the end of a level-triggered vector.
    EndOfInterrupt(u8),
    /// Halted.
    Halt,
    /// The interrupt window that was asked for is open.
    Window,
    /// CR8 went down.
    TaskPriority,
    /// A signal called the thread out.
    Kicked,
    /// The guest cannot go on.
    Fatal(Fatal),
}

/// Why a guest cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fatal {
    /// Shutdown: an exception while delivering a double fault.
    #[error("triple fault")]
    TripleFault,
    /// KVM gave up, as a rule on an instruction that it cannot emulate.
    #[error("KVM internal error: it could not emulate the instruction")]
    InternalError,
    /// The processor refused to enter the guest.
    #[error("KVM could not enter the guest (hardware reason {0:#x})")]
    FailedEntry(u64),
    /// The guest touched memory that KVM cannot map.
    #[error("KVM could not access guest memory at {0:#x}")]
    MemoryFault(u64),
    /// An exit that no part of this machine can cause.
    #[error("unexpected exit from KVM (reason {0})")]
    Unexpected(u32),
    /// `KVM_RUN` itself failed.
    #[error("KVM_RUN failed: {0}")]
    Run(errno::Error),
}

impl<'a> Exit<'a> {
    /// Decodes what `KVM_RUN` returned; `apic_page` is where the vCPU's APIC page is, if it has one.
    pub fn decode(result: Result<VcpuExit<'a>, errno::Error>, apic_page: Option<u64>) -> Self {
        let offset = |address: u64| {
            let offset = address.checked_sub(apic_page?)?;
            u32::try_from(offset)
                .ok()
                .filter(|_| offset < APIC_PAGE_SIZE)
        };
        match result {
            Ok(VcpuExit::MmioRead(address, data)) => match offset(address) {
                Some(offset) => Self::PageRead(offset, data),
                None => Self::MmioRead(address, data),
            },
            Ok(VcpuExit::MmioWrite(address, data)) => match offset(address) {
                Some(offset) => Self::PageWrite(offset, data),
                None => Self::MmioWrite(address, data),
            },
            Ok(VcpuExit::X86Rdmsr(exit)) => Self::MsrRead(exit),
            Ok(VcpuExit::X86Wrmsr(exit)) => Self::MsrWrite(exit),
            Ok(VcpuExit::IoIn(port, data)) => Self::PortIn(port, data),
            Ok(VcpuExit::IoOut(port, data)) => Self::PortOut(port, data),
            Ok(VcpuExit::Hlt) => Self::Halt,
            Ok(VcpuExit::IrqWindowOpen) => Self::Window,
            Ok(VcpuExit::SetTpr) => Self::TaskPriority,
            Ok(VcpuExit::Intr) => Self::Kicked,
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => Self::Kicked,
            Ok(VcpuExit::IoapicEoi(vector)) => Self::EndOfInterrupt(vector),
            Ok(VcpuExit::Shutdown) => Self::Fatal(Fatal::TripleFault),
            Ok(VcpuExit::InternalError) => Self::Fatal(Fatal::InternalError),
            Ok(VcpuExit::FailEntry(reason, _)) => Self::Fatal(Fatal::FailedEntry(reason)),
            Ok(VcpuExit::MemoryFault { gpa, .. }) => Self::Fatal(Fatal::MemoryFault(gpa)),
            Ok(VcpuExit::Unsupported(reason)) => Self::Fatal(Fatal::Unexpected(reason)),
            Ok(_) => Self::Fatal(Fatal::Unexpected(0)),
            Err(error) => Self::Fatal(Fatal::Run(error)),
        }
    }

    /// The line of the account that the exit goes under.
    #[must_use]
    pub fn cause(&self) -> Cause {
        match self {
            Self::PageRead(offset, _) | Self::PageWrite(offset, _) => {
                Cause::of_register(Register::from_offset(*offset))
            }
            Self::MsrRead(ReadMsrExit { index, .. })
            | Self::MsrWrite(WriteMsrExit { index, .. }) => match *index {
                IA32_APIC_BASE => Cause::ApicBase,
                X2APIC_MSR_FIRST..=X2APIC_MSR_LAST => {
                    Cause::of_register(Register::from_msr(*index))
                }
                _ => Cause::Msr,
            },
            Self::PortIn(..) | Self::PortOut(..) => Cause::Port,
            Self::MmioRead(..) | Self::MmioWrite(..) => Cause::Mmio,
            Self::Halt => Cause::Hlt,
            Self::Window => Cause::Window,
            Self::TaskPriority => Cause::SetTpr,
            Self::Kicked => Cause::Kick,
            Self::EndOfInterrupt(_) | Self::Fatal(_) => Cause::Other,
        }
    }
}
