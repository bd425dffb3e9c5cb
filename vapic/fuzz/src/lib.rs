//! The bodies of the fuzz targets: bytes become a list of inputs, the list is done, and what the
//! documentation of `vapic` promises is checked after each of them.
//!
//! Each is an ordinary function, so the same bodies run under the fuzzer (`cargo fuzz run apics`)
//! and as a plain test over the committed corpus and pseudo-random bytes (`tests/replay.rs`).

pub mod apics;
mod input;
mod machine;
pub mod msi_ioapic;
mod promises;
pub mod snapshot;
