//! Bugs by which a guest reached what is not its own, or brought its host down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use vapic::spec::message::Destination;
use vapic::spec::msi::{MsiFormat, MsiMessage};
use vapic::{
    Config, Effect, Fabric, Features, GeneralProtection, Identity, IoApic, IoApicConfig, LocalApic,
    LogicalModel, MAX_APICS, Mode, Router,
};

use crate::driver::register::*;
use crate::driver::{
    ALL, ALL_BUT_SELF, DOORS, Door, FIXED, INIT, Machine, NMI, PERIODIC, START_UP,
};
use crate::{EN, EXTD, errors, fixed};

const fn x2apic(id: u32) -> Identity {
    Identity {
        mode: Mode::X2apic,
        x2apic_id: id,
        xapic_id: 0,
        logical_id: 0,
        model: LogicalModel::Flat,
        software_enabled: true,
    }
}

/// KVM divided by the period of the timer to find the current count. A guest that set an initial
/// count of zero, or one that scaled to zero, brought the host down.
#[test]
fn s1_cve_2013_6367_a_period_of_zero_divides_nothing() {
    for door in DOORS {
        for mode in [0, PERIODIC] {
            for divide in [0, 1, 2, 3, 8, 9, 10, 11] {
                for count in [0, 1, u32::MAX] {
                    let mut machine = Machine::new(door, 1);
                    machine.write(0, LVT_TIMER, mode | 0x50);
                    machine.write(0, TIMER_INITIAL, count);
                    machine.write(0, TIMER_DIVIDE, divide);
                    for now in [0, 1, 1 << 40, u64::MAX] {
                        machine.at(now);
                        assert!(machine.read(0, TIMER_CURRENT) <= count);
                    }
                    machine.write(0, TIMER_INITIAL, 0);
                    assert_eq!(machine.read(0, TIMER_CURRENT), 0);
                    assert_eq!(machine.apics[0].deadline(), None);
                }
            }
        }
    }
}

/// KVM wrote a word for the guest at an address that the guest chose, at the very end of a page,
/// and so beyond it. Here an access that begins inside the page and ends outside touches nothing.
#[test]
fn s2_cve_2013_6368_an_access_at_the_end_of_the_page_ends_there() {
    let mut machine = Machine::new(Door::Page, 1);
    for offset in 0xFF0..0x1000 {
        for width in 1..=16 {
            let mut data = vec![0xA5; width];
            machine.apics[0].read_page(offset, &mut data, 0);
            assert_eq!(data, vec![0; width]);
            let effect = machine.write_page(0, offset, &data);
            assert_eq!(effect, Effect::None);
        }
    }
}

/// A guest in x2APIC mode had an ID that KVM turned into a cluster and a bit without looking at
/// the size of its table, which crashed the host.
#[test]
fn s3_cve_2013_6376_no_id_leads_out_of_the_tables() {
    let ids = [0, 15, 16, 0xFE, 0xFF, 0x100, 0x7FEF, MAX_APICS - 1];
    let fabric = Fabric::new(ids.map(x2apic)).unwrap();
    let mut router = Router::new(fabric, Some(0));
    let edges = (0..32).flat_map(|bit| [1u32 << bit, !(1 << bit), (1 << bit) - 1]);
    for address in edges.chain([0, u32::MAX]) {
        let mut reached = Vec::new();
        router.deliver(&fixed(Destination::Logical(address), 0x40), |index, _| {
            reached.push(index);
        });
        let expected = ids
            .iter()
            .enumerate()
            .filter(|&(_, &id)| address >> 16 == id >> 4 && address >> (id & 15) & 1 == 1);
        assert!(expected.map(|(index, _)| index).eq(reached), "{address:#x}");
    }
    let too_high = Fabric::new([x2apic(MAX_APICS)]);
    assert!(too_high.is_err(), "the host is told before any guest runs");
}

