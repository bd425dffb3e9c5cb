//! A trace in the formats of other programs: timelines for Perfetto and Chrome, rows for everything
//! that reads CSV.
//!
//! ```text
//! trace -> events by time -> lane.rs, a vCPU's or the devices' -> slices -> perfetto | chrome
//!                         -> counter.rs -> counters by the millisecond  -> the same
//!                         -> rows.rs
//! ```
//!
//! Nothing but the counters is held in memory for longer than an exit or an interrupt's service
//! lasts. `docs/export.md` describes what comes out.

mod chrome;
mod counter;

mod lane;
mod perfetto;
mod phase;
mod rows;
mod service;
mod slice;
mod timeline;

use std::io::{self, BufWriter, Write};

use crate::trace::{Trace, TraceError};

/// The formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Perfetto's own: protobuf packets with track events.
    Perfetto,
    /// Chrome's: an array of JSON objects.
    Chrome,
    /// A row for each event.
    Csv,
}

/// Why an export ended early; what was written until then stays.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The trace cannot be read.
    #[error(transparent)]
    Trace(#[from] TraceError),
    /// The export cannot be written.
    #[error("cannot write the export")]
    Write(#[from] io::Error),
}

/// Writes a trace in another format.
///
/// # Errors
///
/// [`ExportError`].
pub fn export(trace: &Trace, format: Format, out: impl Write) -> Result<(), ExportError> {
    let mut out = BufWriter::with_capacity(1 << 18, out);
    let result = match format {
        Format::Perfetto => timeline::write(trace, perfetto::Perfetto::new(&mut out)),
        Format::Chrome => timeline::write(trace, chrome::Chrome::new(&mut out)),
        Format::Csv => rows::write(trace, &mut out),
    };
    // What there was before the damage is worth having.
    let flushed = out.flush();
    result?;
    Ok(flushed?)
}
