//! What a probe saw, in a few words.

use super::{BlockedInterrupt, Hlt, InterruptWindow, MsrAccess, NmiDepth, StiHltWindow, TprExits};

pub(super) fn msr(access: &MsrAccess) -> String {
    match access {
        MsrAccess::Exits { reason } => format!("exits, reason {reason}"),
        MsrAccess::Silent => "no exit, no fault".to_owned(),
        MsrAccess::Fault => "#GP".to_owned(),
    }
}

pub(super) fn cr8(exits: &TprExits) -> String {
    let exit = |exits| if exits { "exits" } else { "no exit" };
    let value = if exits.value_seen { "seen" } else { "not seen" };
    format!(
        "rise: {}; fall: {}; value {value} at the next exit",
        exit(exits.on_rise),
        exit(exits.on_fall)
    )
}

pub(super) fn window(window: &InterruptWindow) -> String {
    match window {
        InterruptWindow::Opens { late, delivered } => format!(
            "exit {late} instructions after IF=1, the vector {}",
            if *delivered {
                "arrives"
            } else {
                "does not arrive"
            }
        ),
        InterruptWindow::WhileBlocked => "exit with IF=0".to_owned(),
        InterruptWindow::Never => "no exit".to_owned(),
    }
}

pub(super) fn sti_hlt(seen: &StiHltWindow) -> String {
    match seen {
        StiHltWindow::WindowFirst => "window exit before HLT",
        StiHltWindow::HltReady => "HLT exit, ready for an interrupt",
        StiHltWindow::HltNotReady => "HLT exit, not ready",
    }
    .to_owned()
}

pub(super) fn blocked(seen: &BlockedInterrupt) -> String {
    match seen {
        BlockedInterrupt::Held => "held".to_owned(),
        BlockedInterrupt::Delivered => "delivered".to_owned(),
        BlockedInterrupt::EntryFails { reason } => format!("entry fails, reason {reason:#x}"),
    }
}

pub(super) fn nmi(depth: &NmiDepth) -> String {
    let NmiDepth {
        queued,
        delivered,
        before_hlt,
    } = depth;
    format!("{delivered} of {queued} delivered, {before_hlt} before the first HLT")
}

pub(super) fn hlt(hlt: &Hlt) -> String {
    let next = if hlt.runs_on {
        "goes on behind it"
    } else {
        "stays there"
    };
    format!("exits, the next KVM_RUN {next}")
}
