//! Saving, restoring, and the page of KVM_GET_LAPIC.

use vapic::snapshot::{Snapshot, SnapshotRefusal, page};
use vapic::{Config, Features, Lint, LocalApic};

use crate::driver::register::*;
use crate::driver::{DOORS, Door, Machine, NMI, PERIODIC};

const CONFIG: Config = Config {
    id: 0,
    bootstrap: true,
    physical_bits: 46,
    features: Features {
        x2apic: true,
        tsc_deadline: true,
        eoi_suppression: false,
        corrected_machine_check: true,
    },
};

/// A processor in the midst of things.
fn busy(door: Door) -> Machine {
    let mut machine = Machine::of_model(1, CONFIG.features).started(door);
    machine.write(0, LVT_TIMER, PERIODIC | 0x50);
    machine.write(0, LVT_LINT0, 1 << 15 | 0x38);
    machine.write(0, LVT_ERROR, 0x66);
    machine.write(0, TIMER_DIVIDE, 0x1);
    machine.write(0, TIMER_INITIAL, 1000);
    machine.write(0, TPR, 0x25);
    for vector in [0x41, 0x81] {
        machine.interrupt(0, vector);
        assert_eq!(machine.take(0), Some(vector));
    }
    let _ = machine.apics[0].set_lint(Lint::Lint0, true);
    machine.interrupt(0, 0x91);
    machine.send(0, 0, NMI);
    machine.send(0, 0, 0x0F);
    machine.drain(0);
    machine.at(1500);
    machine
}

#[test]
fn a_restored_apic_goes_on_where_it_was() {
    for door in DOORS {
        let mut machine = busy(door);
        let saved = machine.apics[0].save(1500);
        // Elsewhere the clock shows another time.
        let mut restored = LocalApic::restore(CONFIG, &saved, 1_000_000).unwrap();
        assert_eq!(restored.save(1_000_000), saved);
        assert_eq!(restored.deadline(), Some(1_002_500));
        restored.advance(1_002_500);
        assert_eq!(restored.acknowledge(), Some(0x91));
        assert!(restored.take_nmi());
        assert_eq!(restored.identity(), machine.apics[0].identity());
    }
}

#[test]
fn an_armed_deadline_and_collected_errors_are_kept() {
    let mut machine = Machine::of_model(1, CONFIG.features).started(Door::Msr);
    machine.write(0, LVT_TIMER, 1 << 18 | 0x50);
    machine.apics[0].write_tsc_deadline(777, 300, 1).unwrap();
    machine.send(0, 0, 0x0F);
    let saved = machine.apics[0].save(5);
    assert_eq!(
        (
            saved.tsc_deadline,
            saved.errors_visible,
            saved.errors_collected
        ),
        (777, 0, 0x20)
    );
    assert_eq!(saved.timer_remaining, Some(295));
    let mut restored = LocalApic::restore(CONFIG, &saved, 9).unwrap();
    assert_eq!(restored.deadline(), Some(304));
    assert_eq!(restored.read_tsc_deadline(303), Ok(777));
    let page = saved.to_page(CONFIG);
    assert_eq!(page[0x390..0x394], [0; 4], "it is no count");
    for (deadline, remaining) in [(777, None), (0, Some(1)), (777, Some(u64::MAX))] {
        let bad = Snapshot {
            tsc_deadline: deadline,
            timer_remaining: remaining,
            ..saved.clone()
        };
        let refused = LocalApic::restore(CONFIG, &bad, 0).err();
        assert_eq!(refused, Some(SnapshotRefusal::Timer));
    }
}

