//! For each deviation a script of two processors whose last operation shows it.

use vapic::spec::base::IA32_APIC_BASE;

use super::super::operation::{Action, End, Operation};
use super::super::setup::{Accesses, ENABLED, PAGE, base_of, initialise};

/// Two processors in a known state, then this one goes on.
fn ready(processor: u8) -> Accesses {
    let mut accesses = Accesses::of(processor);
    for index in 0..2 {
        for operation in initialise(index, PAGE) {
            accesses = accesses.then(index).act(operation.action);
        }
    }
    accesses.then(processor)
}

const CLUSTER: u64 = 0x0FFF_FFFF;
const VECTOR: u64 = 0x51;
/// The word of the IRR with that vector, as page offset and as MSR.
const REQUESTS: u32 = 0x220;
const REQUESTS_MSR: u32 = 0x822;
const LOGICAL: u64 = 1 << 11;
const LOWEST_PRIORITY: u64 = 1 << 8;
const NMI: u64 = 4 << 8;
const TO_SELF: u64 = 1 << 18;
const TO_ALL: u64 = 2 << 18;
const ASSERT: u64 = 1 << 14;
const LEVEL: u64 = 1 << 15;
const MASKED: u64 = 1 << 16;

pub(super) fn version() -> Vec<Operation> {
    ready(0).read(0x30).list()
}

pub(super) fn cmci() -> Vec<Operation> {
    ready(0).enter_x2apic().rdmsr(0x82F).list()
}

pub(super) fn error_status() -> Vec<Operation> {
    let illegal = ready(0).send(0, TO_SELF | 5);
    illegal.write(0x280, 0).read(0x280).list()
}

pub(super) fn error_interrupt() -> Vec<Operation> {
    let fires = ready(0).write(0x370, VECTOR);
    fires.send(0, TO_SELF | 5).read(REQUESTS).list()
}

pub(super) fn illegal_vectors() -> Vec<Operation> {
    ready(0).send(0, TO_SELF | 5).read(0x200).list()
}

pub(super) fn level_triggered() -> Vec<Operation> {
    let level = ready(0).send(0, TO_SELF | LEVEL | ASSERT | VECTOR);
    level.read(0x1A0).list()
}

pub(super) fn in_service() -> Vec<Operation> {
    let taken = ready(0).send(0, TO_SELF | VECTOR);
    taken.act(Action::Window(End::Leave)).read(0x120).list()
}

pub(super) fn lvt_read_only() -> Vec<Operation> {
    ready(0).write(0x360, MASKED | 0x5000).read(0x360).list()
}

pub(super) fn lint0_at_reset() -> Vec<Operation> {
    Accesses::of(0).read(0x350).list()
}

pub(super) fn svr_bit_12() -> Vec<Operation> {
    ready(0).write(0xF0, ENABLED | 1 << 12).read(0xF0).list()
}

pub(super) fn reserved_bits() -> Vec<Operation> {
    ready(0).enter_x2apic().wrmsr(0x83E, 0xFFF4 | 0xB).list()
}

pub(super) fn eoi_value() -> Vec<Operation> {
    ready(0).enter_x2apic().wrmsr(0x80B, 1).list()
}

pub(super) fn hole() -> Vec<Operation> {
    ready(0).read(0x80).read(0x30).read(0x40).list()
}

pub(super) fn beyond_four_bytes() -> Vec<Operation> {
    let eight_bytes = Action::ReadPage(PAGE + 0xF0, 8);
    ready(0).read(0x30).act(eight_bytes).list()
}

pub(super) fn disabling() -> Vec<Operation> {
    let base = base_of(0) | u64::from(PAGE);
    ready(0)
        .wrmsr(IA32_APIC_BASE, base)
        .wrmsr(IA32_APIC_BASE, base | 0x800)
        .read(0xD0)
        .list()
}

pub(super) fn icr_across_modes() -> Vec<Operation> {
    ready(0).enter_x2apic().rdmsr(0x830).list()
}

pub(super) fn cr8_same_class() -> Vec<Operation> {
    let same = ready(0).write(0x80, 0x35).act(Action::WriteCr8(3));
    same.read(0x80).list()
}

