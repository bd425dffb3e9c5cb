//! The stages: what a host does for one exit. Every value comes from memory that the optimiser
//! knows nothing of, and every result goes there.

use vapic::GeneralProtection;

use super::machine::{Machine, TARGET};

/// A stage, which the optimiser never sees together with its caller.
pub(crate) type Stage = fn(&mut Machine);

/// Nothing.
pub(crate) fn nothing(_: &mut Machine) {}

/// The guest writes a register of the sender's page.
#[inline(never)]
pub(crate) fn write_page(machine: &mut Machine) {
    let effect =
        machine
            .sender
            .write_page(machine.access.register, machine.access.bytes(), machine.now);
    machine.perform(effect);
}

/// The guest writes an MSR of the sender.
#[inline(never)]
pub(crate) fn write_msr(machine: &mut Machine) {
    match machine
        .sender
        .write_msr(machine.access.register, machine.access.value(), machine.now)
    {
        Ok(effect) => machine.perform(effect),
        Err(GeneralProtection) => machine.read = u64::MAX,
    }
}

/// The guest reads a register of the sender's page.
#[inline(never)]
pub(crate) fn read_page(machine: &mut Machine) {
    let mut data = [0; 4];
    machine
        .sender
        .read_page(machine.access.register, &mut data, machine.now);
    machine.read = u64::from(u32::from_le_bytes(data));
}

/// The guest reads an MSR of the sender.
#[inline(never)]
pub(crate) fn read_msr(machine: &mut Machine) {
    let read = machine
        .sender
        .read_msr(machine.access.register, machine.now);
    machine.read = read.unwrap_or(u64::MAX);
}

/// The guest writes ICR high, then ICR low: two exits.
#[inline(never)]
pub(crate) fn send_page(machine: &mut Machine) {
    let effect =
        machine
            .sender
            .write_page(machine.first.register, machine.first.bytes(), machine.now);
    machine.perform(effect);
    write_page(machine);
}

/// The target's thread takes what waits for it.
#[inline(never)]
pub(crate) fn drain(machine: &mut Machine) {
    take(machine);
}

/// The target's thread takes what waits for it and hands the vector to the processor.
#[inline(never)]
pub(crate) fn drain_acknowledge(machine: &mut Machine) {
    take(machine);
    if let Some(vector) = machine.target.acknowledge() {
        machine.injected = vector;
    }
}

#[inline]
fn take(machine: &mut Machine) {
    if let Some(mailbox) = machine.fabric.mailbox(TARGET) {
        let taken = &mut machine.taken;
        let arrivals = machine.target.drain(mailbox, |vector, _, acceptance| {
            *taken = (vector, acceptance);
        });
        if arrivals.is_some() {
            machine.read = u64::MAX;
        }
    }
}

/// The target's guest ends the interrupt through the page.
#[inline(never)]
pub(crate) fn end_page(machine: &mut Machine) {
    let effect = machine
        .target
        .write_page(machine.end.register, machine.end.bytes(), machine.now);
    machine.perform(effect);
}

/// The target's guest ends the interrupt through the MSR.
#[inline(never)]
pub(crate) fn end_msr(machine: &mut Machine) {
    match machine
        .target
        .write_msr(machine.end.register, machine.end.value(), machine.now)
    {
        Ok(effect) => machine.perform(effect),
        Err(GeneralProtection) => machine.read = u64::MAX,
    }
}

/// The life of an interrupt in xAPIC mode, each stage a call of its own.
#[inline(never)]
pub(crate) fn life_page(machine: &mut Machine) {
    send_page(machine);
    drain_acknowledge(machine);
    end_page(machine);
}

/// The life of an interrupt in x2APIC mode, each stage a call of its own.
#[inline(never)]
pub(crate) fn life_msr(machine: &mut Machine) {
    write_msr(machine);
    drain_acknowledge(machine);
    end_msr(machine);
}
