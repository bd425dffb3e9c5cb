//! What the counters say at one moment, as `GET /snapshot` gives it and `vapic top` takes it.
//!
//! Units are in the names. A name that has been released keeps its meaning; a change of meaning is
//! a new [`SCHEMA`]. All counters only grow as long as a VM runs, and each was read by itself: two
//! that belong together may differ by what happened between the two reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use vapic::spec::message::DeliveryMode;

use super::About;
use crate::observe::report::ApicKind;
use crate::observe::{Cause, Clock, Count, Counters, Kick, Kind, Observer, Refusal, Tsc};

/// Number of the JSON's schema.
pub const SCHEMA: u32 = 1;

/// A VM at one moment of its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What runs.
    pub about: About,
    /// Whether IPIs are seen at all: the kernel's APIC delivers them without an exit.
    pub ipis_observed: bool,
    /// Since the VM was made.
    pub uptime_ns: u64,
    /// Each vCPU, by its number.
    pub vcpus: Vec<Vcpu>,
    /// Deliveries from each vCPU (row) to each (column), new in a mailbox or not.
    pub matrix: Vec<Vec<u64>>,
    /// Deliveries from devices to each vCPU.
    pub from_devices: Vec<u64>,
}

/// One vCPU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vcpu {
    /// IPIs sent, by kind.
    pub sent: BTreeMap<String, u64>,
    /// Deliveries handed to the processor, by kind.
    pub injected: BTreeMap<String, u64>,
    /// Deliveries that became one with an equal one, in a mailbox or in the APIC.
    pub coalesced: u64,
    /// Deliveries not taken.
    pub refused: u64,
    /// IPIs ended by the guest's EOI.
    pub ended: u64,
    /// Interrupts of local sources handed to the processor; no IPIs.
    pub local_injected: u64,
    /// Exits by cause.
    pub exits: BTreeMap<String, Exits>,
    /// Kicks sent, by kind.
    pub kicks: BTreeMap<String, u64>,
    /// Time asleep, halted or waiting for a start-up, a sleep under way included.
    pub asleep_ns: u64,
    /// Whether it sleeps now.
    pub asleep: bool,
    /// From sending to injection, for vectors.
    pub send_to_inject: Times,
    /// From sending to the EOI.
    pub send_to_end: Times,
}

/// Exits of one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exits {
    /// How many.
    pub count: u64,
    /// Time outside the guest, sleep left out.
    pub outside_ns: u64,
}

/// How long something took, all times together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// How many times.
    pub count: u64,
    /// The sum.
    pub total_ns: u64,
}

impl Snapshot {
    /// The counters as they are; reads them and nothing else, so that no vCPU notices.
    #[must_use]
    pub fn take(about: &About, observer: &Observer) -> Self {
        let counters = observer.counters();
        let clock = observer.clock();
        let row = |counters: &Counters| -> Vec<u64> {
            let row = counters.row(observer.counters().len());
            row.iter()
                .map(|posts| posts.new + posts.coalesced)
                .collect()
        };
        Self {
            schema: SCHEMA,
            about: about.clone(),
            ipis_observed: about.apic == ApicKind::Userspace,
            uptime_ns: clock.time(Tsc::now()),
            vcpus: counters.iter().map(|one| Vcpu::take(one, &clock)).collect(),
            matrix: counters.iter().map(|one| row(one)).collect(),
            from_devices: row(observer.device_counters()),
        }
    }

    /// The snapshot as JSON.
    ///
    /// # Panics
    ///
    /// Never: every map has string keys.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).expect("the snapshot has string keys only");
        json.push('\n');
        json
    }
}

impl Vcpu {
    fn take(counters: &Counters, clock: &Clock) -> Self {
        let asleep = counters.asleep();
        let asleep_ticks = asleep.ticks(clock.elapsed(Tsc::now()));
        let read = counters.snapshot();
        let sent = |kind: Kind| {
            let modes = DeliveryMode::ALL.into_iter();
            read.sum(
                modes
                    .filter(|&mode| Kind::of(mode) == kind)
                    .map(Count::Sent),
            )
        };
        let kinds = |of: &dyn Fn(Kind) -> u64| {
            let kinds = Kind::ALL.into_iter();
            kinds
                .map(|kind| (kind.name().to_owned(), of(kind)))
                .collect()
        };
        let exits = |cause| Exits {
            count: read.get(Count::Exits(cause)),
            outside_ns: clock.nanoseconds(read.get(Count::Outside(cause))),
        };
        let times = |count, sum| Times {
            count: read.get(count),
            total_ns: clock.nanoseconds(read.get(sum)),
        };
        let refused = |kind| Refusal::ALL.map(|refusal| Count::Refused(kind, refusal));
        Self {
            sent: kinds(&sent),
            injected: kinds(&|kind| read.get(Count::Injected(kind))),
            coalesced: read.sum(DeliveryMode::ALL.map(Count::CoalescedAtPost))
                + read.sum(Kind::ALL.map(Count::CoalescedAtAccept)),
            refused: read.sum(Kind::ALL.into_iter().flat_map(refused)),
            ended: read.get(Count::Ended),
            local_injected: read.get(Count::LocalInjected),
            exits: Cause::ALL
                .into_iter()
                .map(|cause| (cause.name().to_owned(), exits(cause)))
                .collect(),
            kicks: Kick::ALL
                .into_iter()
                .map(|kick| (kick.name().to_owned(), read.get(Count::Kicks(kick))))
                .collect(),
            asleep_ns: clock.nanoseconds(asleep_ticks),
            asleep: asleep.now(),
            send_to_inject: times(Count::InjectionsDated, Count::AgeAtInjection),
            send_to_end: times(Count::EndsDated, Count::AgeAtEnd),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counters_come_through_json_unchanged() {
        // 1 GHz, so that a tick is a nanosecond.
        let observer = Observer::new(2, Clock::new(Tsc::now(), 1_000_000));
        let [zero, one] = [0, 1].map(|vcpu: usize| &observer.counters()[vcpu]);
        zero.add(Count::Sent(DeliveryMode::Fixed), 3);
        zero.add(Count::Sent(DeliveryMode::LowestPriority), 2);
        zero.add(Count::Sent(DeliveryMode::Nmi), 1);
        zero.post(1, true);
        zero.post(1, false);
        one.add(Count::Exits(Cause::ApicEoi), 7);
        one.add(Count::Outside(Cause::ApicEoi), 7_000);
        one.add(Count::Injected(Kind::Vector), 4);
        one.add(Count::InjectionsDated, 4);
        one.add(Count::AgeAtInjection, 400);
        one.asleep().begin(0);
        let taken = Snapshot::take(&About::of_test(), &observer);
        let read: Snapshot = serde_json::from_str(&taken.to_json()).unwrap();
        assert_eq!(read, taken);
        assert_eq!((read.schema, read.vcpus.len()), (SCHEMA, 2));
        assert!(read.ipis_observed && read.uptime_ns > 0);
        assert_eq!(
            (read.vcpus[0].sent["vector"], read.vcpus[0].sent["nmi"]),
            (5, 1)
        );
        assert_eq!(read.matrix, [[0, 2], [0, 0]]);
        let Vcpu {
            exits,
            injected,
            asleep,
            asleep_ns,
            send_to_inject,
            ..
        } = &read.vcpus[1];
        let eoi = Exits {
            count: 7,
            outside_ns: 7_000,
        };
        assert_eq!((exits["apic_eoi"], injected["vector"]), (eoi, 4));
        assert!(*asleep && *asleep_ns > 0);
        assert_eq!((send_to_inject.count, send_to_inject.total_ns), (4, 400));
    }
}
