//! What differs between models of processors.

use vapic::snapshot::SnapshotRefusal;
use vapic::spec::lvt::LvtSource;
use vapic::{Config, Features, GeneralProtection, LocalApic};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, Machine};

const PLAIN: Features = Features {
    x2apic: true,
    tsc_deadline: false,
    eoi_suppression: false,
    corrected_machine_check: false,
};

#[test]
fn the_version_says_what_there_is() {
    for (features, version) in [
        (PLAIN, 0x0005_0014),
        (
            Features {
                corrected_machine_check: true,
                ..PLAIN
            },
            0x0006_0014,
        ),
        (
            Features {
                eoi_suppression: true,
                ..PLAIN
            },
            0x0105_0014,
        ),
    ] {
        for door in DOORS {
            let mut machine = Machine::of_model(1, features).started(door);
            assert_eq!(machine.read(0, VERSION), version, "{features:?}");
        }
    }
}

#[test]
fn an_entry_that_does_not_exist_is_a_hole() {
    let mut machine = Machine::of_model(1, PLAIN).started(Door::Page);
    machine.write(0, LVT_CMCI, 0x40);
    assert_eq!(machine.read(0, LVT_CMCI), 0);
    machine.write(0, ESR, 0);
    assert_eq!(machine.read(0, ESR), 1 << 7, "illegal register address");
    let _ = machine.apics[0].raise(LvtSource::CorrectedMachineCheck);
    assert_eq!(machine.take(0), None);

    let mut machine = Machine::of_model(1, PLAIN).started(Door::Msr);
    assert_eq!(machine.write_msr(0, 0x82F, 0x40), Err(GeneralProtection));
    assert_eq!(machine.apics[0].read_msr(0x82F, 0), Err(GeneralProtection));
}

#[test]
fn suppressed_ends_of_level_interrupts_are_not_broadcast() {
    use vapic::spec::message::{Destination, Trigger};
    let features = Features {
        eoi_suppression: true,
        ..PLAIN
    };
    for door in DOORS {
        let mut machine = Machine::of_model(1, features).started(door);
        for (spurious, broadcast) in [(0x11FF, false), (0x1FF, true)] {
            machine.write(0, SVR, spurious);
            assert_eq!(machine.read(0, SVR), spurious);
            machine.post(Destination::Physical(0), 0x40, Trigger::Level);
            assert_eq!(machine.take(0), Some(0x40));
            machine.end(0);
            assert_eq!(machine.ended.pop(), Some((0x40, broadcast)));
        }
    }
}

#[test]
fn suppression_cannot_be_asked_for_where_it_does_not_exist() {
    let mut machine = Machine::of_model(1, PLAIN).started(Door::Page);
    machine.write(0, SVR, 0x11FF);
    assert_eq!(machine.read(0, SVR), 0x1FF);
    let mut machine = Machine::of_model(1, PLAIN).started(Door::Msr);
    assert_eq!(machine.write_msr(0, 0x80F, 0x11FF), Err(GeneralProtection));
}

#[test]
fn a_counter_overflow_masks_its_entry() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, LVT_PMC, 0x60);
        let _ = machine.apics[0].raise(LvtSource::PerformanceCounter);
        let _ = machine.apics[0].raise(LvtSource::PerformanceCounter);
        assert_eq!(machine.read(0, LVT_PMC), 0x1_0060);
        assert_eq!(machine.take(0), Some(0x60));
        machine.end(0);
        assert_eq!(machine.take(0), None);
    }
}

#[test]
fn x2apic_mode_cannot_be_entered_where_it_does_not_exist() {
    let config = Config {
        id: 0,
        bootstrap: true,
        physical_bits: 46,
        features: Features {
            x2apic: false,
            ..PLAIN
        },
    };
    let mut apic = LocalApic::new(config);
    let base = apic.base();
    let extended = base.with_x2apic(true).into_bits();
    assert_eq!(apic.write_base(extended), Err(GeneralProtection));
    assert_eq!(apic.base(), base);
    let mut saved = apic.save(0);
    saved.base = extended;
    assert_eq!(
        LocalApic::restore(config, &saved, 0).err(),
        Some(SnapshotRefusal::Base)
    );
}
