//! Lines of JSON on the console, which is standard output.

#![expect(unsafe_code, reason = "tcdrain")]

use std::io::{self, Write};

use serde::Serialize;

/// Prints one line and waits until it is out: what the serial port still had to send would
/// interrupt the workload that comes next.
pub(crate) fn print(value: &impl Serialize) {
    let mut console = io::stdout().lock();
    // A console that is gone is no reason to stop: the VMM is told through the marker port.
    let _ = serde_json::to_writer(&mut console, value);
    let _ = console.write_all(b"\n").and_then(|()| console.flush());
    // SAFETY: takes a descriptor; one that is no terminal is an error without consequence.
    unsafe { libc::tcdrain(libc::STDOUT_FILENO) };
}