/// KVM looked vCPUs up by an ID that user space had passed, without a bound.
#[test]
fn s4_cve_2013_4587_an_id_is_no_index() {
    let fabric = Fabric::new([x2apic(0), x2apic(0x123)]).unwrap();
    fabric.publish(2, x2apic(5));
    fabric.publish(usize::MAX, x2apic(5));
    assert!(fabric.mailbox(0x123).is_none());
    let mut router = Router::new(fabric, Some(usize::MAX));
    for (id, expected) in [
        (0, Some(0)),
        (1, None),
        (5, None),
        (0x123, Some(1)),
        (u32::MAX, None),
    ] {
        let mut reached = None;
        router.deliver(&fixed(Destination::Physical(id), 0x40), |index, _| {
            reached = Some(index);
        });
        assert_eq!(reached, expected, "{id:#x}");
    }
    // A sender that does not exist has no self either.
    router.deliver(&fixed(Destination::Sender, 0x40), |_, _| panic!("nobody"));
}

/// Xen answered reads of MSRs above the register page from the memory behind it, and later passed
/// some of that range to the host's own MSRs.
#[test]
fn s5_cve_2014_7188_reads_past_the_register_page_fault() {
    let mut machine = Machine::new(Door::Msr, 1);
    for msr in (0x840..0x1000).chain([0x7FF, u32::MAX]) {
        assert_eq!(
            machine.apics[0].read_msr(msr, 0),
            Err(GeneralProtection),
            "{msr:#x}"
        );
        assert_eq!(machine.write_msr(0, msr, 0), Err(GeneralProtection));
    }
}

/// A guest made its device model send an MSI with a delivery mode that Xen had no handler for,
/// and then made it log without end. A message with a reserved mode is refused by value.
#[test]
fn s6_xsa_96_an_msi_of_any_mode_is_a_message_or_a_refusal() {
    let machine = Machine::new(Door::Msr, 2);
    let mut device = Router::new(Arc::clone(&machine.fabric), None);
    let mut sent = 0;
    for data in 0..=u16::MAX {
        let address = 0xFEE0_1000;
        let data = data.into();
        if let Ok(message) = (MsiMessage { address, data }).decode(MsiFormat::Bits8) {
            device.deliver(&message, |index, _| assert_eq!(index, 1));
            sent += 1;
        }
    }
    assert!(sent > 0 && !machine.fabric.mailboxes()[1].is_empty());
}

/// An error raised the error interrupt, whose illegal vector was an error in turn: Xen took its
/// lock a second time and hung.
#[test]
fn s7_cve_2024_45817_an_error_about_the_error_entry_raises_nothing() {
    for door in DOORS {
        for vector in 0..16 {
            let mut machine = Machine::new(door, 1);
            machine.write(0, LVT_ERROR, vector);
            machine.interrupt(0, 0x0F);
            machine.send(0, 0, FIXED | 0x0F);
            assert_eq!(machine.take(0), None);
            assert_eq!(errors(&mut machine, 0), 1 << 5 | 1 << 6);
        }
    }
}

/// Guests shared one host page behind the page of their APIC, and could leave data there for each
/// other. Here nothing is behind it: what is no register keeps nothing.
#[test]
fn s8_cve_2022_42327_the_page_keeps_nothing_for_others() {
    let mut machine = Machine::new(Door::Page, 2);
    let before = format!("{:?}", machine.apics[1]);
    for offset in (0..0x1000).step_by(4) {
        let _ = machine.write_page(0, offset, &0x5A5A_5A5Au32.to_le_bytes());
    }
    assert_eq!(format!("{:?}", machine.apics[1]), before);
    for offset in (0x400..0x1000).step_by(4) {
        let mut data = [0xA5; 4];
        machine.apics[0].read_page(offset, &mut data, 0);
        assert_eq!(data, [0; 4], "{offset:#x}");
    }
}

