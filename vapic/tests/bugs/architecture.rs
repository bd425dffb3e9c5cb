//! Bugs by which a guest saw what no processor does.

use vapic::spec::message::{Destination, Trigger};
use vapic::{
    Acceptance, Config, Effect, Features, GeneralProtection, Lint, LocalApic, Mode, Posted,
};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, FIXED, INIT, LOGICAL, Machine, NMI, PERIODIC, START_UP};
use crate::{EN, EXTD, errors};

/// Vectors below 16 were delivered, or broke guests when they were refused without care: a
/// start-up IPI and an entry that is never used may have one.
#[test]
fn c1_vectors_below_16_are_errors_only_where_they_are_vectors() {
    for door in DOORS {
        for vector in 0..16 {
            let mut machine = Machine::new(door, 2);
            machine.write(0, LVT_THERMAL, vector);
            machine.send(0, 1, START_UP | vector);
            machine.send(0, 1, NMI | vector);
            machine.drain(1);
            assert_eq!((errors(&mut machine, 0), errors(&mut machine, 1)), (0, 0));
            machine.send(0, 1, FIXED | vector);
            assert!(machine.fabric.mailboxes()[1].is_empty());
            assert_eq!(errors(&mut machine, 0), 1 << 5);
        }
    }
}

/// The ESR was a plain register in many APICs: errors never showed, or never went away.
#[test]
fn c2_errors_show_at_a_write_and_fire_once_until_then() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_ERROR, 0xFE);
        for _ in 0..2 {
            machine.send(0, 0, FIXED | 0x0F);
            machine.send(0, 0, FIXED | 0x0F);
            assert_eq!(machine.take(0), Some(0xFE));
            machine.end(0);
            assert_eq!(machine.take(0), None);
            assert_eq!(errors(&mut machine, 0), 1 << 5);
        }
        assert_eq!(errors(&mut machine, 0), 0);
    }
}

/// Moves between the modes were allowed that no processor allows, or refused that all do.
#[test]
fn c3_the_way_back_from_x2apic_mode_leads_through_disabled() {
    let mut machine = Machine::at_power_up(1);
    let disabled = EN & !0x800;
    for (base, legal) in [
        (EN | EXTD, true),
        (EN, false),
        (disabled | EXTD, false),
        (EN | EXTD | 1, false),
        (EN | EXTD | 1 << 46, false),
        (disabled, true),
        (EN | EXTD, false),
        (EN, true),
        (0x3000_0800, true),
    ] {
        assert_eq!(machine.write_base(0, base).is_ok(), legal, "{base:#x}");
    }
    assert_eq!(machine.apics[0].page(), Some(0x3000_0000));
}

/// INIT was taken for a reset and put the APIC back to its first ID and mode.
#[test]
fn c4_init_keeps_id_and_mode() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(1, ID, 0x33 << 24);
    machine.send(0, 0x33, INIT);
    machine.drain(1);
    assert_eq!(machine.read(1, ID), 0x33 << 24);
    let mut machine = Machine::new(Door::Msr, 0x120);
    machine.send(0, 0x11F, INIT);
    machine.drain(0x11F);
    let apic = &machine.apics[0x11F];
    assert_eq!((apic.mode(), apic.id()), (Mode::X2apic, 0x11F));
}

/// x2APIC IDs were cut to eight bits, and the logical ID was what the guest had last written in
/// xAPIC mode.
#[test]
fn c5_ids_of_x2apic_mode_have_32_bits_and_make_the_logical_id() {
    let mut machine = Machine::new(Door::Page, 0x124);
    machine.write(0x123, LDR, 0xFF00_0000);
    let base = machine.apics[0x123].base().with_x2apic(true);
    machine.write_base(0x123, base.into_bits()).unwrap();
    let apic = &mut machine.apics[0x123];
    assert_eq!(apic.read_msr(0x802, 0), Ok(0x123));
    assert_eq!(apic.read_msr(0x80D, 0), Ok(0x0012_0008));
    for absent in [0x80E, 0x831] {
        assert_eq!(apic.read_msr(absent, 0), Err(GeneralProtection));
        assert_eq!(apic.write_msr(absent, 0, 0), Err(GeneralProtection));
    }
}

/// Upper halves of MSRs were dropped, and a SELF IPI with reserved bits faulted after it had
/// already been sent.
#[test]
fn c6_a_write_that_faults_has_done_nothing() {
    let mut machine = Machine::new(Door::Msr, 1);
    for (msr, value) in [
        (0x83F, 0x140),
        (0x83F, 1 << 32 | 0x40),
        (0x808, 1 << 32),
        (0x80B, 1 << 32),
        (0x828, 1 << 32),
        (0x838, 1 << 32),
        (0x830, 1 << 13 | 0x40),
        (0x830, 1 << 20 | 1 << 18 | 0x40),
    ] {
        let before = format!("{:?}", machine.apics[0]);
        assert_eq!(machine.write_msr(0, msr, value), Err(GeneralProtection));
        assert_eq!(format!("{:?}", machine.apics[0]), before, "{msr:#x}");
    }
}

