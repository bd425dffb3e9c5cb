//! What a trace tells beyond the counts of a report: where the time of IPIs goes.
//!
//! The stages of a delivery follow each other, so that they add up to its whole life:
//!
//! | stage | from | to |
//! |---|---|---|
//! | decode | T1, the sender's exit | T2, the message is known |
//! | post | T2 | T3, it is in the target's mailbox; earlier targets of the same IPI are in it |
//! | kick | T3 | T4, the target has been called |
//! | wait | T4 | the target's thread finds it |
//! | inject | that | T5, handed to the processor |
//! | end | T5 | T6, the guest's EOI |

mod fates;
mod groups;
mod slowest;
mod stages;
mod table;
mod traffic;

use serde::Serialize;

pub use fates::FateCount;
pub use groups::GroupCost;
pub use slowest::{Story, StoryTarget};
pub use stages::{NAMES as STAGE_NAMES, StageSpread, Stages};
pub use traffic::Traffic;

use super::{Trace, TraceError, lives};

#[cfg(test)]
mod tests;

/// How much of it is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Slowest IPIs whose story is told.
    pub slowest: usize,
}

/// Where the time of IPIs goes.
#[derive(Debug, Serialize)]
pub struct Analysis {
    /// The stages of all deliveries that were injected.
    pub stages: Stages,
    /// What became of deliveries, and on which vectors.
    pub fates: Vec<FateCount>,
    /// Who sends, and who is interrupted: those who do it most come first.
    pub senders: Vec<Traffic>,
    /// Who is interrupted.
    pub victims: Vec<Traffic>,
    /// Shootdowns: what they cost, by the number of targets.
    pub shootdowns: Vec<GroupCost>,
    /// The slowest IPIs.
    pub slowest: Vec<Story>,
}

impl Analysis {
    /// Looks at every IPI of a trace.
    ///
    /// # Errors
    ///
    /// A damaged trace.
    pub fn of(trace: &Trace, limits: Limits) -> Result<Self, TraceError> {
        let clock = trace.header.clock.clock();
        let lives = lives(trace)?;
        Ok(Self {
            stages: Stages::of(&lives, &clock),
            fates: fates::count(&lives),
            senders: traffic::senders(&lives),
            victims: traffic::victims(&lives, &clock),
            shootdowns: groups::by_targets(&lives, &clock),
            slowest: slowest::stories(&lives, &clock, limits.slowest),
        })
    }
}
