//! What the tests of the `vapic` command share: they start the real binary, as a user does.
//!
//! The binary is the one that `VAPIC_BIN` names, as `cargo xtask test` sets it; without it, it is
//! built once, in release mode. Each start has a time limit, so that a hang fails its test. A test
//! of a VM fails with "not run" where there is no `/dev/kvm`; it never passes unseen.

mod binary;
mod browser;
pub mod differential;
mod drain;
mod elf;
mod guest;
mod output;
mod process;
mod report;

pub use browser::{Browser, Picture, Shown};
pub use elf::Elf;
pub use output::Output;
pub use process::{Running, Vapic};
pub use report::Report;

/// The README, whose example must compile and do what it says.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

/// Runs `vapic` with these arguments on a host with KVM, to its end.
///
/// # Panics
///
/// If the host has no usable `/dev/kvm`, or the command takes longer than [`Vapic::LIMIT`].
#[must_use]
pub fn vapic(arguments: &[&str]) -> Output {
    Vapic::new(arguments).with_kvm().run()
}