/// Write-only registers could be read, the page answered in x2APIC mode, and the ICR did not give
/// back what had been written.
#[test]
fn c7_what_can_be_read_and_what_cannot() {
    let mut machine = Machine::new(Door::Msr, 2);
    for write_only in [0x80B, 0x83F] {
        assert_eq!(
            machine.apics[0].read_msr(write_only, 0),
            Err(GeneralProtection)
        );
    }
    let command = 0x0000_0001_0000_4840;
    let effect = machine.write_msr(0, 0x830, command).unwrap();
    machine.perform(0, effect);
    assert_eq!(machine.apics[0].read_msr(0x830, 0), Ok(command));
    let mut data = [0; 4];
    machine.apics[0].read_page(0x20, &mut data, 0);
    assert_eq!(data, [0xFF; 4]);
    assert_eq!(machine.write_page(0, 0x300, &[0x40, 0, 4, 0]), Effect::None);
}

/// A software-disabled APIC took new vectors, or forgot the old ones when it was disabled and
/// enabled again; a globally disabled one kept its timer going.
#[test]
fn c8_a_disable_keeps_what_was_accepted_and_takes_nothing_new() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.interrupt(0, 0x91);
        assert_eq!(machine.take(0), Some(0x91));
        machine.interrupt(0, 0x41);
        machine.drain(0);
        machine.write(0, SVR, 0xFF);
        machine.interrupt(0, 0x51);
        assert_eq!(machine.drain(0).vectors, [(0x51, Acceptance::Disabled)]);
        machine.write(0, SVR, 0x1FF);
        assert_eq!(machine.read_vectors(0, IRR), [0x41]);
        assert_eq!(machine.read_vectors(0, ISR), [0x91]);

        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.write_base(0, EN & !0x800).unwrap();
        machine.at(1_000_000);
        assert_eq!((machine.apics[0].deadline(), machine.take(0)), (None, None));
    }
}

/// A change of mode stopped the count, a new divisor waited for the next period, and a count of
/// zero made a period of zero.
#[test]
fn c9_the_count_survives_mode_and_divisor() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, TIMER_DIVIDE, 0xB);
        machine.write(0, LVT_TIMER, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.at(100);
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        assert_eq!(machine.read(0, TIMER_CURRENT), 900);
        machine.write(0, TIMER_DIVIDE, 0x0);
        machine.at(300);
        assert_eq!(machine.read(0, TIMER_CURRENT), 800);
        machine.at(1900);
        assert_eq!(machine.take(0), Some(0x50));
        assert_eq!(machine.apics[0].deadline(), Some(3900));
        machine.write(0, TIMER_INITIAL, 0);
        machine.at(1 << 40);
        assert_eq!((machine.read(0, TIMER_CURRENT), machine.take(0)), (0, None));
    }
}

/// The request bit was set before the trigger mode, so that an end in between went untold; and a
/// vector that changed its trigger kept the old one.
#[test]
fn c10_request_and_trigger_mode_come_together() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        for (trigger, told) in [(Trigger::Edge, false), (Trigger::Level, true)].repeat(2) {
            machine.post(Destination::Physical(0), 0x41, trigger);
            assert_eq!(machine.take(0), Some(0x41));
            machine.end(0);
            assert_eq!(machine.ended.pop(), Some((0x41, told)));
        }
    }
}

/// ACRN changed the trigger mode of a vector in service and forgot its end; LINT0 has the same
/// duty here.
#[test]
fn c10_a_local_level_that_becomes_an_edge_in_service_ends_as_a_level() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.write(0, LVT_LINT0, 1 << 15 | 0x50);
    let _ = machine.apics[0].set_lint(Lint::Lint0, true);
    assert_eq!(machine.take(0), Some(0x50));
    machine.write(0, LVT_LINT0, 0x50);
    machine.end(0);
    assert_eq!(machine.ended, [(0x50, true)]);
}

