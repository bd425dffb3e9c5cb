//! Does a change of CR8, the task priority, leave the kernel?

use serde::Serialize;

use super::scratch::{Scratch, Seen, Stopped};

/// Starts with RAX = 15, RCX = 0.
const RAISE_AND_LOWER: [u8; 13] = [
    0x44, 0x0F, 0x22, 0xC0, //  mov cr8, rax
    0xE6, 0x80, //              out 0x80, al
    0x44, 0x0F, 0x22, 0xC1, //  mov cr8, rcx
    0xE6, 0x80, //              out 0x80, al
    0xF4, //                    hlt
];

const RAISED: u64 = 15;

/// What a change of CR8 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TprExits {
    /// A rise exits. KVM knows no reason for it to.
    pub on_rise: bool,
    /// A fall exits, with KVM_EXIT_SET_TPR.
    pub on_fall: bool,
    /// `kvm_run.cr8` holds the new value at the next exit.
    pub value_seen: bool,
}

pub(super) fn exits(scratch: &mut Scratch) -> Result<TprExits, Stopped> {
    scratch.start(&RAISE_AND_LOWER, |registers| {
        registers.rax = RAISED;
        registers.rcx = 0;
    })?;
    let on_rise = exited_before_out(scratch)?;
    let raised = scratch.cr8();
    let on_fall = exited_before_out(scratch)?;
    let lowered = scratch.cr8();
    Ok(TprExits {
        on_rise,
        on_fall,
        value_seen: (raised, lowered) == (RAISED, 0),
    })
}

fn exited_before_out(scratch: &mut Scratch) -> Result<bool, Stopped> {
    let exited = match scratch.run()? {
        Seen::Out(_) => return Ok(false),
        seen => seen,
    };
    match (exited, scratch.run()?) {
        (Seen::SetTpr, Seen::Out(_)) => Ok(true),
        other => Err(Stopped::Unexpected(format!("{other:?} on a change of CR8"))),
    }
}
