//! What the VMM is told: the phases of a measurement, results, failures, and the end.
//!
//! `begin` and `end` make the VMM take a snapshot of its counters, so they are written when every
//! interrupt that was sent has been ended.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::line::Line;
use crate::port::{self, MARKER, SERIAL};
use crate::{console, cpu};

static FAILED: AtomicBool = AtomicBool::new(false);

/// A phase begins; `labels` tell it from the others of the scenario.
pub(crate) fn begin(scenario: &str, labels: fmt::Arguments<'_>) {
    console::write(MARKER, format_args!("begin {scenario} {labels}"));
}

/// The phase ends with these values.
pub(crate) fn end(values: fmt::Arguments<'_>) {
    console::write(MARKER, format_args!("end {values}"));
}

/// A result that does not belong to one phase.
pub(crate) fn result(scenario: &str, values: fmt::Arguments<'_>) {
    console::write(MARKER, format_args!("result {scenario} {values}"));
}

/// Something is wrong; the run goes on but will not pass.
pub(crate) fn fail(scenario: &str, text: fmt::Arguments<'_>) {
    FAILED.store(true, Relaxed);
    console::write(MARKER, format_args!("fail {scenario} {text}"));
    console::say(format_args!("FAILED: {scenario} {text}"));
}

/// Whether anything failed so far.
pub(crate) fn has_failed() -> bool {
    FAILED.load(Relaxed)
}

/// Ends the machine.
pub(crate) fn exit(code: u8) -> ! {
    console::write(MARKER, format_args!("exit {code}"));
    cpu::stop()
}

/// Tells of a failure from which the guest cannot go on. Stays in ring 0 and takes no lock, since
/// either may be what failed.
pub(crate) fn last_words(text: fmt::Arguments<'_>) -> ! {
    let mut line = Line::new();
    port::write(SERIAL, line.set(format_args!("FAILED: {text}")));
    port::write(MARKER, line.set(format_args!("fail guest {text}")));
    port::write(MARKER, line.set(format_args!("exit 1")));
    cpu::stop()
}
