//! What must not have happened on any processor, whatever ran.

use core::fmt;
use core::sync::atomic::Ordering::Relaxed;

use crate::cpu::{self, Cpu};
use crate::ipi::Mode;
use crate::{marker, ring3, vector};

/// Reports and forgets what went wrong since the last check.
pub(crate) fn check(mode: Mode) {
    for cpu in cpu::all() {
        let fail = |text: fmt::Arguments<'_>| {
            marker::fail(
                "apic",
                format_args!("mode={mode} processor {} {text}", cpu.id()),
            );
        };
        let errors = cpu.errors.swap(0, Relaxed);
        if errors != 0 {
            fail(format_args!("has error status {errors:#x}"));
        }
        let breaches = cpu.breaches.swap(0, Relaxed);
        if breaches != 0 {
            fail(format_args!(
                "was interrupted {breaches} times with interrupts off"
            ));
        }
        while let Some(vector) = ring3::run(|| unwanted(cpu)) {
            let count = cpu.received(vector);
            fail(format_args!(
                "got vector {vector:#x}, which nobody sends, {count} times"
            ));
            cpu.forget(vector);
        }
    }
}

/// A vector that arrived although nobody sends it; the spurious one is among them.
fn unwanted(cpu: &Cpu) -> Option<u8> {
    (32..=u8::MAX).find(|&vector| !vector::is_sent(vector) && cpu.received(vector) != 0)
}
