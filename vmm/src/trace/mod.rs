//! The trace of a run: every event of every thread, kept in a file while the VM runs.
//!
//! ```text
//! vCPU thread   Ledger::note -> Recorder -> ring          (no lock, no allocation)
//! writer        rings -> blocks of records -> file        (writer.rs, format.rs)
//! afterwards    file -> Trace -> events                   (reader.rs)
//!                 -> account.rs   the run's report again
//!                 -> lives.rs     every IPI from its sending to its ends, for analysis/
//!                 -> replay.rs    the same inputs through fresh APICs
//! ```
//!
//! `docs/trace-format.md` describes the file.

mod account;
pub mod analysis;
mod format;
mod header;
mod lives;
mod mark;
mod merged;
mod reader;
mod record;
mod recorder;
mod replay;
mod writer;

pub use account::Account;
pub use header::{ApicFacts, ClockFacts, End, Header, Page};
pub use lives::{Delivery, Fate, Life, lives};
pub use mark::{Mark, MarkSender};
pub use merged::Merged;
pub use reader::{Events, Trace, TraceError};
pub use record::{RECORD_SIZE, Record, Stamped};
pub use recorder::{Policy, Recorder};
pub use replay::{NoReplay, Replay};
pub use writer::{Finished, Options, Tracer, Writer};

#[cfg(test)]
pub(crate) use reader::tests::file_of;

/// Whose events a block of records has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// This vCPU's thread.
    Vcpu(usize),
    /// The devices.
    Devices,
}
