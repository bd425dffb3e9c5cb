//! Lines for people, on the serial port. The marker port's protocol does not depend on them.

use core::fmt;

use spin::Mutex;

use crate::line::Line;
use crate::{port, ring3};

static LINE: Mutex<Line> = Mutex::new(Line::new());

/// Prints one line.
pub(crate) fn say(text: fmt::Arguments<'_>) {
    write(port::SERIAL, text);
}

/// Formats one line, in ring 3, and writes it to a port.
pub(crate) fn write(port: u16, text: fmt::Arguments<'_>) {
    let mut line = LINE.lock();
    let bytes = ring3::run(|| line.set(text));
    port::write(port, bytes);
}
