//! All scenarios, one after the other.

use super::{Run, Scenario};
use crate::wait::Stuck;

/// From one target to all of them.
const ORDER: [Scenario; 7] = [
    Scenario::SelfIpi,
    Scenario::Ping,
    Scenario::Resched,
    Scenario::Nmi,
    Scenario::Broadcast,
    Scenario::Shootdown,
    Scenario::Storm,
];

/// Runs them; one that fails does not keep the others from running.
pub(super) fn run(run: &Run<'_>) -> Result<(), Stuck> {
    ORDER.into_iter().try_for_each(|scenario| scenario.run(run))
}