#[test]
fn the_vector_that_lint0_waits_for_is_kept() {
    let mut machine = Machine::of_model(1, CONFIG.features).started(Door::Page);
    machine.write(0, LVT_LINT0, 1 << 15 | 0x50);
    let _ = machine.apics[0].set_lint(Lint::Lint0, true);
    assert_eq!(machine.take(0), Some(0x50));
    machine.write(0, LVT_LINT0, 1 << 15 | 0x60);
    let saved = machine.apics[0].save(0);
    let remote_irr = 1 << 14;
    assert_eq!(
        (saved.lvt[3], saved.lint0_vector),
        (remote_irr | 1 << 15 | 0x60, Some(0x50))
    );
    let mut restored = LocalApic::restore(CONFIG, &saved, 0).unwrap();
    let _ = restored.write_page(0xB0, &[0; 4], 0);
    assert_eq!(restored.acknowledge(), Some(0x60), "the pin still asks");
    // The page holds no vector but the entry's, which nothing will end: a level left over.
    let taken = Snapshot::from_page(&saved.to_page(CONFIG), saved.base);
    assert_eq!((taken.lvt[3], taken.lint0_vector), (1 << 15 | 0x60, None));
}

#[test]
fn a_processor_that_waits_goes_on_waiting() {
    let config = Config {
        id: 1,
        bootstrap: false,
        ..CONFIG
    };
    let saved = LocalApic::new(config).save(0);
    assert!(
        LocalApic::restore(config, &saved, 0)
            .unwrap()
            .is_waiting_for_start_up()
    );
    // It is the flag that decides, and a guest may have cleared it.
    assert!(LocalApic::restore(CONFIG, &saved, 0).is_ok());
    let bad = Snapshot {
        base: saved.base | 1 << 8,
        ..saved
    };
    assert_eq!(
        LocalApic::restore(config, &bad, 0).err(),
        Some(SnapshotRefusal::BootstrapWaits)
    );
}

#[test]
fn what_no_apic_can_hold_is_refused() {
    let good = busy(Door::Page).apics[0].save(1500);
    let refuse = |change: fn(&mut Snapshot), reason| {
        let mut bad = good.clone();
        change(&mut bad);
        assert_eq!(
            LocalApic::restore(CONFIG, &bad, 0).err(),
            Some(reason),
            "{bad:?}"
        );
    };
    refuse(|s| s.base |= 1, SnapshotRefusal::Base);
    refuse(|s| s.base = 1 << 10, SnapshotRefusal::Base);
    refuse(|s| s.base |= 1 << 46, SnapshotRefusal::Base);
    refuse(|s| s.spurious |= 1 << 12, SnapshotRefusal::ReservedBits);
    refuse(|s| s.timer_divide = 4, SnapshotRefusal::ReservedBits);
    refuse(
        |s| s.destination_format = 0x1F,
        SnapshotRefusal::ReservedBits,
    );
    refuse(
        |s| s.errors_collected = 0x100,
        SnapshotRefusal::ReservedBits,
    );
    refuse(|s| s.command |= 1 << 12, SnapshotRefusal::ReservedBits);
    refuse(|s| s.command |= 1 << 32, SnapshotRefusal::ReservedBits);
    refuse(|s| s.lvt[5] |= 1 << 8, SnapshotRefusal::ReservedBits);
    refuse(|s| s.requests.insert(15), SnapshotRefusal::IllegalVector);
    refuse(|s| s.in_service.insert(0x42), SnapshotRefusal::Nesting);
    refuse(|s| s.spurious = 0xFF, SnapshotRefusal::Unmasked);
    refuse(|s| s.timer_remaining = Some(4001), SnapshotRefusal::Timer);
    refuse(
        |s| (s.timer_initial, s.timer_remaining) = (0, Some(0)),
        SnapshotRefusal::Timer,
    );
    refuse(|s| s.tsc_deadline = 1, SnapshotRefusal::Timer);
    refuse(|s| s.nmis = 3, SnapshotRefusal::Nmis);
    refuse(|s| s.base = 0xFEE0_0100, SnapshotRefusal::Disabled);
    for source in 0..7 {
        let mut bad = good.clone();
        bad.lvt[source] |= 1 << 12;
        let refused = LocalApic::restore(CONFIG, &bad, 0).err();
        assert_eq!(refused, Some(SnapshotRefusal::ReservedBits));
    }
    // LINT1 has no level, and neither has LINT0 as an edge.
    refuse(|s| s.lvt[4] |= 1 << 14, SnapshotRefusal::ReservedBits);
    refuse(|s| s.lvt[3] &= !(1 << 15), SnapshotRefusal::ReservedBits);
    // A remote IRR without a vector, a vector without a remote IRR, and one that no APIC accepts.
    refuse(|s| s.lint0_vector = None, SnapshotRefusal::RemoteIrr);
    refuse(|s| s.lvt[3] &= !(1 << 14), SnapshotRefusal::RemoteIrr);
    refuse(|s| s.lint0_vector = Some(15), SnapshotRefusal::RemoteIrr);
    // Nothing would ever end it.
    refuse(|s| s.lint0_vector = Some(0x39), SnapshotRefusal::RemoteIrr);
    let without = Config {
        features: Features {
            corrected_machine_check: false,
            ..CONFIG.features
        },
        ..CONFIG
    };
    assert!(LocalApic::restore(without, &good, 0).is_ok());
    let mut bad = good.clone();
    bad.lvt[6] = 0x40;
    let refused = LocalApic::restore(without, &bad, 0).err();
    assert_eq!(refused, Some(SnapshotRefusal::ReservedBits));
}

