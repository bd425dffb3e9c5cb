//! What happens on an interrupt: count it, write the EOI, count that.
//!
//! Everyone who waits for an interrupt waits for one of these two counts. The second is there for
//! the phases of a measurement: when it has caught up, nothing is under way any more.

use core::sync::atomic::Ordering::Relaxed;

use crate::apic::{Door, Register};
use crate::cpu::{self, Cpu};
use crate::idt::Frame;
use crate::scenario::shootdown;
use crate::vector::{ERROR, NMI, SHOOTDOWN, SPURIOUS};

const INTERRUPT_FLAG: u64 = 1 << 9;

/// Called by every interrupt entry, with interrupts off.
pub(crate) extern "C" fn handle(vector: u8, frame: &Frame) {
    let cpu = cpu::this();
    if vector == NMI {
        cpu.count_received(NMI);
        return;
    }
    if frame.rflags & INTERRUPT_FLAG == 0 {
        cpu::increment(&cpu.breaches);
    }
    let door = Door::of(cpu);
    match vector {
        SHOOTDOWN => shootdown::flush(),
        ERROR => collect_errors(cpu, door),
        _ => {}
    }
    cpu.count_received(vector);
    if vector != SPURIOUS {
        door.end_of_interrupt();
    }
    cpu.count_ended(vector);
}

/// The error status shows what came up until it is written to.
#[cold]
fn collect_errors(cpu: &Cpu, door: Door) {
    door.write(Register::ErrorStatus, 0);
    cpu.errors
        .fetch_or(door.read(Register::ErrorStatus), Relaxed);
}
