//! A list of accesses to the Local APICs, which the VMM's tests put into memory: every processor
//! does those that are its own, all of them strictly in the order of the list.
//!
//! Interrupts are off but in the windows that the list has. So every value read is decided by the
//! list alone, and the same list on another Local APIC must read the same.

#![expect(
    unsafe_code,
    reason = "reads and writes what the list says, and the list itself"
)]

mod entry;
mod wire;

use core::arch::asm;
use core::hint::spin_loop;
use core::sync::atomic::{
    AtomicU32, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use entry::{Access, END_OF_INTERRUPT, LOG};
use wire::{ADDRESS, Header, MAGIC, Operation, Outcome, kind};

use super::Run;
use crate::ipi::MAX_CPUS;
use crate::wait::Stuck;
use crate::{cpu, marker, paging, port, processors, tsc};

/// A port that nobody listens to: writing to it does nothing but leave the guest.
const IDLE_PORT: u16 = 0x80;

/// The operation whose turn it is.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// How often each processor has started since [`await_start`] last asked. INIT starts it anew, in
/// the job that it had.
static STARTS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];

/// Follows the script and ends the machine, whose APICs are then in no state to go on.
pub(super) fn run(_run: &Run<'_>) -> Result<(), Stuck> {
    paging::map_memory(wire::END);
    let script = Script::found();
    let Some(script) = script else {
        marker::fail("script", format_args!("there is none at {ADDRESS:#x}"));
        marker::exit(2);
    };
    LOG.store(script.log, Relaxed);
    entry::fill();
    let others = || {
        cpu::interrupts_off();
        entry::load();
        if cpu::this().progress() == 0 {
            cpu::this().set_progress(1);
        } else {
            STARTS[cpu::this().id()].fetch_add(1, Release);
        }
        if let Some(script) = Script::found() {
            script.follow();
        }
        cpu::stop()
    };
    processors::dispatch(cpu::others(), others)?;
    cpu::interrupts_off();
    entry::load();
    script.follow();
    script.finish();
    port::write(port::MARKER, b"exit 0\n");
    cpu::stop()
}

/// The script in memory.
#[derive(Clone, Copy)]
struct Script {
    operations: *const Operation,
    outcomes: *mut Outcome,
    count: usize,
    log: u64,
}

impl Script {
    fn found() -> Option<Self> {
        let header = ADDRESS as *mut Header;
        // SAFETY: the memory is there and mapped since `map_memory`; any bytes are a header.
        let Header {
            magic,
            count,
            outcomes,
            log,
            ..
        } = unsafe { header.read_volatile() };
        (magic == MAGIC).then(|| Self {
            operations: header.wrapping_add(1) as *const Operation,
            outcomes: outcomes as *mut Outcome,
            count: usize::try_from(count).unwrap_or(0),
            log,
        })
    }

    /// Does what is the running processor's, until the list ends.
    fn follow(self) {
        let me = cpu::this().id();
        loop {
            let turn = TURN.load(Acquire);
            if turn >= self.count {
                return;
            }
            // SAFETY: the VMM wrote `count` operations and nobody writes them any more.
            let operation = unsafe { &*self.operations.wrapping_add(turn) };
            if usize::from(operation.processor) != me {
                spin_loop();
                continue;
            }
            let outcome = execute(operation);
            // SAFETY: there is room for `count` outcomes, and this one is this processor's.
            unsafe { self.outcomes.wrapping_add(turn).write(outcome) };
            TURN.store(turn + 1, Release);
        }
    }

    fn finish(self) {
        let header = ADDRESS as *mut Header;
        // SAFETY: as for reading it; the other processors have nothing left to do.
        unsafe {
            (&raw mut (*header).logged).write_volatile(LOG.load(Relaxed) - self.log);
            (&raw mut (*header).finished).write_volatile(MAGIC);
        }
    }
}

fn execute(operation: &Operation) -> Outcome {
    let &Operation {
        register,
        value,
        kind,
        width,
        ..
    } = operation;
    let mut interrupts = 0;
    let Access { value, fault } = match kind {
        kind::READ_MSR => entry::read_msr(register),
        kind::WRITE_MSR => entry::write_msr(register, value),
        kind::READ_PAGE => plain(read_page(register, width)),
        kind::WRITE_PAGE => plain(write_page(register, width, value)),
        kind::EXCHANGE_PAGE => plain(exchange_page(register, value)),
        kind::READ_CR8 => plain(read_cr8()),
        kind::WRITE_CR8 => entry::write_cr8(value),
        kind::WINDOW => {
            interrupts = window(register);
            plain(0)
        }
        kind::EXIT => plain(leave()),
        kind::DELAY => plain(delay(value)),
        kind::AWAIT => plain(wait_for(register, value)),
        kind::WRITE_DEADLINE => entry::write_msr(register, tsc::now() + value),
        kind::AWAIT_START => plain(await_start(register, value)),
        _ => plain(0),
    };
    let [fault, ..] = fault.to_le_bytes();
    let [nmis, ..] = cpu::this().nmis().to_le_bytes();
    Outcome {
        value,
        stamp: low_half(tsc::now() >> 10),
        interrupts,
        nmis,
        fault,
    }
}

