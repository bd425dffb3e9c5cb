//! What to hand to KVM before the next entry: a pure decision.

/// What is known before an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// KVM said at the last exit that an interrupt can be queued, interrupts are on, and neither
    /// has been used up or made stale since.
    pub open: bool,
    /// A vector is above the processor priority.
    pub vector: bool,
    /// An NMI is latched.
    pub nmi: bool,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Hand over one NMI.
    pub nmi: bool,
    /// Acknowledge the vector and queue it.
    pub interrupt: bool,
    /// Ask for an exit as soon as an interrupt can be taken.
    pub window: bool,
}

impl Plan {
    /// The plan for the next entry.
    ///
    /// KVM delivers a queued interrupt before a pending NMI, against the architecture's order, so
    /// an NMI holds the interrupt back for one round. The window is asked for only on behalf of a
    /// vector above the processor priority: a vector held by the TPR would make it exit at once
    /// and for ever.
    #[must_use]
    pub const fn for_entry(readiness: Readiness) -> Self {
        let Readiness { open, vector, nmi } = readiness;
        let interrupt = vector && open && !nmi;
        Self {
            nmi,
            interrupt,
            window: vector && !interrupt,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case() {
        for (open, vector, nmi, expected) in [
            (false, false, false, (false, false, false)),
            (false, true, false, (false, false, true)),
            (true, false, false, (false, false, false)),
            (true, true, false, (false, true, false)),
            (true, true, true, (true, false, true)),
            (false, true, true, (true, false, true)),
            (true, false, true, (true, false, false)),
        ] {
            let plan = Plan::for_entry(Readiness { open, vector, nmi });
            assert_eq!((plan.nmi, plan.interrupt, plan.window), expected);
        }
    }
}
