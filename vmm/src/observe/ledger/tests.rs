use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Overtaken, Posted};

use super::*;
use crate::observe::{Observer, Refusal};

/// One tick is one nanosecond.
fn observer(vcpus: usize) -> Observer {
    Observer::new(vcpus, Clock::new(Tsc(1_000), 1_000_000))
}

fn message(delivery: DeliveryMode, vector: u8) -> InterruptMessage {
    InterruptMessage {
        destination: Destination::Physical(1),
        delivery,
        vector,
        trigger: Trigger::Edge,
    }
}

fn fixed(vector: u8) -> InterruptMessage {
    message(DeliveryMode::Fixed, vector)
}

fn send(ledger: &mut Ledger, message: &InterruptMessage, posted: Posted, at: u64) {
    let id = ledger.sent(message, Tsc(at));
    ledger.sending(1, message, id);
    ledger.posted(1, message, id, posted);
}

fn count(observer: &Observer, vcpu: usize, count: Count) -> u64 {
    observer.counters()[vcpu].snapshot().get(count)
}

#[test]
fn an_ipi_is_followed_from_sending_to_end() {
    let observer = observer(2);
    let [mut sender, mut target] = [0, 1].map(|vcpu| observer.ledger(vcpu));
    send(&mut sender, &fixed(0x40), Posted::New, 2_000);
    sender.kicked(1, IpiId::new(Source::Vcpu(0), 1_000), Kick::Signal);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    assert_eq!(target.pending(Kind::Vector), 1);
    target.injected(0x40, Tsc(2_700), Tsc(2_700));
    assert_eq!(target.pending(Kind::Vector), 0);
    target.ended(0x40, false, Tsc(3_500));

    for (vcpu, what, expected) in [
        (0, Count::Sent(DeliveryMode::Fixed), 1),
        (0, Count::SentVector(0x40), 1),
        (0, Count::PostedNew(DeliveryMode::Fixed), 1),
        (0, Count::Kicks(Kick::Signal), 1),
        (1, Count::Accepted(Kind::Vector), 1),
        (1, Count::Injected(Kind::Vector), 1),
        (1, Count::InjectedVector(0x40), 1),
        (1, Count::Ended, 1),
        (1, Count::EndedVector(0x40), 1),
        (1, Count::Unpaired, 0),
        (1, Count::LocalInjected, 0),
    ] {
        assert_eq!(count(&observer, vcpu, what), expected, "{what:?}");
    }
    assert_eq!(target.durations().send_to_inject.max(), 700);
    assert_eq!(target.durations().send_to_end.max(), 1_500);
    assert_eq!(observer.counters()[0].row(2)[1].new, 1);
}

#[test]
fn sends_that_meet_in_the_mailbox_are_dated_by_the_first() {
    let observer = observer(2);
    let [mut sender, mut target] = [0, 1].map(|vcpu| observer.ledger(vcpu));
    send(&mut sender, &fixed(0x40), Posted::New, 2_000);
    send(&mut sender, &fixed(0x40), Posted::Coalesced, 2_400);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    target.injected(0x40, Tsc(3_000), Tsc(3_000));
    assert_eq!(
        count(&observer, 0, Count::CoalescedAtPost(DeliveryMode::Fixed)),
        1
    );
    assert_eq!(target.durations().send_to_inject.count(), 1);
    assert_eq!(target.durations().send_to_inject.max(), 1_000);
}

#[test]
fn a_delivery_that_finds_its_request_set_is_coalesced_and_leaves_no_id_behind() {
    let observer = observer(2);
    let [mut sender, mut target] = [0, 1].map(|vcpu| observer.ledger(vcpu));
    send(&mut sender, &fixed(0x40), Posted::New, 2_000);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    send(&mut sender, &fixed(0x40), Posted::New, 2_500);
    target.drained(0x40, Trigger::Edge, Acceptance::Merged, Tsc(0));
    target.injected(0x40, Tsc(3_000), Tsc(3_000));
    assert_eq!(
        count(&observer, 1, Count::CoalescedAtAccept(Kind::Vector)),
        1
    );
    assert_eq!(target.durations().send_to_inject.max(), 1_000);
    // The next one must not be dated by the one that was merged.
    send(&mut sender, &fixed(0x40), Posted::New, 9_000);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    target.injected(0x40, Tsc(9_010), Tsc(9_010));
    assert_eq!(target.durations().send_to_inject.min(), 10);
}

