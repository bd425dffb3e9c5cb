//! What a run is observed by: counters and durations for each vCPU, the guest's own phases, and
//! the report made of them.
//!
//! - [`Ledger`] is the book of one vCPU: its thread notes every exit and every step of an IPI.
//! - [`InFlight`] carries the id of an IPI from its sender to its target.
//! - [`MarkerPort`] takes the lines by which a guest says what it measures.
//! - [`report::Report`] puts them together when the run is over.
//!
//! # Words
//!
//! An *IPI* is one write to the ICR or to SELF IPI that sends something; its *targets* are the
//! vCPUs it resolves to. A delivery is *posted* when it is new in the target's mailbox and
//! *coalesced* when an equal one waits there, or in the APIC; *accepted* by the APIC or *refused*
//! for a stated reason; *injected* when it is handed to the processor; *ended* by the guest's EOI.
//! What was posted and is nowhere among these, nor waiting at the end, is *lost*.

mod asleep;
mod cause;
mod clock;
mod count;
mod counters;
mod event;
mod in_flight;
mod ipi_id;
mod kick;
mod kind;
mod latency;
mod ledger;
mod marker;
mod marker_port;
mod phases;
mod recorded;
mod refusal;
pub mod report;

use std::sync::{Arc, Mutex, PoisonError};

pub use asleep::Asleep;
pub use cause::Cause;
pub use clock::{Clock, Tsc};
pub use count::Count;
pub use counters::{Counters, Posts, Snapshot};
pub use event::{Access, Door, Event, Rest};
pub use in_flight::InFlight;
pub use ipi_id::{IpiId, Source};
pub use kick::Kick;
pub use kind::{Kind, Line};
pub use latency::Latency;
pub use ledger::{Durations, Ledger};
pub use marker::{Fields, LONGEST_LINE, Line as MarkerLine, LineBuffer, Malformed, Marker, Value};
pub use marker_port::MarkerPort;
pub use phases::Phases;
pub use recorded::{Derived, Failure, Phase, Recorded};
pub use refusal::Refusal;

use crate::trace::{Mark, MarkSender, Recorder};

/// All that is observed of one VM while it runs; shared by its threads.
pub struct Observer {
    clock: Clock,
    counters: Arc<[Arc<Counters>]>,
    device_counters: Arc<Counters>,
    in_flight: Arc<InFlight>,
    phases: Arc<Phases>,
    recorders: Mutex<Recorders>,
}

/// What the ledgers that are not made yet are to record to.
#[derive(Default)]
struct Recorders {
    vcpus: Vec<Option<Recorder>>,
    devices: Option<Recorder>,
}

impl Observer {
    /// An observer of `vcpus` vCPUs whose run starts at the clock's start.
    #[must_use]
    pub fn new(vcpus: usize, clock: Clock) -> Self {
        let counters: Arc<[_]> = (0..vcpus).map(|_| Arc::new(Counters::new(vcpus))).collect();
        Self {
            clock,
            device_counters: Arc::new(Counters::new(vcpus)),
            in_flight: Arc::new(InFlight::new(vcpus)),
            phases: Arc::new(Phases::new(Arc::clone(&counters))),
            counters,
            recorders: Mutex::default(),
        }
    }

    /// Keeps all events of the ledgers that are made from now on, and all marker lines.
    pub fn record_to(&self, vcpus: Vec<Recorder>, devices: Recorder, marks: MarkSender) {
        self.phases.record_to(marks);
        *self.recorders() = Recorders {
            vcpus: vcpus.into_iter().map(Some).collect(),
            devices: Some(devices),
        };
    }

    fn recorders(&self) -> std::sync::MutexGuard<'_, Recorders> {
        // Nothing panics while it is held.
        self.recorders
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The book of vCPU `vcpu`, for its thread; to be asked for once each.
    ///
    /// # Panics
    ///
    /// If the VM has no such vCPU.
    #[must_use]
    pub fn ledger(&self, vcpu: usize) -> Ledger {
        let counters = Arc::clone(&self.counters[vcpu]);
        let mut recorders = self.recorders();
        let recorder = recorders.vcpus.get_mut(vcpu).and_then(Option::take);
        Ledger::new(
            Source::Vcpu(vcpu),
            self.clock,
            counters,
            Arc::clone(&self.in_flight),
            recorder,
        )
    }

    /// The book of the devices that send interrupts; to be asked for once, and kept under the lock
    /// that orders their sends.
    #[must_use]
    pub fn device_ledger(&self) -> Ledger {
        let counters = Arc::clone(&self.device_counters);
        Ledger::new(
            Source::Device,
            self.clock,
            counters,
            Arc::clone(&self.in_flight),
            self.recorders().devices.take(),
        )
    }

    /// Takes note of a marker line that was recorded.
    pub fn mark(&self, mark: &Mark) {
        self.phases.replay(mark);
    }

    /// A marker port, one for each vCPU.
    #[must_use]
    pub fn marker_port(&self) -> MarkerPort {
        MarkerPort::new(Arc::clone(&self.phases))
    }

    /// The run's clock.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The counters of every vCPU, readable while it runs.
    #[must_use]
    pub fn counters(&self) -> &[Arc<Counters>] {
        &self.counters
    }

    /// The counters of the devices.
    #[must_use]
    pub fn device_counters(&self) -> &Counters {
        &self.device_counters
    }

    /// What the guest told so far.
    #[must_use]
    pub fn recorded(&self) -> Recorded {
        self.phases.recorded()
    }
}
