//! One access of a script, and what comes of it.

use std::fmt;

use vapic::IA32_TSC_DEADLINE;
use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::register::Register;

use super::wire::{self, kind};

/// One operation of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Index of the processor that does it.
    pub processor: u8,
    /// What it does.
    pub action: Action,
}

/// What a processor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// RDMSR.
    ReadMsr(u32),
    /// WRMSR.
    WriteMsr(u32, u64),
    /// MOV of so many bytes from a physical address.
    ReadPage(u32, u8),
    /// MOV of so many bytes of the value to a physical address.
    WritePage(u32, u8, u64),
    /// XCHG of 32 bits with memory.
    ExchangePage(u32, u32),
    /// MOV from CR8.
    ReadCr8,
    /// MOV to CR8.
    WriteCr8(u64),
    /// Take interrupts until none comes, and end each so.
    Window(End),
    /// Leave the guest, so that a pending NMI is taken.
    Exit,
    /// Let microseconds pass.
    Delay(u32),
    /// Wait for a vector's request bit, through the door that has this address or MSR for `IRR[0]`.
    Await(u32, u8),
    /// WRMSR of IA32_TSC_DEADLINE: so many microseconds from now.
    WriteDeadline(u32),
    /// Wait until a processor has started, and tell how often it has since the last such wait.
    AwaitStart(u8),
}

/// What a handler does with its interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Leaves it in service.
    Leave,
    /// Writes EOI through the page at this address.
    Page(u32),
    /// Writes EOI through its MSR.
    Msr,
}

/// MSR of EOI.
pub(super) const EOI_MSR: u32 = 0x80B;

/// Longest wait for a request bit: a timer that is late by more than this is broken.
const PATIENCE_US: u64 = 500_000;

/// Longest wait for a start-up, which a busy host may hold up at any of its exits.
const START_PATIENCE_US: u64 = 10_000_000;

impl Operation {
    /// The form that the guest executes.
    pub(super) fn encode(self, tsc_khz: u64) -> wire::Operation {
        let cycles = |us: u64| us * tsc_khz / 1000;
        let (kind, register, width, value) = match self.action {
            Action::ReadMsr(msr) => (kind::READ_MSR, msr, 0, 0),
            Action::WriteMsr(msr, value) => (kind::WRITE_MSR, msr, 0, value),
            Action::ReadPage(address, width) => (kind::READ_PAGE, address, width, 0),
            Action::WritePage(address, width, value) => (kind::WRITE_PAGE, address, width, value),
            Action::ExchangePage(address, value) => (kind::EXCHANGE_PAGE, address, 4, value.into()),
            Action::ReadCr8 => (kind::READ_CR8, 0, 0, 0),
            Action::WriteCr8(value) => (kind::WRITE_CR8, 0, 0, value),
            Action::Window(End::Leave) => (kind::WINDOW, 0, 0, 0),
            Action::Window(End::Page(page)) => (kind::WINDOW, page + 0xB0, 0, 0),
            Action::Window(End::Msr) => (kind::WINDOW, EOI_MSR, 0, 0),
            Action::Exit => (kind::EXIT, 0, 0, 0),
            Action::Delay(us) => (kind::DELAY, 0, 0, cycles(us.into())),
            Action::Await(first, vector) => {
                let step = if first < 0x1000 { 1 } else { 0x10 };
                let register = first + u32::from(vector >> 5) * step;
                let limit = cycles(PATIENCE_US) >> 10 << 32;
                (kind::AWAIT, register, 0, limit | 1 << (vector & 31))
            }
            Action::WriteDeadline(us) => {
                let ahead = cycles(us.into());
                (kind::WRITE_DEADLINE, IA32_TSC_DEADLINE, 0, ahead)
            }
            Action::AwaitStart(target) => (
                kind::AWAIT_START,
                target.into(),
                0,
                cycles(START_PATIENCE_US),
            ),
        };
        wire::Operation {
            value,
            register,
            processor: self.processor,
            kind,
            width,
            reserved: 0,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu{} ", self.processor)?;
        match self.action {
            Action::ReadMsr(msr) => write!(f, "rdmsr {}", Msr(msr)),
            Action::WriteMsr(msr, value) => write!(f, "wrmsr {} <- {value:#x}", Msr(msr)),
            Action::ReadPage(address, width) => write!(f, "read{width} {}", Page(address)),
            Action::WritePage(address, width, value) => {
                write!(f, "write{width} {} <- {value:#x}", Page(address))
            }
            Action::ExchangePage(address, value) => {
                write!(f, "xchg {} <- {value:#x}", Page(address))
            }
            Action::ReadCr8 => f.write_str("mov from cr8"),
            Action::WriteCr8(value) => write!(f, "mov cr8 <- {value:#x}"),
            Action::Window(End::Leave) => f.write_str("window, left in service"),
            Action::Window(End::Page(page)) => write!(f, "window, ended at {page:#x}"),
            Action::Window(End::Msr) => f.write_str("window, ended by msr"),
            Action::Exit => f.write_str("exit"),
            Action::Delay(us) => write!(f, "delay {us} us"),
            Action::Await(_, vector) => write!(f, "await request {vector:#x}"),
            Action::WriteDeadline(us) => write!(f, "deadline in {us} us"),
            Action::AwaitStart(target) => write!(f, "await start of cpu{target}"),
        }
    }
}

/// An MSR with the name of its register.
struct Msr(u32);

impl fmt::Display for Msr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, Register::from_msr(self.0)) {
            (IA32_APIC_BASE, _) => f.write_str("0x1b (IA32_APIC_BASE)"),
            (IA32_TSC_DEADLINE, _) => f.write_str("0x6e0 (IA32_TSC_DEADLINE)"),
            (msr, Some(register)) => write!(f, "{msr:#x} ({register:?})"),
            (msr, None) => write!(f, "{msr:#x} (hole)"),
        }
    }
}

/// An address with the name of the register that a page in this place has there.
struct Page(u32);

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Register::from_offset(self.0 & 0xFFF) {
            Some(register) => write!(f, "{:#x} ({register:?})", self.0),
            None => write!(f, "{:#x} (hole)", self.0),
        }
    }
}

/// What came of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was read, else 0.
    pub value: u64,
    /// The exception's vector, or 0.
    pub fault: u8,
    /// After [`Action::Exit`], NMIs that the processor has taken since the script began, modulo
    /// 256. When they were taken is not the APIC's to decide, so other operations do not tell.
    pub nmis: u8,
    /// The interrupts taken, in their order.
    pub interrupts: Vec<u8>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            0 => write!(f, "{:#x}", self.value)?,
            vector => write!(f, "exception {vector}")?,
        }
        if !self.interrupts.is_empty() {
            write!(f, ", interrupts {:02x?}", self.interrupts)?;
        }
        if self.nmis != 0 {
            write!(f, ", {} NMIs so far", self.nmis)?;
        }
        Ok(())
    }
}
