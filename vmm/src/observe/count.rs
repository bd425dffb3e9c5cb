//! What is counted for each vCPU, and where in its block of counters.
//!
//! The sender's side is counted by delivery mode, the target's by [`Kind`]: a target that finds a
//! request bit cannot tell by which mode it came.
//!
//! Places are part of the trace's format: a new counter comes after all others.

use vapic::spec::message::DeliveryMode;

use super::cause::Cause;
use super::kick::Kick;
use super::kind::Kind;
use super::refusal::Refusal;

const MODES: usize = DeliveryMode::ALL.len();
const VECTORS: usize = 256;

/// One counter of a vCPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Exits by cause.
    Exits(Cause),
    /// Ticks outside the guest by cause of the exit; time parked is not among them.
    Outside(Cause),
    /// Times that the thread slept because its processor was halted or waited for a start-up.
    Parks,
    /// Ticks asleep.
    Parked,
    /// Kicks sent, by kind.
    Kicks(Kick),
    /// IPIs sent: ICR and SELF IPI writes that were not refused.
    Sent(DeliveryMode),
    /// Targets whose mailbox took the message as new.
    PostedNew(DeliveryMode),
    /// Targets whose mailbox held an equal message already.
    CoalescedAtPost(DeliveryMode),
    /// Deliveries drained and accepted by the APIC.
    Accepted(Kind),
    /// Deliveries drained whose request was set already.
    CoalescedAtAccept(Kind),
    /// Deliveries drained, or overtaken in the mailbox, that the target did not take.
    Refused(Kind, Refusal),
    /// Deliveries handed to the processor; INIT and start-up: carried out.
    Injected(Kind),
    /// Vectors ended by the guest's EOI.
    Ended,
    /// Vectors in service when INIT or a disable cleared the APIC: no EOI will end them.
    Abandoned,
    /// Deliveries whose id was not found, hence whose latency is unknown.
    Unpaired,
    /// Vectors injected whose sending is known.
    InjectionsDated,
    /// Ticks from sending to injection, summed over those.
    AgeAtInjection,
    /// Vectors ended whose sending is known.
    EndsDated,
    /// Ticks from sending to the EOI, summed over those.
    AgeAtEnd,
    /// Interrupts of local sources (timer, LVT) handed to the processor; no IPIs.
    LocalInjected,
    /// Interrupts of local sources ended.
    LocalEnded,
    /// IPIs sent by vector: fixed and lowest priority.
    SentVector(u8),
    /// IPIs injected by vector.
    InjectedVector(u8),
    /// IPIs ended by vector.
    EndedVector(u8),
    /// Interrupts of local sources injected by vector.
    LocalVector(u8),
}

const OUTSIDE: usize = Cause::COUNT;
const PARKS: usize = OUTSIDE + Cause::COUNT;
const PARKED: usize = PARKS + 1;
const KICKS: usize = PARKED + 1;
const SENT: usize = KICKS + Kick::COUNT;
const POSTED_NEW: usize = SENT + MODES;
const COALESCED_AT_POST: usize = POSTED_NEW + MODES;
const ACCEPTED: usize = COALESCED_AT_POST + MODES;
const COALESCED_AT_ACCEPT: usize = ACCEPTED + Kind::COUNT;
const REFUSED: usize = COALESCED_AT_ACCEPT + Kind::COUNT;
const INJECTED: usize = REFUSED + Kind::COUNT * Refusal::COUNT;
const ENDED: usize = INJECTED + Kind::COUNT;
const ABANDONED: usize = ENDED + 1;
const UNPAIRED: usize = ABANDONED + 1;
const LOCAL_INJECTED: usize = UNPAIRED + 1;
const LOCAL_ENDED: usize = LOCAL_INJECTED + 1;
const SENT_VECTOR: usize = LOCAL_ENDED + 1;
const INJECTED_VECTOR: usize = SENT_VECTOR + VECTORS;
const ENDED_VECTOR: usize = INJECTED_VECTOR + VECTORS;
const LOCAL_VECTOR: usize = ENDED_VECTOR + VECTORS;
const INJECTIONS_DATED: usize = LOCAL_VECTOR + VECTORS;
const AGE_AT_INJECTION: usize = INJECTIONS_DATED + 1;
const ENDS_DATED: usize = AGE_AT_INJECTION + 1;
const AGE_AT_END: usize = ENDS_DATED + 1;

