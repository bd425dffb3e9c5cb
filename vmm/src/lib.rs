//! A small VMM on KVM without an in-kernel irqchip, which makes every IPI of its guest visible.
//!
//! `main.rs` is the `vapic` command; this library is all of it but the parsing of arguments. The
//! Local APIC itself is the crate `vapic`.

pub mod boot;
pub mod chipset;
pub mod cli;
pub mod command;
pub mod compare;
pub mod control;
pub mod deadline_timer;
pub mod decode;
pub mod devices;
pub mod events;
pub mod export;
pub mod html;
pub mod instruction;
pub mod kvm;
pub mod layout;
pub mod linux;
pub mod machine;
pub mod memory;
pub mod observe;
pub mod progress;
pub mod seats;
pub mod sender;
pub mod top;
pub mod trace;
pub mod vcpu;
pub mod vm;