#[test]
fn the_page_shows_what_the_registers_show() {
    for door in DOORS {
        let mut machine = busy(door);
        let page = machine.apics[0].save(1500).to_page(CONFIG);
        for register in (0..0x40).filter(|index| !matches!(index, 0x08..=0x0C | 0x30 | 0x31)) {
            let at = (register as usize) << 4;
            let shown = u32::from_le_bytes(page[at..at + 4].try_into().unwrap());
            let read = match door {
                Door::Page => machine.read(0, register),
                Door::Msr => match machine.apics[0].read_msr(0x800 + register, 1500) {
                    Ok(value) => u32::try_from(value).unwrap(),
                    Err(_) => continue,
                },
            };
            assert_eq!(shown, read, "register {register:#x} through {door:?}");
        }
    }
}

#[test]
fn the_page_there_and_back_keeps_what_it_holds() {
    for door in DOORS {
        let mut machine = busy(door);
        let saved = machine.apics[0].save(1500);
        let back = Snapshot::from_page(&saved.to_page(CONFIG), saved.base);
        let expected = Snapshot {
            errors_collected: 0,
            nmis: 0,
            lint_asserted: [false; 2],
            ..saved
        };
        assert_eq!(back, expected);
        assert!(LocalApic::restore(CONFIG, &back, 0).is_ok());
    }
}

#[test]
fn any_page_is_restored_or_refused() {
    proptest::proptest!(|(bytes in proptest::collection::vec(proptest::num::u8::ANY, page::SIZE), base: u64)| {
        let page: [u8; page::SIZE] = bytes.try_into().unwrap();
        let snapshot = Snapshot::from_page(&page, base);
        if let Ok(mut apic) = LocalApic::restore(CONFIG, &snapshot, 7) {
            let saved = apic.save(7);
            proptest::prop_assert_eq!(LocalApic::restore(CONFIG, &saved, 9).map(|mut a| a.save(9)), Ok(saved));
        }
    });
}

#[test]
fn a_clock_that_ran_backwards_makes_no_count_that_nobody_wrote() {
    for door in DOORS {
        let mut machine = Machine::of_model(1, CONFIG.features).started(door);
        machine.now = 1_000_000;
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        machine.write(0, TIMER_DIVIDE, 0xB);
        machine.write(0, TIMER_INITIAL, 1000);
        machine.now = 3;
        assert_eq!(machine.read(0, TIMER_CURRENT), 1000);
        let saved = machine.apics[0].save(3);
        assert_eq!(saved.timer_remaining, Some(1000));
        let restored = LocalApic::restore(CONFIG, &saved, 3).unwrap();
        assert_eq!(restored.deadline(), Some(1003));
    }
}

#[test]
fn a_disabled_apic_is_restored_as_after_power_up() {
    let mut machine = busy(Door::Page);
    machine.write(0, ID, 0x0700_0000);
    machine.write_base(0, 0xFEE0_0100).unwrap();
    let saved = machine.apics[0].save(1500);
    assert_eq!((saved.xapic_id, saved.nmis), (0, 1));
    let restored = LocalApic::restore(CONFIG, &saved, 7);
    assert_eq!(restored.map(|mut apic| apic.save(7)), Ok(saved));
}