impl Count {
    /// Number of counters.
    pub const TOTAL: usize = AGE_AT_END + 1;

    /// The counter's place, below [`Self::TOTAL`].
    #[must_use]
    #[inline]
    pub const fn index(self) -> usize {
        match self {
            Self::Exits(cause) => cause.index(),
            Self::Outside(cause) => OUTSIDE + cause.index(),
            Self::Parks => PARKS,
            Self::Parked => PARKED,
            Self::Kicks(kick) => KICKS + kick.index(),
            Self::Sent(mode) => SENT + mode as usize,
            Self::PostedNew(mode) => POSTED_NEW + mode as usize,
            Self::CoalescedAtPost(mode) => COALESCED_AT_POST + mode as usize,
            Self::Accepted(kind) => ACCEPTED + kind.index(),
            Self::CoalescedAtAccept(kind) => COALESCED_AT_ACCEPT + kind.index(),
            Self::Refused(kind, refusal) => {
                REFUSED + kind.index() * Refusal::COUNT + refusal.index()
            }
            Self::Injected(kind) => INJECTED + kind.index(),
            Self::Ended => ENDED,
            Self::Abandoned => ABANDONED,
            Self::Unpaired => UNPAIRED,
            Self::InjectionsDated => INJECTIONS_DATED,
            Self::AgeAtInjection => AGE_AT_INJECTION,
            Self::EndsDated => ENDS_DATED,
            Self::AgeAtEnd => AGE_AT_END,
            Self::LocalInjected => LOCAL_INJECTED,
            Self::LocalEnded => LOCAL_ENDED,
            Self::SentVector(vector) => SENT_VECTOR + vector as usize,
            Self::InjectedVector(vector) => INJECTED_VECTOR + vector as usize,
            Self::EndedVector(vector) => ENDED_VECTOR + vector as usize,
            Self::LocalVector(vector) => LOCAL_VECTOR + vector as usize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_counter_has_a_place_of_its_own() {
        let mut places = Vec::new();
        let mut add = |count: Count| places.push(count.index());
        Cause::ALL
            .into_iter()
            .for_each(|cause| add(Count::Exits(cause)));
        Cause::ALL
            .into_iter()
            .for_each(|cause| add(Count::Outside(cause)));
        add(Count::Parks);
        add(Count::Parked);
        Kick::ALL
            .into_iter()
            .for_each(|kick| add(Count::Kicks(kick)));
        DeliveryMode::ALL
            .into_iter()
            .for_each(|mode| add(Count::Sent(mode)));
        DeliveryMode::ALL
            .into_iter()
            .for_each(|mode| add(Count::PostedNew(mode)));
        DeliveryMode::ALL
            .into_iter()
            .for_each(|mode| add(Count::CoalescedAtPost(mode)));
        Kind::ALL
            .into_iter()
            .for_each(|kind| add(Count::Accepted(kind)));
        Kind::ALL
            .into_iter()
            .for_each(|kind| add(Count::CoalescedAtAccept(kind)));
        for kind in Kind::ALL {
            Refusal::ALL
                .into_iter()
                .for_each(|refusal| add(Count::Refused(kind, refusal)));
        }
        Kind::ALL
            .into_iter()
            .for_each(|kind| add(Count::Injected(kind)));
        add(Count::Ended);
        add(Count::Abandoned);
        add(Count::Unpaired);
        add(Count::LocalInjected);
        add(Count::LocalEnded);
        (0..=255).for_each(|vector| add(Count::SentVector(vector)));
        (0..=255).for_each(|vector| add(Count::InjectedVector(vector)));
        (0..=255).for_each(|vector| add(Count::EndedVector(vector)));
        (0..=255).for_each(|vector| add(Count::LocalVector(vector)));
        add(Count::InjectionsDated);
        add(Count::AgeAtInjection);
        add(Count::EndsDated);
        add(Count::AgeAtEnd);
        assert!(places.into_iter().eq(0..Count::TOTAL));
    }
}
