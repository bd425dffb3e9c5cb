//! The Local APIC through its public interface, one driver for all tests.
//!
//! A test reads like a timing diagram: each line is an access, a message or a moment, and what is
//! seen there. Whatever both doors have in common runs through both.

#![cfg(not(loom))]

mod delivery;
mod driver;
mod error_status;
mod features;
mod gp_faults;
mod init_start_up;
mod lint;
mod logical_ids;
mod mode_moves;
mod nmi;
mod no_panic;
mod page_access;
mod priority;
mod registers;
mod snapshot;
mod software_disable;
mod sources;
mod timer;
mod tsc_deadline;