/// An interrupt to oneself was left for others to notice, and nobody did: the processor slept on.
#[test]
fn c11_an_interrupt_to_oneself_wakes_its_sender() {
    let mut machine = Machine::new(Door::Msr, 2);
    let Ok(Effect::Send(message)) = machine.write_msr(1, 0x83F, 0x40) else {
        panic!("SELF IPI sends");
    };
    assert_eq!(machine.deliver(1, &message), [(1, Posted::New)]);
    assert_eq!(machine.take(1), Some(0x40));
    let mut machine = Machine::new(Door::Msr, 1);
    machine.write(0, LVT_TIMER, 0x50);
    machine.write(0, TIMER_INITIAL, 1000);
    let deadline = machine.apics[0].deadline().expect("a wait that ends");
    machine.at(deadline);
    assert_eq!(machine.apics[0].deliverable(), Some(0x50));
}

/// Requests that waited while the mode changed were counted in the old mode and not looked for in
/// the new.
#[test]
fn c12_what_waits_survives_a_change_of_mode() {
    let mut machine = Machine::new(Door::Page, 1);
    machine.interrupt(0, 0x41);
    machine.drain(0);
    machine.interrupt(0, 0x91);
    machine.write_base(0, EN | EXTD | 1 << 8).unwrap();
    for vector in [0x91, 0x41] {
        assert_eq!(machine.take(0), Some(vector));
        let end = machine.write_msr(0, 0x80B, 0).unwrap();
        let level = false;
        assert_eq!(end, Effect::Ended { vector, level });
    }
}

/// All ones were not everyone in the logical models, and APICs with one ID, in two modes or with
/// a high ID did not all hear what was sent to them.
#[test]
fn c13_everyone_is_addressed_who_should_be() {
    for model in [u32::MAX, 0x0FFF_FFFF] {
        let mut machine = Machine::new(Door::Page, 3);
        for cpu in 0..3 {
            machine.write(cpu, DFR, model);
            machine.write(cpu, LDR, 0);
        }
        machine.send(0, 0xFF, LOGICAL | 0x40);
        assert!((0..3).all(|cpu| machine.take(cpu) == Some(0x40)));
    }
    let mut machine = Machine::new(Door::Page, 3);
    machine.write(2, ID, 1 << 24);
    machine.send(0, 1, 0x40);
    let taken = [0, 1, 2].map(|cpu| machine.take(cpu));
    assert_eq!(taken, [None, Some(0x40), Some(0x40)]);
    // A processor whose ID does not fit xAPIC mode is reached there by all of it.
    let mut machine = Machine::new(Door::Page, 0x130);
    machine.post(Destination::Physical(0x12F), 0x41, Trigger::Edge);
    assert_eq!(
        (machine.take(0x12F), machine.take(0x2F)),
        (Some(0x41), None)
    );
}

/// Accesses in part ended the VMM, or became accesses to the whole register.
#[test]
fn c14_an_access_to_a_part_is_no_access_to_the_whole() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.interrupt(0, 0x41);
    assert_eq!(machine.take(0), Some(0x41));
    for width in [1, 2, 8] {
        assert_eq!(machine.write_page(0, 0xB0, &vec![0; width]), Effect::None);
    }
    assert_eq!(machine.apics[0].in_service(), Some(0x41));
}

/// A restored machine had lost the ticks of its timer and the interrupts that waited, the
/// focus-disable bit was refused, and vector 255 could not be sent.
#[test]
fn c15_a_snapshot_keeps_ticks_and_requests_and_every_vector_is_one() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, SVR, 0x3FF);
        assert_eq!(machine.read(0, SVR), 0x3FF);
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.send(0, 0, 0xFF);
        machine.drain(0);
        machine.at(500);
        let saved = machine.apics[0].save(500);
        let config = Config {
            id: 0,
            bootstrap: true,
            physical_bits: 46,
            features: Features::default(),
        };
        let mut restored = LocalApic::restore(config, &saved, 0).unwrap();
        assert_eq!(
            restored.deadline(),
            Some(1500),
            "1000 ticks of 2 ns less 500"
        );
        assert_eq!(restored.acknowledge(), Some(0xFF));
    }
}

/// A start-up overtook the INIT before it, or found a processor that had not yet begun to wait;
/// and an NMI woke one that had not been started.
#[test]
fn c16_init_start_up_and_nmi_take_effect_in_the_order_sent() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        for _ in 0..3 {
            machine.send(0, 1, START_UP | 7);
            machine.send(0, 1, NMI);
            machine.send(0, 1, INIT);
            let arrivals = machine.drain(1).arrivals.unwrap();
            assert!(arrivals.init && arrivals.start_page.is_none());
            machine.send(0, 1, NMI);
            machine.drain(1);
            assert!(!machine.apics[1].take_nmi(), "not before it is started");
            machine.send(0, 1, INIT);
            machine.send(0, 1, START_UP | 9);
            machine.send(0, 1, START_UP | 9);
            assert_eq!(machine.drain(1).arrivals.unwrap().start_page, Some(9));
            assert!(!machine.apics[1].is_waiting_for_start_up());
        }
    }
}
