use serde_json::Value as Json;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Posted};

use super::*;
use crate::observe::{Cause, Clock, Kick, Kind, Rest, Tsc};

pub(crate) fn run(cpus: usize) -> Run {
    Run {
        version: "0.1.0".to_owned(),
        apic: ApicKind::Userspace,
        apic_mode: "x2apic".to_owned(),
        scenario: "shootdown".to_owned(),
        kernel: String::new(),
        cpus,
        memory_bytes: 128 << 20,
        tsc_khz: 1_000_000,
        duration_ns: 1_500_000_000,
        host: Host {
            cpu_model: "Example CPU".to_owned(),
            cpus: 2,
            kernel: "6.18.0".to_owned(),
            virtualized: true,
        },
        trace: None,
        ending: Ending::Guest,
        partial: false,
    }
}

/// A machine that exists in the books only; one tick is one nanosecond.
pub(super) struct Machine {
    pub(super) observer: Observer,
    pub(super) ledgers: Vec<Ledger>,
    port: crate::observe::MarkerPort,
    now: u64,
}

impl Machine {
    pub(super) fn new(vcpus: usize) -> Self {
        let observer = Observer::new(vcpus, Clock::new(Tsc(0), 1_000_000));
        Self {
            ledgers: (0..vcpus).map(|vcpu| observer.ledger(vcpu)).collect(),
            port: observer.marker_port(),
            observer,
            now: 1_000,
        }
    }

    pub(super) fn marker(&mut self, line: &str) {
        self.port.write(format!("{line}\n").as_bytes());
    }

    fn exit(&mut self, vcpu: usize, cause: Cause, duration: u64) {
        self.ledgers[vcpu].exit(cause, Tsc(self.now), Tsc(self.now + duration));
        self.now += duration;
    }

    fn send(&mut self, from: usize, to: usize, delivery: DeliveryMode, outcome: Posted) {
        let message = InterruptMessage {
            destination: Destination::Physical(1),
            delivery,
            vector: 0x40,
            trigger: Trigger::Edge,
        };
        let ledger = &mut self.ledgers[from];
        let id = ledger.sent(&message, Tsc(self.now));
        ledger.sending(to, &message, id);
        ledger.posted(to, &message, id, outcome);
        ledger.kicked(to, id, Kick::Signal);
        self.exit(from, Cause::ApicIcr, 9_000);
    }

    fn receive(&mut self, vcpu: usize) {
        self.ledgers[vcpu].drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
        self.ledgers[vcpu].injected(0x40, Tsc(self.now), Tsc(self.now));
        self.exit(vcpu, Cause::Kick, 4_000);
        self.now += 2_000;
        self.ledgers[vcpu].ended(0x40, false, Tsc(self.now));
        self.exit(vcpu, Cause::ApicEoi, 8_000);
    }

    /// One IPI on its whole way.
    pub(super) fn ipi(&mut self, from: usize, to: usize) {
        self.send(from, to, DeliveryMode::Fixed, Posted::New);
        self.receive(to);
    }

    pub(super) fn report(&self, run: Run, waiting: &[Waiting]) -> Report {
        Report::collect(run, &self.observer, &self.ledgers, waiting)
    }
}

