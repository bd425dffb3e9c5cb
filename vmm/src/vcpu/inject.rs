//! What to hand to KVM before the next entry: a pure decision.

/// What is known before an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// KVM said at the last exit that an interrupt can be queued, interrupts are on, and neither
    /// has been used up or made stale since.
    pub open: bool,
    /// A vector is above the processor priority.
    pub vector: bool,
    /// An 8259 asks for the processor.
    pub external: bool,
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
    /// Acknowledge the 8259's interrupt and queue its vector.
    pub external: bool,
    /// Ask for an exit as soon as an interrupt can be taken.
    pub window: bool,
}

impl Plan {
    /// The plan for the next entry.
    ///
    /// KVM delivers a queued interrupt before a pending NMI, against the architecture's order, so
    /// an NMI holds the interrupt back for one round. The window is asked for only on behalf of a
    /// vector above the processor priority: a vector held by the TPR would make it exit at once
    /// and for ever. An external interrupt goes past the APIC's priorities, hence first.
    #[must_use]
    pub const fn for_entry(readiness: Readiness) -> Self {
        let Readiness {
            open,
            vector,
            external,
            nmi,
        } = readiness;
        let free = open && !nmi;
        let interrupt = vector && free && !external;
        Self {
            nmi,
            interrupt,
            external: external && free,
            window: (vector || external) && !free || vector && external,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing, with `nmi` or not, and a window or not.
    const fn held(nmi: bool, window: bool) -> Plan {
        Plan {
            nmi,
            interrupt: false,
            external: false,
            window,
        }
    }

    #[test]
    fn every_case() {
        let interrupt = Plan {
            interrupt: true,
            ..held(false, false)
        };
        let external = |window| Plan {
            external: true,
            ..held(false, window)
        };
        // Open, vector, external, NMI.
        for (readiness, expected) in [
            ([false, false, false, false], held(false, false)),
            ([false, true, false, false], held(false, true)),
            ([true, false, false, false], held(false, false)),
            ([true, true, false, false], interrupt),
            ([true, true, false, true], held(true, true)),
            ([false, true, false, true], held(true, true)),
            ([true, false, false, true], held(true, false)),
            ([true, false, true, false], external(false)),
            ([true, true, true, false], external(true)),
            ([false, false, true, false], held(false, true)),
            ([true, false, true, true], held(true, true)),
        ] {
            let [open, vector, external, nmi] = readiness;
            let plan = Plan::for_entry(Readiness {
                open,
                vector,
                external,
                nmi,
            });
            assert_eq!(plan, expected, "{readiness:?}");
        }
    }
}
