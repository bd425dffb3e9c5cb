//! One vCPU: the loop that runs it, and all that happens to it between two entries.

mod exit;
mod halt_poll;
mod inject;
mod kick;
mod ports;
mod processor;
mod reset;
mod run;
mod run_kernel;
mod signal;

pub use exit::{Exit, Fatal};
pub use halt_poll::HaltPoll;
pub use inject::{Plan, Readiness};
pub use kick::{Place, Presence};
pub use ports::Ports;
pub use processor::Processor;
pub use reset::ResetState;
pub use run::{HostTraits, Vcpu};
pub use run_kernel::KernelVcpu;
pub use signal::{ThreadId, install as install_kick_signal};

use kvm_ioctls::VcpuFd;

use crate::deadline_timer::DeadlineTimer;
use crate::machine::Position;
use crate::observe::{Ledger, Tsc};

/// The registers of a Local APIC, laid out as by KVM_GET_LAPIC.
pub type ApicPage = [u8; vapic::snapshot::page::SIZE];

/// What a vCPU leaves behind.
pub struct Finished {
    /// Its account.
    pub ledger: Ledger,
    /// Its timer, which the event loop may still be watching; KVM's own APIC needs none.
    pub timer: Option<DeadlineTimer>,
    /// Its APIC, unless KVM does not tell.
    pub apic: Option<ApicPage>,
    /// When its APIC was as told.
    pub left: Tsc,
}

/// Where a stopped guest is.
fn position(vcpu: &VcpuFd) -> Position {
    let rip = vcpu.get_regs().map_or(0, |regs| regs.rip);
    let Ok(sregs) = vcpu.get_sregs() else {
        return Position {
            rip,
            mode: "unknown mode",
            bits: 64,
            code: None,
        };
    };
    let long = sregs.efer & 1 << 10 != 0;
    let bits = match (long && sregs.cs.l != 0, sregs.cs.db != 0) {
        (true, _) => 64,
        (false, true) => 32,
        (false, false) => 16,
    };
    let mode = match (sregs.cr0 & 1 != 0, long, bits) {
        (false, ..) => "real mode",
        (true, true, 64) => "64-bit mode",
        (true, true, _) => "compatibility mode",
        (true, false, _) => "protected mode",
    };
    let linear = match bits {
        64 => rip,
        _ => sregs.cs.base.wrapping_add(rip),
    };
    let translated = vcpu.translate_gva(linear).ok();
    Position {
        rip,
        mode,
        bits,
        code: translated
            .filter(|translation| translation.valid != 0)
            .map(|translation| translation.physical_address),
    }
}
