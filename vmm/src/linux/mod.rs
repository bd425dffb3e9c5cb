//! What is particular to Linux as a guest.

pub mod initramfs;
pub mod vectors;
