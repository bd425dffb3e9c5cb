//! Two snapshots for tests: four vCPUs, of which the first two send, a quarter of a second apart.

use crate::control::About;
use crate::control::snapshot::{Exits, SCHEMA, Snapshot, Times, Vcpu};
use crate::observe::{Cause, Kind};

/// An earlier and a later one.
pub(super) fn snapshots() -> [Snapshot; 2] {
    let earlier = Snapshot {
        schema: SCHEMA,
        about: About::of_test(),
        ipis_observed: true,
        uptime_ns: 61_000_000_000,
        vcpus: (0..4).map(|_| vcpu()).collect(),
        matrix: vec![vec![1_000; 4]; 4],
        from_devices: vec![0; 4],
    };
    let mut later = earlier.clone();
    later.uptime_ns += 250_000_000;
    for sender in &mut later.vcpus[..2] {
        add(&mut sender.sent, Kind::Vector, 2_500);
        add(&mut sender.sent, Kind::Init, 1);
        add(&mut sender.sent, Kind::StartUp, 1);
        exits(sender, Cause::ApicIcr, 2_500, 30_000);
        exits(sender, Cause::ApicEoi, 2_500, 2_000);
        add(&mut sender.injected, Kind::Vector, 2_500);
        sender.asleep_ns += 125_000_000;
        times(&mut sender.send_to_inject, 2_500, 21_500);
        times(&mut sender.send_to_end, 2_500, 61_000);
    }
    add(&mut later.vcpus[0].sent, Kind::Nmi, 5);
    add(&mut later.vcpus[2].injected, Kind::Nmi, 5);
    exits(&mut later.vcpus[2], Cause::Kick, 25, 4_000);
    later.vcpus[3].asleep = true;
    later.vcpus[3].asleep_ns += 250_000_000;
    later.matrix[0][1] += 2_000;
    later.matrix[0][2] += 505;
    later.matrix[1][0] += 2_500;
    [earlier, later]
}

fn vcpu() -> Vcpu {
    let zero = |name: &str| (name.to_owned(), 1_000);
    Vcpu {
        sent: Kind::ALL.iter().map(|kind| zero(kind.name())).collect(),
        injected: Kind::ALL.iter().map(|kind| zero(kind.name())).collect(),
        exits: Cause::ALL
            .iter()
            .map(|cause| (cause.name().to_owned(), Exits::default()))
            .collect(),
        ..Vcpu::default()
    }
}

fn add(counts: &mut std::collections::BTreeMap<String, u64>, kind: Kind, count: u64) {
    *counts.entry(kind.name().to_owned()).or_default() += count;
}

fn exits(vcpu: &mut Vcpu, cause: Cause, count: u64, each_ns: u64) {
    let exits = vcpu.exits.entry(cause.name().to_owned()).or_default();
    exits.count += count;
    exits.outside_ns += count * each_ns;
}

fn times(times: &mut Times, count: u64, each_ns: u64) {
    times.count += count;
    times.total_ns += count * each_ns;
}
