//! How a script lies in guest memory: the one definition for the guest that executes it and for
//! the host that writes it and reads the outcomes.
//!
//! All numbers are little-endian, as on the machine itself.

/// Guest-physical address of the [`Header`]; the operations follow it directly.
pub(crate) const ADDRESS: u64 = 64 << 20;

/// End of the memory that a script, its outcomes and its log may use.
pub(crate) const END: u64 = 128 << 20;

/// First word of a script.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"apicscri");

/// What stands before the operations.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// [`MAGIC`].
    pub(crate) magic: u64,
    /// Number of operations, and so of outcomes.
    pub(crate) count: u64,
    /// Address of the outcomes.
    pub(crate) outcomes: u64,
    /// Address of the log: one byte for each interrupt taken, its vector, in the order taken.
    pub(crate) log: u64,
    /// Filled in by the guest at its end: bytes in the log.
    pub(crate) logged: u64,
    /// Filled in by the guest at its end: [`MAGIC`] if it executed every operation.
    pub(crate) finished: u64,
}

/// What to do.
pub(crate) mod kind {
    /// RDMSR of `register`.
    pub(crate) const READ_MSR: u8 = 0;
    /// WRMSR of `value` to `register`.
    pub(crate) const WRITE_MSR: u8 = 1;
    /// MOV of `width` bytes from the physical address `register`.
    pub(crate) const READ_PAGE: u8 = 2;
    /// MOV of `value`, `width` bytes, to the physical address `register`.
    pub(crate) const WRITE_PAGE: u8 = 3;
    /// XCHG of `value`, `width` 4, with the physical address `register`.
    pub(crate) const EXCHANGE_PAGE: u8 = 4;
    /// MOV from CR8.
    pub(crate) const READ_CR8: u8 = 5;
    /// MOV of `value` to CR8.
    pub(crate) const WRITE_CR8: u8 = 6;
    /// Take interrupts until none comes; `register` is where each handler ends its own: an address,
    /// an MSR below 0x1000, or 0 to leave it in service.
    pub(crate) const WINDOW: u8 = 7;
    /// Leave the guest once, so that a pending NMI is taken.
    pub(crate) const EXIT: u8 = 8;
    /// Let `value` TSC cycles pass.
    pub(crate) const DELAY: u8 = 9;
    /// Wait until the word of the IRR at `register` (an address, or an MSR below 0x1000) has a bit
    /// of the mask in the lower half of `value`, or for the cycles in its upper half, times 2^10.
    pub(crate) const AWAIT: u8 = 10;
    /// Wait until processor `register` has started since it was last asked, or for `value` cycles;
    /// reads how often it has. INIT and start-up are not over when they have been sent.
    pub(crate) const AWAIT_START: u8 = 11;
    /// WRMSR of the TSC, `value` cycles from now, to `register`.
    pub(crate) const WRITE_DEADLINE: u8 = 12;
}

/// One operation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    /// What the kind needs.
    pub(crate) value: u64,
    /// What the kind needs.
    pub(crate) register: u32,
    /// Index of the processor that does it.
    pub(crate) processor: u8,
    /// One of [`kind`].
    pub(crate) kind: u8,
    /// Bytes, for accesses to memory.
    pub(crate) width: u8,
    pub(crate) reserved: u8,
}

/// What came of an operation.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    /// What was read; 0 for operations that read nothing.
    pub(crate) value: u64,
    /// Bits 41:10 of the TSC after the operation.
    pub(crate) stamp: u32,
    /// Interrupts taken.
    pub(crate) interrupts: u16,
    /// NMIs that the processor has taken so far, modulo 256.
    pub(crate) nmis: u8,
    /// Vector of the exception, or 0.
    pub(crate) fault: u8,
}
