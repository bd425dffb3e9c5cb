//! Facts from the manual: register numbers, bit fields, reset values, and the meaning of a message.
//!
//! Nothing here has behaviour. A raw word is a bit-field type that accepts any value; its meaning
//! is a separate type that excludes nonsense (see [`icr`] for the pair that matters most).

pub mod base;
pub mod error;
pub mod icr;
pub mod ioapic;
pub mod lvt;
pub mod message;
pub mod msi;
pub mod register;
pub mod svr;
