//! Sequences of accesses that more than one part of the test needs.

use vapic::IA32_TSC_DEADLINE;
use vapic::spec::base::{DEFAULT_APIC_PAGE, IA32_APIC_BASE};
use vapic::spec::register::X2APIC_MSR_FIRST;

use super::operation::{Action, End, Operation};

/// An APIC ID that no processor has.
pub(super) const ABSENT: u32 = 0x7E;

/// A command that reaches nobody: fixed, vector 0x40, to [`ABSENT`].
pub(super) const TO_NOBODY: u64 = (ABSENT as u64) << 32 | 0x40;

/// Where the page is after reset.
pub(super) const PAGE: u32 = 0xFEE0_0000;
const _: () = assert!(PAGE as u64 == DEFAULT_APIC_PAGE);

/// SVR with the APIC enabled.
pub(super) const ENABLED: u64 = 0x1FF;

/// Numbers of the registers that exist in some mode.
pub(super) const REGISTERS: [u32; 46] = [
    0x02, 0x03, 0x08, 0x09, 0x0A, 0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
    0x17, 0x18, 0x19, 0x1A, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26,
    0x27, 0x28, 0x2F, 0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3E,
];

/// Accesses of one processor, in a row.
#[derive(Clone, Debug)]
pub(super) struct Accesses {
    processor: u8,
    page: u32,
    list: Vec<Operation>,
}

impl Accesses {
    pub(super) const fn of(processor: u8) -> Self {
        Self {
            processor,
            page: PAGE,
            list: Vec::new(),
        }
    }

    /// Through a page in another place.
    pub(super) const fn page(mut self, page: u32) -> Self {
        self.page = page;
        self
    }

    pub(super) fn act(mut self, action: Action) -> Self {
        self.list.push(Operation {
            processor: self.processor,
            action,
        });
        self
    }

    pub(super) fn read(self, offset: u32) -> Self {
        let address = self.page + offset;
        self.act(Action::ReadPage(address, 4))
    }

    pub(super) fn write(self, offset: u32, value: u64) -> Self {
        let address = self.page + offset;
        self.act(Action::WritePage(address, 4, value))
    }

    pub(super) fn rdmsr(self, msr: u32) -> Self {
        self.act(Action::ReadMsr(msr))
    }

    pub(super) fn wrmsr(self, msr: u32, value: u64) -> Self {
        self.act(Action::WriteMsr(msr, value))
    }

    /// xAPIC mode: sends a command to a destination.
    pub(super) fn send(self, destination: u64, command: u64) -> Self {
        self.write(0x310, destination << 24).write(0x300, command)
    }

    /// From xAPIC to x2APIC mode.
    pub(super) fn enter_x2apic(self) -> Self {
        let base = base_of(self.processor) | u64::from(self.page) | 0xC00;
        self.wrmsr(IA32_APIC_BASE, base)
    }

    /// Takes and ends everything; xAPIC mode.
    pub(super) fn drain(self) -> Self {
        let page = self.page;
        self.act(Action::Window(End::Page(page)))
    }

    /// Goes on on another processor.
    pub(super) const fn then(mut self, processor: u8) -> Self {
        self.processor = processor;
        self
    }

    pub(super) fn list(self) -> Vec<Operation> {
        self.list
    }
}

/// The bits of IA32_APIC_BASE that only tell the bootstrap processor from the others.
pub(super) const fn base_of(processor: u8) -> u64 {
    if processor == 0 { 0x100 } else { 0 }
}

/// xAPIC mode: gives every register that can be written its value after power-up, but leaves the
/// APIC enabled, with a logical ID, a divisor of 1, and a command to nobody in the ICR.
pub(super) fn initialise(processor: u8, page: u32) -> Vec<Operation> {
    let id = u64::from(processor);
    Accesses::of(processor)
        .page(page)
        .write(0x0F0, ENABLED)
        .write(0x020, id << 24)
        .write(0x0E0, 0xFFFF_FFFF)
        .write(0x0D0, 1 << (24 + id))
        .write(0x320, 0x1_0000)
        .write(0x330, 0x1_0000)
        .write(0x340, 0x1_0000)
        .write(0x350, 0x1_0000)
        .write(0x360, 0x1_0000)
        .write(0x370, 0x1_0000)
        .write(0x2F0, 0x1_0000)
        .write(0x380, 0)
        .write(0x3E0, 0xB)
        .send(u64::from(ABSENT), TO_NOBODY & 0xFFFF_FFFF)
        .write(0x280, 0)
        .write(0x280, 0)
        .write(0x080, 0)
        .list()
}

/// The same in x2APIC mode, which has no logical ID to write.
fn initialise_x2apic(processor: u8) -> Vec<Operation> {
    let mut accesses = Accesses::of(processor).wrmsr(0x80F, ENABLED);
    for entry in [0x832, 0x833, 0x834, 0x835, 0x836, 0x837, 0x82F] {
        accesses = accesses.wrmsr(entry, 0x1_0000);
    }
    accesses
        .wrmsr(0x838, 0)
        .wrmsr(0x83E, 0xB)
        .wrmsr(0x830, TO_NOBODY)
        .wrmsr(0x828, 0)
        .wrmsr(0x828, 0)
        .wrmsr(0x808, 0)
        .list()
}

/// [`initialise`] through the page, or through MSRs if there is none.
pub(super) fn afresh(processor: u8, page: Option<u32>) -> Vec<Operation> {
    match page {
        Some(page) => initialise(processor, page),
        None => initialise_x2apic(processor),
    }
}

/// Reads all that INIT may have changed, through the page, or through MSRs if there is none.
pub(super) fn observe(processor: u8, page: Option<u32>) -> Vec<Operation> {
    let mut accesses = Accesses::of(processor);
    for index in REGISTERS {
        accesses = match page {
            Some(page) => accesses.page(page).read(index << 4),
            None => accesses.rdmsr(X2APIC_MSR_FIRST + index),
        };
    }
    accesses
        .rdmsr(IA32_APIC_BASE)
        .rdmsr(IA32_TSC_DEADLINE)
        .act(Action::ReadCr8)
        .list()
}

/// Page number at which the guest has the code that starts a processor.
pub(super) const START_PAGE: u8 = 8;

/// What the guest writes to the APIC of a processor that has been started, through a page at
/// [`PAGE`] whether or not it is there: `apic::enable` of the guest.
pub(super) fn comes_up(processor: u8) -> [(u32, u32); 6] {
    [
        (0x0E0, 0xFFFF_FFFF),
        (0x0D0, 1 << (24 + (processor & 7))),
        (0x0F0, 0x1FF),
        (0x370, 0xFE),
        (0x280, 0),
        (0x080, 0),
    ]
}