#[test]
fn what_only_kvm_keeps_is_left_on_its_page() {
    let mut machine = busy(Door::Page);
    let saved = machine.apics[0].save(1500);
    let mut page = saved.to_page(CONFIG);
    // Delivery status in the timer's entry, remote IRR in LINT1's: a guest wrote them.
    page[0x321] |= 1 << 4;
    page[0x361] |= 1 << 6;
    let taken = Snapshot::from_page(&page, saved.base);
    assert_eq!(taken.lvt, saved.lvt);
    assert!(LocalApic::restore(CONFIG, &taken, 0).is_ok());

    // KVM rounds the count down: within the last ticks of a period it is zero.
    let mut last_ticks = page;
    last_ticks[0x390..0x394].fill(0);
    let goes_on = Snapshot::from_page(&last_ticks, saved.base);
    assert_eq!(goes_on.timer_remaining, Some(4000));

    // The guest disabled its APIC, whose registers KVM keeps.
    let taken = Snapshot::from_page(&page, 0xFEE0_0100);
    let mut apic = LocalApic::restore(CONFIG, &taken, 0).unwrap();
    assert_eq!((taken.task_priority, apic.cr8()), (0x25, 2));
    let _ = apic.write_base(0xFEE0_0900).unwrap();
    assert!(!apic.identity().software_enabled);
    assert!(apic.requests().is_empty());
}

/// Registers of a page that KVM filled, each a little-endian word at its offset.
fn with_words(mut page: [u8; page::SIZE], words: &[(usize, u32)]) -> [u8; page::SIZE] {
    for &(offset, word) in words {
        page[offset..offset + 4].copy_from_slice(&word.to_le_bytes());
    }
    page
}

#[test]
fn the_page_of_kvms_bootstrap_processor_at_reset_is_taken() {
    let reset = LocalApic::new(CONFIG).save(0);
    // KVM_X86_QUIRK_LINT0_REENABLED: ExtINT and unmasked, the APIC disabled by software.
    let page = with_words(reset.to_page(CONFIG), &[(0x350, 0x700)]);
    let taken = Snapshot::from_page(&page, reset.base);
    assert_eq!(taken.lvt[3], 0x1_0700);
    assert!(LocalApic::restore(CONFIG, &taken, 0).is_ok());
}

#[test]
fn vectors_below_16_that_kvm_requests_for_ever_are_dropped() {
    let saved = busy(Door::Page).apics[0].save(1500);
    let page = saved.to_page(CONFIG);
    let words = [(0x200, 1 << 5 | 1 << 15), (0x180, 1 << 5)];
    let taken = Snapshot::from_page(&with_words(page, &words), saved.base);
    assert_eq!((taken.requests, taken.level), (saved.requests, saved.level));
    assert!(LocalApic::restore(CONFIG, &taken, 0).is_ok());
}

#[test]
fn what_waits_for_a_start_up_has_an_apic_after_init() {
    let config = Config {
        id: 1,
        bootstrap: false,
        ..CONFIG
    };
    let good = LocalApic::new(config).save(0);
    let changes: [fn(&mut Snapshot); 3] = [
        |s| s.spurious = 0x1FF,
        |s| s.requests.insert(0x40),
        |s| s.in_service.insert(0x40),
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = LocalApic::restore(config, &bad, 0).err();
        assert_eq!(refused, Some(SnapshotRefusal::WaitingApic), "{bad:?}");
        bad.waiting_for_start_up = false;
        assert!(LocalApic::restore(config, &bad, 0).is_ok());
    }
}

#[test]
fn an_entry_that_kvms_model_does_not_have_is_not_on_its_page() {
    let without = Config {
        features: Features {
            corrected_machine_check: false,
            ..CONFIG.features
        },
        ..CONFIG
    };
    let saved = LocalApic::new(without).save(0);
    // Version register: five is the last entry; KVM's page has zeros there.
    let page = with_words(saved.to_page(without), &[(0x2F0, 0)]);
    let taken = Snapshot::from_page(&page, saved.base);
    assert_eq!(taken, saved);
    assert!(LocalApic::restore(without, &taken, 0).is_ok());
}
