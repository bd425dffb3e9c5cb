//! What the machine needs of KVM: the host's capabilities and habits, a VM set up for one of two
//! Local APICs, its CPUID, and the one ioctl `kvm-ioctls` lacks.
//!
//! The order in which the pieces are used is part of KVM's interface:
//! 1. [`Host::open`], then [`probe::quick`] for what capabilities do not tell;
//! 2. [`create_vm`]: address ranges, MSR exits or irqchip, all before the first vCPU;
//! 3. memory slots, then vCPUs in ascending order of APIC id;
//! 4. [`prepare_vcpu`], then [`Recipe::cpuid_for`] into `set_cpuid2`, before the first KVM_RUN.

mod capability;
mod cpuid;
mod host;
mod host_error;
mod interrupt;
mod machine;
mod msr_filter;
pub mod probe;
mod tsc;

pub use capability::{Capability, Need};
pub use cpuid::{CpuidError, Recipe};
pub use host::Host;
pub use host_error::HostError;
pub use interrupt::{Injection, queue_interrupt};
pub use machine::{ApicModel, VmError, create_vm, prepare_vcpu};
pub use msr_filter::{IA32_APIC_BASE, IA32_TSC_DEADLINE};
pub use tsc::tsc_offset;