fn plain(value: u64) -> Access {
    Access { value, fault: 0 }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the lower half is what is asked for"
)]
const fn low_half(value: u64) -> u32 {
    value as u32
}

fn read_page(address: u32, width: u8) -> u64 {
    let address = address as usize;
    let value: u64;
    // SAFETY: a script reads from the APIC page, or from where there is none, with one MOV, which
    // needs no alignment.
    unsafe {
        match width {
            1 => asm!("movzx {v:e}, byte ptr [{a}]", v = out(reg) value, a = in(reg) address),
            2 => asm!("movzx {v:e}, word ptr [{a}]", v = out(reg) value, a = in(reg) address),
            4 => asm!("mov {v:e}, dword ptr [{a}]", v = out(reg) value, a = in(reg) address),
            _ => asm!("mov {v}, qword ptr [{a}]", v = out(reg) value, a = in(reg) address),
        }
    }
    value
}

fn write_page(address: u32, width: u8, value: u64) -> u64 {
    let address = address as usize;
    // SAFETY: as for reading, and nothing but APICs changes by it.
    unsafe {
        match width {
            1 => {
                let [value, ..] = value.to_le_bytes();
                asm!("mov byte ptr [{a}], {v}", v = in(reg_byte) value, a = in(reg) address);
            }
            2 => asm!("mov word ptr [{a}], {v:x}", v = in(reg) value, a = in(reg) address),
            4 => asm!("mov dword ptr [{a}], {v:e}", v = in(reg) value, a = in(reg) address),
            _ => asm!("mov qword ptr [{a}], {v}", v = in(reg) value, a = in(reg) address),
        }
    }
    0
}

fn exchange_page(address: u32, value: u64) -> u64 {
    let address = address as usize;
    let mut value = u64::from(low_half(value));
    // SAFETY: as for writing.
    unsafe { asm!("xchg dword ptr [{a}], {v:e}", v = inout(reg) value, a = in(reg) address) }
    value
}

fn read_cr8() -> u64 {
    let value;
    // SAFETY: reading CR8 has no effect.
    unsafe { asm!("mov {}, cr8", out(reg) value, options(nomem, nostack, preserves_flags)) }
    value
}

/// Takes what is pending, and what that lets through in turn.
fn window(end: u32) -> u16 {
    END_OF_INTERRUPT.store(end, Relaxed);
    let first = LOG.load(Relaxed);
    loop {
        let before = LOG.load(Relaxed);
        // SAFETY: every vector has a handler. The write to the port leaves the guest with
        // interrupts on, so that whoever injects them does so now.
        unsafe { asm!("sti", "nop", "out {port}, al", "nop", "cli", port = const IDLE_PORT) }
        if LOG.load(Relaxed) == before {
            break;
        }
    }
    u16::try_from(LOG.load(Relaxed) - first).unwrap_or(u16::MAX)
}

fn leave() -> u64 {
    // SAFETY: nobody listens to the port.
    unsafe { asm!("out {port}, al", "nop", port = const IDLE_PORT) }
    0
}

fn delay(cycles: u64) -> u64 {
    let end = tsc::now() + cycles;
    while tsc::now() < end {
        spin_loop();
    }
    leave()
}

/// Whether a bit of the IRR came in time.
fn wait_for(register: u32, wanted: u64) -> u64 {
    let end = tsc::now() + (wanted >> 32 << 10);
    let mask = wanted & 0xFFFF_FFFF;
    loop {
        let late = tsc::now() >= end;
        leave();
        let word = if register < 0x1000 {
            entry::read_msr(register).value
        } else {
            read_page(register, 4)
        };
        if word & mask != 0 {
            return 1;
        }
        if late {
            return 0;
        }
    }
}

/// How often a processor has started since the last question: once, if it comes in time.
fn await_start(processor: u32, cycles: u64) -> u64 {
    let end = tsc::now() + cycles;
    let Some(starts) = STARTS.get(processor as usize) else {
        return 0;
    };
    while starts.load(Acquire) == 0 && tsc::now() < end {
        spin_loop();
    }
    u64::from(starts.swap(0, Acquire))
}