/// A run in which everything that is counted occurs, and nothing is lost.
pub(super) fn busy(vcpus: usize) -> Machine {
    let mut machine = Machine::new(vcpus);
    let [first, last] = [0, vcpus - 1];
    machine.send(first, last, DeliveryMode::Init, Posted::New);
    machine.ledgers[last].arrived(
        &Arrivals {
            init: true,
            ..Arrivals::default()
        },
        Tsc(0),
    );
    for posted in [Posted::New, Posted::Coalesced] {
        machine.send(first, last, DeliveryMode::StartUp, posted);
    }
    machine.ledgers[last].arrived(
        &Arrivals {
            start_page: Some(8),
            ..Arrivals::default()
        },
        Tsc(0),
    );
    machine.send(first, last, DeliveryMode::Nmi, Posted::New);
    machine.ledgers[last].arrived(
        &Arrivals {
            nmis: 1,
            ..Arrivals::default()
        },
        Tsc(0),
    );
    let now = machine.now;
    machine.ledgers[last].nmi_injected(Tsc(now), Tsc(now));

    for (way, targets) in [
        ("unicast", 1),
        ("unicast", vcpus - 1),
        ("allbutself", vcpus - 1),
    ] {
        machine.marker(&format!(
            "begin shootdown mode=x2apic way={way} targets={targets} pages=1"
        ));
        for target in 1..=targets {
            machine.ipi(first, target);
        }
        let cycles = 100_000 * targets;
        machine.marker(&format!(
            "end iterations=1 cycles_median={cycles} cycles_mean={cycles}.5"
        ));
    }
    machine.marker("result shootdown cycles_per_target=100000");

    // Coalesced in the mailbox, and in the APIC.
    machine.send(first, last, DeliveryMode::Fixed, Posted::New);
    machine.send(first, last, DeliveryMode::Fixed, Posted::Coalesced);
    machine.receive(last);
    machine.ledgers[last].drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    machine.send(last, last, DeliveryMode::Fixed, Posted::New);
    machine.send(last, last, DeliveryMode::Fixed, Posted::New);
    machine.ledgers[last].drained(0x40, Trigger::Edge, Acceptance::Merged, Tsc(0));
    // Refused, and waiting at the end.
    machine.send(last, first, DeliveryMode::Fixed, Posted::New);
    machine.ledgers[first].drained(0x40, Trigger::Edge, Acceptance::Disabled, Tsc(0));
    machine.send(last, first, DeliveryMode::Nmi, Posted::New);
    // A timer, and sleep.
    machine.ledgers[first].injected(0xEC, Tsc(now), Tsc(now));
    machine.ledgers[first].ended(0xEC, false, Tsc(now));
    machine.ledgers[last].rested(Rest::Halted, Tsc(0), 1_000_000);
    machine.exit(last, Cause::Hlt, 1_008_500);
    machine.marker("exit 0");
    machine
}

/// What [`busy`] leaves in the mailboxes.
pub(super) fn left() -> [Waiting; 1] {
    [Waiting::default().with(Kind::Nmi, 1)]
}

#[test]
fn a_run_without_loss_passes() {
    let report = busy(4).report(run(4), &left());
    assert_eq!(report.lost.total, 0, "{:#?}", report.lost);
    assert!(
        report.lost.by_vcpu.iter().all(|&lost| lost == 0),
        "{:?}",
        report.lost.by_vcpu
    );
    assert_eq!(
        report.outcome,
        Outcome {
            status: Status::Passed,
            reasons: Vec::new(),
            guest_code: None
        }
    );
    let vector = report
        .lost
        .by_kind
        .get("vector")
        .expect("an account of vectors");
    assert_eq!(
        (vector.coalesced_at_accept, vector.refused, vector.pending),
        (1, 1, 1)
    );
}

#[test]
fn a_delivery_withheld_is_lost_and_fails_the_run() {
    let mut machine = Machine::new(2);
    machine.ipi(0, 1);
    machine.send(0, 1, DeliveryMode::Fixed, Posted::New);
    let report = machine.report(run(2), &[]);
    assert_eq!(report.lost.total, 1);
    assert_eq!(report.lost.by_vcpu, [0, 1]);
    assert_eq!(report.outcome.status, Status::Failed);
    // Had it been found in the mailbox it would not be lost.
    let waiting = [Waiting::default(), Waiting::default().with(Kind::Vector, 1)];
    assert_eq!(machine.report(run(2), &waiting).lost.total, 0);
}

#[test]
fn losses_that_cancel_out_still_fail_the_run() {
    let mut machine = Machine::new(2);
    machine.send(0, 1, DeliveryMode::Fixed, Posted::New);
    machine.ledgers[0].drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    machine.ledgers[0].injected(0x40, Tsc(5_000), Tsc(5_000));
    let report = machine.report(run(2), &[]);
    assert_eq!(report.lost.total, 0);
    assert_eq!(report.lost.by_vcpu, [-1, 1]);
    assert_eq!(report.outcome.status, Status::Failed);
}

