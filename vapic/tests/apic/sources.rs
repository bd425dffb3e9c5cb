//! What starts an interrupt, and what does not: local sources, commands, the page itself
//! (SDM 3A, APIC §4.3, §5.1, §6.1).

use vapic::spec::lvt::LvtSource;
use vapic::{Effect, Raised};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, INIT, LOGICAL, Machine, START_UP};

const SMI: u32 = 2 << 8;
const NMI: u32 = 4 << 8;

#[test]
fn each_source_fires_by_its_entry() {
    let sources = [
        (LvtSource::CorrectedMachineCheck, LVT_CMCI),
        (LvtSource::Thermal, LVT_THERMAL),
        (LvtSource::PerformanceCounter, LVT_PMC),
    ];
    for door in DOORS {
        for (source, register) in sources {
            let fire = |entry| {
                let mut machine = Machine::new(door, 1);
                machine.write(0, register, entry);
                let raised = machine.apics[0].raise(source);
                (machine, raised)
            };
            let (mut machine, raised) = fire(0x50);
            assert_eq!((raised, machine.take(0)), (Raised::Nothing, Some(0x50)));
            let (mut machine, _) = fire(NMI | 0x50);
            assert!(machine.apics[0].take_nmi(), "{door:?} {source:?}");
            assert_eq!(machine.take(0), None);
            let (mut machine, _) = fire(SMI);
            assert!(machine.apics[0].take_smi());
            // Reserved in an entry, or INIT and ExtINT, which these do not support.
            for mode in [1, 3, 5, 6, 7] {
                let (mut machine, raised) = fire(mode << 8 | 0x50);
                assert_eq!((raised, machine.take(0)), (Raised::Nothing, None));
                assert_eq!(machine.read(0, SVR), 0x1FF, "no reset");
                assert!(!machine.apics[0].ext_int());
            }
            let (mut machine, _) = fire(crate::driver::MASKED | 0x50);
            assert_eq!(machine.take(0), None);
        }
    }
}

#[test]
fn an_smi_is_latched_once() {
    for door in DOORS {
        let mut machine = Machine::new(door, 2);
        machine.send(0, 1, SMI);
        machine.send(0, 1, SMI);
        let arrivals = machine.drain(1).arrivals.unwrap();
        assert!(arrivals.smi && !arrivals.init && arrivals.nmis == 0);
        let taken = [0; 2].map(|_| machine.apics[1].take_smi());
        assert_eq!(taken, [true, false]);
    }
}

#[test]
fn the_high_half_of_a_command_sends_nothing() {
    let mut machine = Machine::new(Door::Page, 2);
    assert_eq!(
        machine.write_page(0, ICR2 << 4, &[0xFF; 4]),
        Effect::None,
        "the destination alone"
    );
    assert!(machine.fabric.mailboxes()[1].is_empty());
    machine.write(0, ICR2, 0x0100_0000);
    for _ in 0..2 {
        machine.write(0, ICR, 0x40);
        assert_eq!(machine.take(1), Some(0x40), "the destination stays");
        machine.end(1);
    }
}

#[test]
fn a_logical_broadcast_has_the_width_of_the_sender() {
    for (door, address) in [(Door::Page, 0xFF), (Door::Msr, u32::MAX)] {
        let mut machine = Machine::new(door, 18);
        machine.send(0, address as usize, LOGICAL | 0x40);
        assert!((0..18).all(|cpu| machine.take(cpu) == Some(0x40)));
    }
}

#[test]
fn a_processor_cannot_send_an_msi_through_its_page() {
    let mut machine = Machine::new(Door::Page, 2);
    for offset in [0x000, 0x010, 0xFF0, 0x1000, 0x1000_0000] {
        let effect = machine.write_page(0, offset, &0x40u32.to_le_bytes());
        assert_eq!(effect, Effect::None, "{offset:#x}");
    }
    assert_eq!((machine.take(0), machine.take(1)), (None, None));
}

#[test]
fn a_disabled_apic_counts_in_silence() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, TIMER_DIVIDE, 0xB);
        machine.write(0, LVT_TIMER, 0x50);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.write(0, SVR, 0xFF);
        assert_eq!(machine.apics[0].deadline(), None);
        machine.at(400);
        assert_eq!(machine.read(0, TIMER_CURRENT), 600);
        machine.at(1000);
        machine.write(0, SVR, 0x1FF);
        machine.write(0, LVT_TIMER, 0x50);
        assert_eq!((machine.read(0, TIMER_CURRENT), machine.take(0)), (0, None));
    }
}

#[test]
fn init_looks_at_the_bootstrap_bit_as_it_is() {
    const BSP: u64 = 1 << 8;
    let mut machine = Machine::new(Door::Page, 2);
    machine.write_base(0, 0xFEE0_0800).unwrap();
    machine.write_base(1, 0xFEE0_0800 | BSP).unwrap();
    let bits = [0, 1].map(|cpu| machine.apics[cpu].base().bootstrap());
    assert_eq!(bits, [false, true]);
    machine.send(0, 1, INIT);
    machine.send(0, 1, START_UP | 8);
    assert!(machine.drain(1).arrivals.unwrap().start_up_discarded);
    for cpu in [0, 1] {
        machine.send(0, cpu, INIT);
        machine.drain(cpu);
    }
    let waits = [0, 1].map(|cpu| machine.apics[cpu].is_waiting_for_start_up());
    assert_eq!(waits, [true, false]);
}

#[test]
fn a_new_enable_brings_the_first_id_back() {
    let mut machine = Machine::new(Door::Page, 2);
    machine.write(1, ID, 0x42 << 24);
    machine.write_base(1, 0xFEE0_0000).unwrap();
    machine.write_base(1, 0xFEE0_0800).unwrap();
    assert_eq!(machine.read(1, ID), 1 << 24);
    assert_eq!(machine.apics[1].identity().xapic_id, 1);
}
