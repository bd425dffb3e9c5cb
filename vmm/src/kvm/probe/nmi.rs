//! How many NMIs does KVM keep?

use serde::Serialize;

use super::scratch::{Scratch, Seen, Stopped};

const NMI_VECTOR: u8 = 2;
const QUEUED: u32 = 3;
/// How often the guest is taken out of HLT to show an NMI that KVM still holds.
const SLEEPS: u32 = 4;

const HLT_LOOP: [u8; 3] = [
    0xF4, //        1: hlt
    0xEB, 0xFD, //     jmp 1b
];

/// What became of several calls of KVM_NMI before one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct NmiDepth {
    /// Calls of KVM_NMI.
    pub queued: u32,
    /// Runs of the handler, in all.
    pub delivered: u32,
    /// Of these, runs before the guest first reached HLT.
    pub before_hlt: u32,
}

pub(super) fn depth(scratch: &mut Scratch) -> Result<NmiDepth, Stopped> {
    scratch.start(&HLT_LOOP, |_| {})?;
    scratch.handle(NMI_VECTOR)?;
    for _ in 0..QUEUED {
        scratch.queue_nmi()?;
    }
    let mut delivered = 0;
    let mut before_hlt = None;
    for _ in 0..SLEEPS + QUEUED {
        match scratch.run()? {
            Seen::Out(NMI_VECTOR) => delivered += 1,
            Seen::Hlt => {
                before_hlt.get_or_insert(delivered);
            }
            other => return Err(Stopped::Unexpected(format!("{other:?} with NMIs queued"))),
        }
    }
    Ok(NmiDepth {
        queued: QUEUED,
        delivered,
        before_hlt: before_hlt.unwrap_or(delivered),
    })
}