#[test]
fn the_judgement_follows_the_ending_and_the_guest() {
    let status = |line: &str, ending: Ending| {
        let mut machine = Machine::new(1);
        machine.marker(line);
        machine.report(Run { ending, ..run(1) }, &[]).outcome.status
    };
    assert_eq!(status("exit 0", Ending::Guest), Status::Passed);
    assert_eq!(status("exit 2", Ending::Guest), Status::Failed);
    assert_eq!(status("fail ping x", Ending::Guest), Status::Failed);
    assert_eq!(
        status("begin ping", Ending::Interrupted),
        Status::Interrupted
    );
    assert_eq!(status("fail ping x", Ending::Interrupted), Status::Failed);
    assert_eq!(
        status("exit 0", Ending::Error("vCPU 1: triple fault".into())),
        Status::Error
    );
}

#[test]
fn json_holds_the_equalities_of_a_unicast_shootdown() {
    let json: Json =
        serde_json::from_str(&busy(4).report(run(4), &left()).to_json()).expect("JSON");
    assert_eq!(json["schema"], 1);
    let phase = &json["phases"][1];
    assert_eq!(phase["labels"]["way"], "unicast");
    assert_eq!(phase["labels"]["targets"], 3);
    assert_eq!(phase["results"]["cycles_mean"], 300_000.5);
    assert_eq!(phase["vcpus"][0]["apic_icr"], phase["labels"]["targets"]);
    for target in 1..=3 {
        assert_eq!(phase["vcpus"][target]["apic_eoi"], 1);
        assert_eq!(phase["vcpus"][target]["injected"], 1);
        assert_eq!(phase["vcpus"][target]["apic_eoi_ns"], 8_000);
    }
    assert_eq!(
        json["phases"][0]["vcpus"][3]["injected"], 0,
        "keys are present for an idle vCPU"
    );
    assert_eq!(json["matrix"]["posted"][0][3], 6);
    assert_eq!(json["lost"]["total"], 0);
    assert_eq!(json["outcome"]["status"], "passed");
}

#[test]
fn json_keys_are_always_present() {
    let json: Json =
        serde_json::from_str(&Machine::new(1).report(run(1), &[]).to_json()).expect("JSON");
    for pointer in [
        "/run/apic",
        "/run/apic_mode",
        "/run/tsc_khz",
        "/run/memory_bytes",
        "/run/duration_ns",
        "/run/host/cpu_model",
        "/outcome/reasons",
        "/ipis_observed",
        "/exits_per_ipi",
        "/totals/exits/apic_icr/p99_ns",
        "/totals/exits/set_tpr/total_ns",
        "/totals/parked/count",
        "/totals/ipis/coalesced_at_accept",
        "/totals/by_mode/lowest_priority/targets",
        "/totals/by_kind/start_up/refused/not_waiting_for_sipi",
        "/totals/kicks/unpark",
        "/totals/send_to_inject/p50_ns",
        "/totals/send_to_end/p99_ns",
        "/vcpus/0/vcpu",
        "/vcpus/0/exits/hlt/mean_ns",
        "/vcpus/0/lost",
        "/vectors",
        "/matrix/coalesced_at_post/0/0",
        "/matrix/posted_by_devices/0",
        "/lost/by_kind/smi/posted",
        "/lost/by_vcpu/0",
        "/phases",
        "/results",
        "/failures",
        "/markers/exit_status",
        "/markers/dropped_phases",
    ] {
        assert!(json.pointer(pointer).is_some(), "{pointer} is missing");
    }
}

#[test]
fn a_ledger_that_is_missing_leaves_the_counters_right() {
    let mut machine = Machine::new(2);
    machine.ipi(0, 1);
    machine.ledgers.truncate(1);
    let report = machine.report(run(2), &[]);
    assert_eq!(report.lost.total, 0);
    assert_eq!(report.vcpus[1].activity.ipis.injected, 1);
    assert_eq!(report.vcpus[1].activity.exit_count, 2);
}
