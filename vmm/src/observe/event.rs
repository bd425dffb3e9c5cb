//! One thing that happened to an IPI or to a vCPU, as plain data.
//!
//! A vCPU's thread makes each event once. Its [`Ledger`](super::Ledger) books it at once, and
//! [`crate::trace`] may keep it: a ledger that books the events of a trace again comes to the same
//! account. Events from [`Event::Access`] on are the inputs of the vCPU's APIC; they change no account
//! and exist only while a trace is recorded.

use vapic::spec::message::{DeliveryMode, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, GeneralProtection, Posted};

use super::cause::Cause;
use super::clock::Tsc;
use super::ipi_id::IpiId;
use super::kick::Kick;
use super::kind::Line;

/// Why a vCPU's thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Its processor is halted.
    Halted,
    /// Its processor waits for a start-up IPI.
    WaitingForStartUp,
}

/// How a register is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// By this offset of the APIC page, so many bytes wide.
    Page(u32, u8),
    /// By this MSR.
    Msr(u32),
}

/// An access of the guest to its APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// Where.
    pub door: Door,
    /// A write.
    pub write: bool,
    /// What was written, or what the read gave; little-endian, bytes beyond the width are 0.
    pub value: u64,
    /// It was answered with #GP.
    pub fault: bool,
    /// For a write of IA32_TSC_DEADLINE: when the guest's TSC comes to the value, in the APIC's ns.
    pub due: u64,
}

impl Access {
    /// A read, and what it gave.
    #[must_use]
    pub fn read(door: Door, result: Result<u64, GeneralProtection>) -> Self {
        Self {
            door,
            write: false,
            value: result.unwrap_or(0),
            fault: result.is_err(),
            due: 0,
        }
    }

    /// A write of `value`.
    #[must_use]
    pub const fn write(door: Door, value: u64, fault: bool) -> Self {
        Self {
            door,
            write: true,
            value,
            fault,
            due: 0,
        }
    }
}

/// One event; the numbered ones are the points T1 to T6 on the way of an IPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// T1: `KVM_RUN` returned, and is entered again.
    Exit {
        /// Why it returned.
        cause: Cause,
        /// When it returned.
        returned: Tsc,
        /// When it is entered again.
        entered: Tsc,
    },
    /// The thread slept since a moment, for so many ticks.
    Rested {
        /// Why.
        rest: Rest,
        /// From when.
        since: Tsc,
        /// How long.
        ticks: u64,
    },
    /// T2: an interrupt message has been decoded and goes out; its id has the time of its exit.
    Sent {
        /// Its id.
        id: IpiId,
        /// What it is.
        message: InterruptMessage,
    },
    /// T3: it has been posted to a target.
    Posted {
        /// Its id.
        id: IpiId,
        /// The vCPU.
        target: usize,
        /// How.
        delivery: DeliveryMode,
        /// On which vector.
        vector: u8,
        /// Whether it was new there.
        outcome: Posted,
    },
    /// T4: the target has been woken.
    Kicked {
        /// For which IPI.
        id: IpiId,
        /// The vCPU.
        target: usize,
        /// How.
        kick: Kick,
    },
    /// A vector has been taken from the mailbox.
    Drained {
        /// The vector.
        vector: u8,
        /// How it came.
        trigger: Trigger,
        /// What became of it.
        acceptance: Acceptance,
        /// Whose it is, if that is known.
        id: Option<IpiId>,
        /// The moment of the drain.
        at: Tsc,
    },
    /// What is no vector has been taken from the mailbox.
    Arrived {
        /// What.
        arrivals: Arrivals,
        /// The moment of the drain.
        at: Tsc,
    },
    /// An INIT or a start-up has been carried out, or let go.
    CarriedOut {
        /// Which.
        line: Line,
        /// Whose it is, if that is known.
        id: Option<IpiId>,
    },
    /// A global disable has cleared the APIC.
    Reset,
    /// T5: a vector has been handed to the processor.
    Injected {
        /// The vector.
        vector: u8,
        /// Whose it is, if it is an IPI's and that is known.
        id: Option<IpiId>,
        /// When.
        at: Tsc,
        /// The moment up to which the APIC's time had been let pass.
        turn: Tsc,
    },
    /// T5: an NMI has been handed to the processor.
    NmiInjected {
        /// Whose it is, if that is known.
        id: Option<IpiId>,
        /// When.
        at: Tsc,
        /// The moment up to which the APIC's time had been let pass.
        turn: Tsc,
    },
    /// A vector of the 8259 has been handed to the processor.
    ExternalInjected {
        /// The vector.
        vector: u8,
        /// The moment up to which the APIC's time had been let pass.
        turn: Tsc,
    },
    /// T6: the guest has ended a vector.
    Ended {
        /// The vector.
        vector: u8,
        /// Whose it was, if it was an IPI's and that is known.
        id: Option<IpiId>,
        /// The end is broadcast to the IOAPICs.
        level: bool,
        /// When.
        at: Tsc,
    },
    /// The guest reads or writes a register of its APIC.
    Access {
        /// How.
        access: Access,
        /// When.
        at: Tsc,
    },
    /// The guest has moved this to CR8.
    TaskPriority(u8),
    /// The 8259's output, as LINT0 sees it.
    Lint0(bool),
}

impl Event {
    /// When it happened, if it says so.
    #[must_use]
    #[inline]
    pub const fn at(&self) -> Option<Tsc> {
        match *self {
            Self::Exit { returned: at, .. }
            | Self::Rested { since: at, .. }
            | Self::Drained { at, .. }
            | Self::Arrived { at, .. }
            | Self::Injected { at, .. }
            | Self::NmiInjected { at, .. }
            | Self::Ended { at, .. }
            | Self::Access { at, .. } => Some(at),
            Self::Sent { .. }
            | Self::Posted { .. }
            | Self::Kicked { .. }
            | Self::CarriedOut { .. }
            | Self::Reset
            | Self::ExternalInjected { .. }
            | Self::TaskPriority(_)
            | Self::Lint0(_) => None,
        }
    }

    /// The name in a table of events.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Exit { .. } => "exit",
            Self::Rested { .. } => "rested",
            Self::Sent { .. } => "sent",
            Self::Posted { .. } => "posted",
            Self::Kicked { .. } => "kicked",
            Self::Drained { .. } => "drained",
            Self::Arrived { .. } => "arrived",
            Self::CarriedOut { .. } => "carried_out",
            Self::Reset => "reset",
            Self::Injected { .. } => "injected",
            Self::NmiInjected { .. } => "nmi_injected",
            Self::ExternalInjected { .. } => "external_injected",
            Self::Ended { .. } => "ended",
            Self::Access { .. } => "access",
            Self::TaskPriority(_) => "task_priority",
            Self::Lint0(_) => "lint0",
        }
    }
}
