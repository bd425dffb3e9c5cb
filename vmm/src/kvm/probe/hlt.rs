//! What does HLT do without an APIC in the kernel?

use serde::Serialize;

use super::scratch::{Scratch, Seen, Stopped};

const HLT_THEN_OUT: [u8; 4] = [
    0xF4, //        hlt
    0xE6, 0x80, //  out 0x80, al
    0xF4, //        hlt
];

/// A HLT that exited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hlt {
    /// The next KVM_RUN goes on behind it: KVM keeps no sleep of its own.
    pub runs_on: bool,
}

pub(super) fn resume(scratch: &mut Scratch) -> Result<Hlt, Stopped> {
    scratch.start(&HLT_THEN_OUT, |_| {})?;
    match scratch.run()? {
        Seen::Hlt => Ok(Hlt {
            runs_on: matches!(scratch.run()?, Seen::Out(_)),
        }),
        other => Err(Stopped::Unexpected(format!("{other:?} at hlt"))),
    }
}
