//! Who owns which interrupt vector.
//!
//! 0-31 are the processor's exceptions. The higher four bits are the priority class, so whatever
//! must get through a storm lies above it.

/// Non-maskable interrupt; not a vector of the APIC, but the number it has in the IDT.
pub(crate) const NMI: u8 = 2;

/// Undefined instruction: also how ring 3 returns to ring 0.
pub(crate) const UNDEFINED: u8 = 6;

/// First of the vectors for one target that the senders of a storm share out among themselves.
pub(crate) const STORM_UNICAST: u8 = 0x30;

/// First of the vectors for all other processors that the senders of a storm share out.
pub(crate) const STORM_BROADCAST: u8 = 0x90;

/// How many vectors each of the two storm ranges has.
pub(crate) const STORM_VECTORS: u8 = 0x40;

/// Tells a halted processor that it has a job.
pub(crate) const WAKE: u8 = 0xF0;

/// Round trips to one target.
pub(crate) const PING: u8 = 0xF1;

/// Flush the window from the TLB, then acknowledge.
pub(crate) const SHOOTDOWN: u8 = 0xF2;

/// All-but-self and all-including-self.
pub(crate) const BROADCAST: u8 = 0xF3;

/// IPIs to the sender itself.
pub(crate) const SELF: u8 = 0xF4;

/// Wake a halted processor and let it run on.
pub(crate) const RESCHEDULE: u8 = 0xF5;

/// The bootstrap processor has halted for too long.
pub(crate) const WATCHDOG: u8 = 0xFD;

/// The APIC found an error (LVT error entry).
pub(crate) const ERROR: u8 = 0xFE;

/// Spurious interrupt; has no in-service bit, so it takes no EOI.
pub(crate) const SPURIOUS: u8 = 0xFF;

/// Whether some part of the guest ever sends this vector.
pub(crate) const fn is_sent(vector: u8) -> bool {
    matches!(vector, WAKE..=RESCHEDULE)
        || in_storm(vector, STORM_UNICAST)
        || in_storm(vector, STORM_BROADCAST)
}

const fn in_storm(vector: u8, first: u8) -> bool {
    vector >= first && vector - first < STORM_VECTORS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_are_never_sent() {
        assert!((0..32).all(|vector| !is_sent(vector)));
    }

    #[test]
    fn what_the_apic_raises_itself_is_never_sent() {
        assert!(!is_sent(WATCHDOG) && !is_sent(ERROR) && !is_sent(SPURIOUS));
    }

    #[test]
    fn both_storm_ranges_end_before_the_next_owner() {
        assert!(is_sent(0x6F) && !is_sent(0x70));
        assert!(is_sent(0xCF) && !is_sent(0xD0));
    }
}
