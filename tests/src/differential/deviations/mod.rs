//! Where KVM's in-kernel Local APIC and ours differ, each with its reason. What is not in this list
//! fails the test.
//!
//! An entry recognises its accesses by the operation and the state before it. An answer that
//! differs can be tolerated, as narrowly as it is known. An access after which the two would be in
//! different states is left out of scripts, or followed by accesses that bring them together again.
//! Each entry has a script that shows it on this host's kernel, so that the list cannot rot.
//!
//! [`DEVIATIONS`] is the list. [`LIMITS`] is what the test leaves out for its own reasons, and
//! [`NOT_IN_PAGE`] what the pages at the end do not tell.

mod evidence;
pub(super) mod limits;
mod list;
mod page;
mod registers;
mod routing;

use super::model::Model;
use super::operation::{Operation, Outcome};

pub use limits::{LIMITS, Limit};
pub use list::DEVIATIONS;
pub(super) use list::IN_SERVICE;
pub(super) use page::is_in_page;
pub use page::{NOT_IN_PAGE, NotInPage};

/// Whose behaviour makes the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// KVM's in-kernel APIC is not as the manual says.
    Kvm,
    /// KVM does not tell user space what it would have to know.
    UserSpace,
    /// The manual leaves it open.
    Nobody,
}

/// One difference that is known.
#[derive(Clone, Copy, Debug)]
pub struct Deviation {
    /// A name, for reports.
    pub name: &'static str,
    /// Whose it is.
    pub whose: Whose,
    /// What the manual asks, and what is done instead.
    pub reason: &'static str,
    /// Where that is written.
    pub source: &'static str,
    /// Not every host's KVM has it: it counts only where its evidence shows it.
    pub some_hosts: bool,
    /// Whether the difference may be these two answers, ours and KVM's.
    pub tolerated: Option<Tolerated>,
    /// Whether a script must not have the operation in this state.
    pub avoided: Option<fn(&Model, &Operation) -> bool>,
    /// What must follow the operation for the states to be alike again.
    pub mended: Option<fn(&Model, &Operation) -> Vec<Operation>>,
    /// A script of two processors whose last operation shows the difference.
    pub evidence: fn() -> Vec<Operation>,
}

/// A judgement on an operation in a state, our answer, and KVM's.
pub type Tolerated = fn(&Model, &Operation, &Outcome, &Outcome) -> bool;

impl Deviation {
    const fn new(
        name: &'static str,
        whose: Whose,
        [reason, source]: [&'static str; 2],
        evidence: fn() -> Vec<Operation>,
    ) -> Self {
        Self {
            name,
            whose,
            reason,
            source,
            some_hosts: false,
            tolerated: None,
            avoided: None,
            mended: None,
            evidence,
        }
    }

    const fn on_some_hosts(mut self) -> Self {
        self.some_hosts = true;
        self
    }

    const fn tolerated(mut self, tolerated: Tolerated) -> Self {
        self.tolerated = Some(tolerated);
        self
    }

    const fn avoided(mut self, avoided: fn(&Model, &Operation) -> bool) -> Self {
        self.avoided = Some(avoided);
        self
    }

    const fn mended(mut self, mended: fn(&Model, &Operation) -> Vec<Operation>) -> Self {
        self.mended = Some(mended);
        self
    }

    /// Whether it explains that the answers differ.
    #[must_use]
    pub fn explains(
        &self,
        model: &Model,
        operation: &Operation,
        ours: &Outcome,
        kernel: &Outcome,
    ) -> bool {
        self.tolerated
            .is_some_and(|tolerated| tolerated(model, operation, ours, kernel))
    }
}

/// Whether a script must not have this operation in this state.
#[must_use]
pub fn avoided(model: &Model, operation: &Operation) -> bool {
    let deviations = DEVIATIONS.iter().filter_map(|deviation| deviation.avoided);
    let limits = LIMITS.iter().filter_map(|limit| limit.avoided);
    deviations
        .chain(limits)
        .any(|avoided| avoided(model, operation))
}

/// What must follow an operation that is about to be executed.
#[must_use]
pub fn mended(model: &Model, operation: &Operation) -> Vec<Operation> {
    let deviations = DEVIATIONS.iter().filter_map(|deviation| deviation.mended);
    let limits = LIMITS.iter().filter_map(|limit| limit.mended);
    deviations
        .chain(limits)
        .flat_map(|mended| mended(model, operation))
        .collect()
}