pub(super) fn masked_expiry() -> Vec<Operation> {
    let expired = ready(0)
        .write(0x320, MASKED | VECTOR)
        .write(0x380, 10_000)
        .act(Action::Delay(5000));
    let unmasked = expired.write(0x320, VECTOR).act(Action::Delay(5000));
    unmasked.read(REQUESTS).list()
}

pub(super) fn reserved_timer_mode() -> Vec<Operation> {
    let reserved = ready(0).write(0x320, MASKED | 3 << 17 | VECTOR);
    reserved.write(0x380, 10_000).read(0x380).list()
}

pub(super) fn reserved_timer_mode_by_msr() -> Vec<Operation> {
    let mode = MASKED | 3 << 17 | VECTOR;
    let refused = ready(0).enter_x2apic().wrmsr(0x832, mode);
    refused.rdmsr(0x832).list()
}

pub(super) fn divisor_after_expiry() -> Vec<Operation> {
    let [_, irr] = [0, PAGE + 0x200];
    let expired = ready(0)
        .write(0x320, VECTOR)
        .write(0x380, 10_000)
        .act(Action::Await(irr, 0x51))
        .drain();
    let changed = expired.write(0x3E0, 0xA).act(Action::Delay(5000));
    changed.read(REQUESTS).list()
}

pub(super) fn lowest_priority_x2apic() -> Vec<Operation> {
    let sent = ready(0)
        .enter_x2apic()
        .wrmsr(0x830, LOWEST_PRIORITY | VECTOR);
    sent.rdmsr(REQUESTS_MSR).list()
}

/// The vector is odd, so the second of two candidates is chosen; the first must not hear it.
pub(super) fn lowest_priority_broadcast() -> Vec<Operation> {
    let sent = ready(0).send(0xFF, LOWEST_PRIORITY | TO_ALL | VECTOR);
    sent.read(REQUESTS).list()
}

pub(super) fn lowest_priority_absent() -> Vec<Operation> {
    let sent = ready(0).send(0b101, LOWEST_PRIORITY | LOGICAL | VECTOR);
    sent.read(REQUESTS).list()
}

pub(super) fn aliases() -> Vec<Operation> {
    let sent = ready(1).write(0x20, 0).then(0).send(0, VECTOR);
    sent.then(1).read(REQUESTS).list()
}

pub(super) fn broadcast_across_modes() -> Vec<Operation> {
    let sent = ready(1).enter_x2apic().then(0).send(0xFF, VECTOR);
    sent.then(1).rdmsr(REQUESTS_MSR).list()
}

pub(super) fn x2apic_map() -> Vec<Operation> {
    let mixed = ready(0).write(0xD0, 0).then(1).enter_x2apic();
    let sent = mixed.wrmsr(0x830, 1 << 32 | LOGICAL | VECTOR);
    sent.then(0).read(REQUESTS).list()
}

pub(super) fn wide_cluster() -> Vec<Operation> {
    let cluster = ready(0).write(0xE0, CLUSTER).write(0xD0, 0x11 << 24);
    let sender = cluster.then(1).write(0xF0, 0xFF).enter_x2apic();
    let sent = sender.wrmsr(0x830, 0x111 << 32 | LOGICAL | VECTOR);
    sent.then(0).read(REQUESTS).list()
}

pub(super) fn cluster_15() -> Vec<Operation> {
    let cluster = ready(0).write(0xE0, CLUSTER).write(0xD0, 0x11 << 24);
    let other = cluster.then(1).write(0xE0, CLUSTER).write(0xD0, 0x21 << 24);
    let sent = other.then(0).send(0xF1, LOGICAL | VECTOR);
    sent.then(1).read(REQUESTS).list()
}

pub(super) fn unknown_format() -> Vec<Operation> {
    let unknown = ready(0).write(0xE0, 0x7FFF_FFFF).then(1);
    let sent = unknown
        .write(0xE0, 0x7FFF_FFFF)
        .then(0)
        .send(2, LOGICAL | VECTOR);
    sent.then(1).read(REQUESTS).list()
}

pub(super) fn logical_nmi() -> Vec<Operation> {
    let disabled = ready(1).write(0xF0, 0xFF);
    let sent = disabled.then(0).send(2, LOGICAL | NMI);
    sent.then(1).act(Action::Exit).list()
}