/// KVM told a device of the end of its interrupt from inside that end; the device asserted its
/// line again, which ended again, and so on until the stack was gone.
#[test]
fn s11_cve_2020_27152_an_end_that_asserts_again_returns() {
    let mut ioapic = IoApic::new(IoApicConfig::default());
    let _ = ioapic.write(0x00, &[0x16], 0);
    let _ = ioapic.write(0x10, &0x8041u32.to_le_bytes(), 0);
    assert_eq!(ioapic.line(3, true).bits(), 1 << 3);
    for _ in 0..1000 {
        assert_eq!(ioapic.end_of_interrupt(0x41, 0).bits(), 1 << 3);
        assert!(ioapic.line(3, false).is_empty());
        assert!(ioapic.line(3, true).is_empty(), "one is under way");
    }
}

/// While processors went to x2APIC mode, KVM measured its map with one set of IDs and filled it
/// with another.
#[test]
fn s13_processors_that_enter_x2apic_mode_while_others_send() {
    let config = |id| Config {
        id,
        bootstrap: id == 0,
        physical_bits: 46,
        features: Features::default(),
    };
    let apics = [0, 1, 0x100, 0x7FFF].map(|id| LocalApic::new(config(id)));
    let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).unwrap();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut router = Router::new(Arc::clone(&fabric), Some(0));
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                for destination in [
                    Destination::All,
                    Destination::Physical(0x7FFF),
                    Destination::Logical(0x07FF_8000),
                ] {
                    let message = fixed(destination, 0x40);
                    router.deliver(&message, |index, _| assert!(index < 4));
                }
                rounds += 1;
            }
        });
        for (index, mut apic) in apics.into_iter().enumerate() {
            for _ in 0..20 {
                for base in [EN | EXTD, EN & !0x800, EN] {
                    assert!(apic.write_base(base).is_ok());
                    fabric.publish(index, apic.identity());
                }
            }
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap();
    });
}

/// After a long pause KVM delivered each period that had been missed, one after the other, with
/// interrupts off in the host.
#[test]
fn s14_cve_2025_71104_missed_periods_are_not_caught_up_with() {
    for door in DOORS {
        let mut machine = Machine::new(door, 1);
        machine.write(0, TIMER_DIVIDE, 0xB);
        machine.write(0, LVT_TIMER, PERIODIC | 0x50);
        machine.write(0, TIMER_INITIAL, 1);
        machine.at(u64::MAX / 2);
        assert_eq!((machine.take(0), machine.take(0)), (Some(0x50), None));
        let next = machine.apics[0].deadline().unwrap();
        assert_eq!(next, u64::MAX / 2 + 1, "one period from now");
    }
}

/// Writes of odd sizes and places led Xen and ACRN past the end of their registers.
#[test]
fn s16_no_access_to_the_page_is_too_odd() {
    let offsets = (0..0x1100)
        .chain((0..32).map(|bit| 1 << bit))
        .chain([u32::MAX]);
    let mut machine = Machine::new(Door::Page, 1);
    for offset in offsets {
        for width in (0..=17).filter(|&width| width != 4) {
            let mut data = vec![0xFF; width];
            assert_eq!(machine.write_page(0, offset, &data), Effect::None);
            machine.apics[0].read_page(offset, &mut data, 0);
        }
        if offset & 0xF != 0 {
            assert_eq!(machine.write_page(0, offset, &[0xFF; 4]), Effect::None);
        }
    }
    assert_eq!(machine.read(0, SVR), 0x1FF, "nothing was written");
    assert_eq!(machine.read(0, ICR), 0);
}

/// ACRN passed a guest's shorthand on to the hardware, which took it for all processors of the
/// host: guests could send NMIs to each other.
#[test]
fn s17_a_shorthand_ends_at_the_machine() {
    let other = Machine::new(Door::Msr, 3);
    for door in DOORS {
        let mut machine = Machine::new(door, 3);
        for shorthand in [ALL, ALL_BUT_SELF] {
            for delivery in [FIXED, NMI, INIT, START_UP] {
                machine.send(0, 0, shorthand | delivery | 0x40);
            }
        }
        assert!(!machine.fabric.mailboxes()[2].is_empty());
    }
    assert!(
        other
            .fabric
            .mailboxes()
            .iter()
            .all(|mailbox| mailbox.is_empty())
    );
}