#[test]
fn an_id_that_is_missing_makes_the_delivery_unpaired_not_wrong() {
    let observer = observer(2);
    let mut target = observer.ledger(1);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    target.injected(0x40, Tsc(3_000), Tsc(3_000));
    target.ended(0x40, false, Tsc(4_000));
    assert_eq!(count(&observer, 1, Count::Unpaired), 1);
    assert_eq!(count(&observer, 1, Count::Injected(Kind::Vector)), 1);
    assert_eq!(count(&observer, 1, Count::Ended), 1);
    assert_eq!(target.durations().send_to_inject.count(), 0);
    assert_eq!(target.durations().send_to_end.count(), 0);
}

#[test]
fn an_id_younger_than_the_injection_is_not_believed() {
    let observer = observer(2);
    let [mut sender, mut target] = [0, 1].map(|vcpu| observer.ledger(vcpu));
    send(&mut sender, &fixed(0x40), Posted::New, 5_000);
    target.drained(0x40, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    target.injected(0x40, Tsc(4_999), Tsc(4_999));
    target.ended(0x40, false, Tsc(9_000));
    assert_eq!(count(&observer, 1, Count::Unpaired), 1);
    assert_eq!(target.durations().send_to_inject.count(), 0);
    assert_eq!(target.durations().send_to_end.count(), 0);
}

#[test]
fn local_interrupts_are_no_ipis() {
    let observer = observer(1);
    let mut ledger = observer.ledger(0);
    ledger.injected(0xEC, Tsc(2_000), Tsc(2_000));
    ledger.ended(0xEC, false, Tsc(2_500));
    ledger.ended(0xEC, false, Tsc(2_600));
    ledger.nmi_injected(Tsc(3_000), Tsc(3_000));
    assert_eq!(count(&observer, 0, Count::LocalInjected), 2);
    assert_eq!(count(&observer, 0, Count::LocalVector(0xEC)), 1);
    assert_eq!(count(&observer, 0, Count::LocalEnded), 1);
    assert_eq!(count(&observer, 0, Count::Injected(Kind::Vector)), 0);
    assert_eq!(count(&observer, 0, Count::Ended), 0);
}

#[test]
fn refusals_keep_their_reason() {
    let observer = observer(2);
    let mut target = observer.ledger(1);
    target.drained(0x40, Trigger::Edge, Acceptance::Disabled, Tsc(0));
    target.drained(0x0F, Trigger::Edge, Acceptance::IllegalVector, Tsc(0));
    target.arrived(
        &Arrivals {
            start_up_discarded: true,
            smi: true,
            ext_int: true,
            overtaken: Overtaken {
                nmis: 2,
                start_ups: 1,
                ..Overtaken::default()
            },
            ..Arrivals::default()
        },
        Tsc(0),
    );
    for (kind, refusal, expected) in [
        (Kind::Vector, Refusal::Disabled, 1),
        (Kind::Vector, Refusal::IllegalVector, 1),
        (Kind::StartUp, Refusal::NotWaitingForSipi, 1),
        (Kind::StartUp, Refusal::Init, 1),
        (Kind::Nmi, Refusal::Init, 2),
        (Kind::Smi, Refusal::NotEmulated, 1),
        (Kind::Other, Refusal::NotEmulated, 1),
    ] {
        assert_eq!(
            count(&observer, 1, Count::Refused(kind, refusal)),
            expected,
            "{kind:?}"
        );
    }
    assert_eq!(target.pending(Kind::Vector), 0);
}

#[test]
fn init_refuses_what_waits_and_forgets_what_is_served() {
    let observer = observer(2);
    let mut target = observer.ledger(1);
    for vector in [0x40, 0x50, 0x60] {
        target.drained(vector, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    }
    target.injected(0x60, Tsc(2_000), Tsc(2_000));
    target.injected(0xEC, Tsc(2_000), Tsc(2_000));
    target.arrived(
        &Arrivals {
            nmis: 1,
            ..Arrivals::default()
        },
        Tsc(0),
    );
    target.arrived(
        &Arrivals {
            init: true,
            start_page: Some(8),
            nmis: 1,
            ..Arrivals::default()
        },
        Tsc(0),
    );
    for (what, expected) in [
        (Count::Refused(Kind::Vector, Refusal::Init), 2),
        (Count::Refused(Kind::Nmi, Refusal::Init), 1),
        (Count::Abandoned, 2),
        (Count::Injected(Kind::Init), 1),
        (Count::Injected(Kind::StartUp), 1),
    ] {
        assert_eq!(count(&observer, 1, what), expected, "{what:?}");
    }
    assert_eq!(
        (target.pending(Kind::Vector), target.pending(Kind::Nmi)),
        (0, 1)
    );
    target.ended(0x60, false, Tsc(3_000));
    assert_eq!(count(&observer, 1, Count::Ended), 0);
}

#[test]
fn two_nmis_are_two_injections_of_which_one_is_dated() {
    let observer = observer(2);
    let [mut sender, mut target] = [0, 1].map(|vcpu| observer.ledger(vcpu));
    for at in [2_000, 2_100] {
        send(&mut sender, &message(DeliveryMode::Nmi, 0), Posted::New, at);
    }
    target.arrived(
        &Arrivals {
            nmis: 2,
            nmis_merged: 1,
            ..Arrivals::default()
        },
        Tsc(0),
    );
    target.nmi_injected(Tsc(2_500), Tsc(2_500));
    target.nmi_injected(Tsc(2_900), Tsc(2_900));
    assert_eq!(count(&observer, 1, Count::Injected(Kind::Nmi)), 2);
    assert_eq!(count(&observer, 1, Count::CoalescedAtAccept(Kind::Nmi)), 1);
    assert_eq!(count(&observer, 1, Count::Unpaired), 1);
    assert_eq!(target.durations().nmi_send_to_inject.max(), 500);
    assert_eq!(target.durations().send_to_inject.count(), 0);
}

#[test]
fn an_exit_is_priced_without_the_time_asleep() {
    let observer = observer(1);
    let mut ledger = observer.ledger(0);
    ledger.rested(Rest::Halted, Tsc(0), 5_000);
    ledger.rested(Rest::Halted, Tsc(0), 1_000);
    ledger.exit(Cause::Hlt, Tsc(10_000), Tsc(16_400));
    ledger.exit(Cause::Hlt, Tsc(20_000), Tsc(20_100));
    assert_eq!(count(&observer, 0, Count::Exits(Cause::Hlt)), 2);
    assert_eq!(count(&observer, 0, Count::Outside(Cause::Hlt)), 500);
    assert_eq!(count(&observer, 0, Count::Parks), 2);
    assert_eq!(count(&observer, 0, Count::Parked), 6_000);
    let outside = &ledger.durations().outside[Cause::Hlt.index()];
    assert_eq!((outside.min(), outside.max()), (100, 400));
}

#[test]
fn a_post_that_no_mailbox_takes_is_no_post() {
    let observer = observer(2);
    let mut sender = observer.device_ledger();
    let remote_read = message(DeliveryMode::RemoteRead, 0x40);
    send(&mut sender, &remote_read, Posted::Unsupported, 2_000);
    let counters = observer.device_counters().snapshot();
    assert_eq!(counters.get(Count::PostedNew(DeliveryMode::RemoteRead)), 0);
    assert_eq!(observer.device_counters().row(2)[1].new, 0);
}

#[test]
fn what_devices_send_is_paired_too() {
    let observer = observer(2);
    let mut devices = observer.device_ledger();
    let mut target = observer.ledger(1);
    send(&mut devices, &fixed(0x30), Posted::New, 2_000);
    target.drained(0x30, Trigger::Edge, Acceptance::Accepted, Tsc(0));
    target.injected(0x30, Tsc(2_300), Tsc(2_300));
    assert_eq!(target.durations().send_to_inject.max(), 300);
    // What others can read of it while it runs says the same.
    assert_eq!(count(&observer, 1, Count::InjectionsDated), 1);
    assert_eq!(count(&observer, 1, Count::AgeAtInjection), 300);
    target.ended(0x30, false, Tsc(2_700));
    assert_eq!(target.durations().send_to_end.max(), 700);
    assert_eq!(count(&observer, 1, Count::EndsDated), 1);
    assert_eq!(count(&observer, 1, Count::AgeAtEnd), 700);
    assert_eq!(observer.device_counters().row(2)[1].new, 1);
}
