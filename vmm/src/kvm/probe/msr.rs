//! Do accesses to the APIC's MSRs leave the kernel?

use kvm_ioctls::MsrExitReason;
use serde::Serialize;

use super::scratch::{MSR_ANSWER, Scratch, Seen, Stopped};

const WRITE: [u8; 5] = [
    0x0F, 0x30, //  wrmsr
    0xE6, 0x80, //  out   0x80, al
    0xF4, //        hlt
];

const READ: [u8; 5] = [
    0x0F, 0x32, //  rdmsr
    0xE6, 0x80, //  out   0x80, al
    0xF4, //        hlt
];

/// What an access to an MSR does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum MsrAccess {
    /// It exits to user space, and the guest goes on with what user space answers.
    Exits {
        /// KVM's reason: `inval`, `unknown` or `filter`.
        reason: &'static str,
    },
    /// KVM answers it, or drops it.
    Silent,
    /// The guest takes a #GP.
    Fault,
}

impl MsrAccess {
    /// Whether user space sees the access.
    pub fn exits(self) -> bool {
        matches!(self, Self::Exits { .. })
    }
}

/// Writes the value that IA32_APIC_BASE has after reset: legal there, and of no effect elsewhere.
pub(super) fn write(scratch: &mut Scratch, msr: u32) -> Result<MsrAccess, Stopped> {
    scratch.start(&WRITE, |registers| {
        registers.rcx = msr.into();
        registers.rax = 0xFEE0_0900;
    })?;
    let access = match scratch.run()? {
        Seen::WriteMsr(reason) => {
            expect_out(scratch)?;
            MsrAccess::Exits {
                reason: name(reason),
            }
        }
        other => return without_exit(other),
    };
    Ok(access)
}

/// Reads, and checks that what user space answers arrives.
pub(super) fn read(scratch: &mut Scratch, msr: u32) -> Result<MsrAccess, Stopped> {
    scratch.start(&READ, |registers| registers.rcx = msr.into())?;
    match scratch.run()? {
        Seen::ReadMsr(reason) => {
            let arrived = expect_out(scratch)?;
            if u64::from(arrived) != MSR_ANSWER {
                return Err(Stopped::Unexpected(format!("RDMSR gave {arrived:#x}")));
            }
            Ok(MsrAccess::Exits {
                reason: name(reason),
            })
        }
        other => without_exit(other),
    }
}

fn expect_out(scratch: &mut Scratch) -> Result<u8, Stopped> {
    match scratch.run()? {
        Seen::Out(value) => Ok(value),
        other => Err(Stopped::Unexpected(format!("{other:?} after the access"))),
    }
}

fn without_exit(seen: Seen) -> Result<MsrAccess, Stopped> {
    match seen {
        Seen::Out(_) => Ok(MsrAccess::Silent),
        Seen::Shutdown => Ok(MsrAccess::Fault),
        other => Err(Stopped::Unexpected(format!("{other:?} on the access"))),
    }
}

fn name(reason: MsrExitReason) -> &'static str {
    match reason {
        MsrExitReason::Inval => "inval",
        MsrExitReason::Unknown => "unknown",
        MsrExitReason::Filter => "filter",
        _ => "several",
    }
}
