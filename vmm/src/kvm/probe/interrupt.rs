//! When does KVM let an interrupt in?

use serde::Serialize;

use super::scratch::{CODE, Scratch, Seen, Stopped};

const VECTOR: u8 = 0x41;

/// Rounds of each loop below: four times what a software KVM emulates before it looks up.
const ROUNDS: u64 = 2048;

/// Starts with RCX = RDX = ROUNDS and interrupts off.
const BLOCKED_THEN_OPEN: [u8; 12] = [
    0xFF, 0xC9, //  1: dec ecx
    0x75, 0xFC, //     jnz 1b
    0xFB, //           sti
    0x90, //           nop         ; its shadow
    0xFF, 0xCA, //  2: dec edx
    0x75, 0xFC, //     jnz 2b
    0xFA, //           cli
    0xF4, //           hlt
];

const STI_HLT: [u8; 3] = [
    0xFB, //  sti
    0xF4, //  hlt
    0xF4, //  hlt
];

const LOOP_HLT: [u8; 5] = [
    0xFF, 0xC9, //  1: dec ecx
    0x75, 0xFC, //     jnz 1b
    0xF4, //           hlt
];

/// Where a requested interrupt-window exit comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "exit")]
pub enum InterruptWindow {
    /// After interrupts were enabled.
    Opens {
        /// Instructions the guest ran with the window open before the exit.
        late: u64,
        /// A vector queued at that exit ran its handler next.
        delivered: bool,
    },
    /// While they were still disabled.
    WhileBlocked,
    /// Not at all, though the guest ran thousands of instructions with interrupts on.
    Never,
}

/// What `sti; hlt` shows of a requested interrupt window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StiHltWindow {
    /// The window exit comes, HLT not yet done.
    WindowFirst,
    /// HLT exits, and KVM says it is ready for an interrupt.
    HltReady,
    /// HLT exits, and KVM says it is not.
    HltNotReady,
}

/// What becomes of a vector queued while the guest has interrupts off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum BlockedInterrupt {
    /// KVM keeps it.
    Held,
    /// The guest takes it all the same.
    Delivered,
    /// The processor refuses the guest's state.
    EntryFails {
        /// The hardware's reason.
        reason: u64,
    },
}

pub(super) fn window(scratch: &mut Scratch) -> Result<InterruptWindow, Stopped> {
    scratch.start(&BLOCKED_THEN_OPEN, |registers| {
        registers.rcx = ROUNDS;
        registers.rdx = ROUNDS;
    })?;
    scratch.handle(VECTOR)?;
    scratch.request_window(true);
    match scratch.run()? {
        Seen::Window => {}
        Seen::Hlt => return Ok(InterruptWindow::Never),
        other => return Err(Stopped::Unexpected(format!("{other:?} before the window"))),
    }
    let registers = scratch.registers()?;
    if registers.rcx != 0 || !scratch.ready() {
        return Ok(InterruptWindow::WhileBlocked);
    }
    // Two instructions a round, one more when the exit is between them.
    let open_loop = CODE + 6;
    let late = ROUNDS.saturating_sub(registers.rdx) * 2 - u64::from(registers.rip == open_loop + 2);
    scratch.request_window(false);
    scratch.queue(VECTOR)?;
    let delivered = match scratch.run()? {
        Seen::Out(VECTOR) => true,
        Seen::Hlt => false,
        other => return Err(Stopped::Unexpected(format!("{other:?} after the window"))),
    };
    Ok(InterruptWindow::Opens { late, delivered })
}

pub(super) fn sti_hlt_window(scratch: &mut Scratch) -> Result<StiHltWindow, Stopped> {
    scratch.start(&STI_HLT, |_| {})?;
    scratch.request_window(true);
    match scratch.run()? {
        Seen::Window => Ok(StiHltWindow::WindowFirst),
        Seen::Hlt if scratch.ready() => Ok(StiHltWindow::HltReady),
        Seen::Hlt => Ok(StiHltWindow::HltNotReady),
        other => Err(Stopped::Unexpected(format!("{other:?} at sti; hlt"))),
    }
}

pub(super) fn while_blocked(scratch: &mut Scratch) -> Result<BlockedInterrupt, Stopped> {
    scratch.start(&LOOP_HLT, |registers| registers.rcx = ROUNDS)?;
    scratch.handle(VECTOR)?;
    scratch.queue(VECTOR)?;
    match scratch.run()? {
        Seen::Hlt => Ok(BlockedInterrupt::Held),
        Seen::Out(VECTOR) => Ok(BlockedInterrupt::Delivered),
        Seen::FailEntry(reason) => Ok(BlockedInterrupt::EntryFails { reason }),
        other => Err(Stopped::Unexpected(format!(
            "{other:?} with interrupts off"
        ))),
    }
}
