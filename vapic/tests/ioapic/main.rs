//! The IOAPIC through its public interface, one driver for all tests.
//!
//! A test reads like a timing diagram: each line is a line that moves, an access, an end or a
//! moment, and the pins that send then.

#![cfg(not(loom))]

mod access;
mod driver;
mod edge;
mod level;
mod local_apics;
mod messages;
mod no_panic;
mod polarity;
mod registers;
mod state;
mod storm;
