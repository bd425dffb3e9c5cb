//! What the documentation of `vapic` promises of an APIC at any time, and of single calls.

use vapic::snapshot::Snapshot;
use vapic::spec::lvt::{LvtEntry, LvtSource};
use vapic::{Config, LocalApic, Mode, VectorSet};

/// Everything that is true of an APIC at any time.
pub(crate) fn check(apic: &LocalApic, config: Config, now: u64) {
    let saved = at(apic, now);
    check_priorities(apic, &saved);
    check_registers(&saved);
    assert!(apic.nmis() <= 2, "one handled, one latched");
    assert_eq!(apic.nmis(), saved.nmis);
    let identity = apic.identity();
    assert_eq!(
        (identity.mode, identity.x2apic_id),
        (apic.mode(), config.id)
    );
    assert_eq!(apic.page().is_some(), apic.mode() == Mode::Xapic);
    check_time(apic, now);
    // What is saved is restored, whatever the clock shows elsewhere.
    for then in [now, 0, now / 2] {
        let mut restored = LocalApic::restore(config, &saved, then).expect("a saved state");
        assert_eq!(restored.save(then), saved);
        assert_eq!(restored.identity(), identity);
        assert_eq!(restored.ext_int(), apic.ext_int());
    }
}

/// The state at `now`; the APIC itself is left alone.
pub(crate) fn at(apic: &LocalApic, now: u64) -> Snapshot {
    apic.clone().save(now)
}

/// Classes, and what may be delivered, by the definitions of APIC §8.3.1.
fn check_priorities(apic: &LocalApic, saved: &Snapshot) {
    let legal = |set: &VectorSet| set.iter().all(|vector| vector >= 16);
    assert!(legal(&saved.requests) && legal(&saved.in_service));
    let mut classes = [0; 16];
    for vector in saved.in_service.iter() {
        classes[usize::from(vector >> 4)] += 1;
    }
    assert!(classes.iter().all(|&count| count <= 1), "one a class");
    let highest = saved.in_service.iter().max();
    assert_eq!(apic.in_service(), highest);
    let in_service = highest.unwrap_or(0) & 0xF0;
    let priority = if saved.task_priority & 0xF0 >= in_service {
        saved.task_priority
    } else {
        in_service
    };
    assert_eq!(apic.processor_priority(), priority);
    assert_eq!(apic.cr8(), saved.task_priority >> 4);
    let highest = apic.requests().iter().max();
    let deliverable = highest.filter(|vector| vector >> 4 > priority >> 4);
    assert_eq!(apic.deliverable(), deliverable);
    let held = highest.is_some_and(|vector| vector >> 4 > in_service >> 4) && deliverable.is_none();
    assert_eq!(apic.held_by_task_priority(), held);
}

/// Bits that can never be set.
fn check_registers(saved: &Snapshot) {
    let disabled = saved.spurious & 0x100 == 0;
    for (source, &entry) in LvtSource::ALL.into_iter().zip(&saved.lvt) {
        let entry = LvtEntry::from_bits(entry);
        assert!(!entry.delivery_status(), "deliveries never wait");
        assert!(entry.masked() || !disabled, "disabling masks every entry");
        if entry.remote_irr() {
            assert_eq!(source, LvtSource::Lint0, "the only pin with a level");
            assert!(entry.level_triggered());
        }
    }
    assert_eq!(saved.command & 1 << 12, 0, "commands never wait");
}

/// Deadlines are never in the past.
fn check_time(apic: &LocalApic, now: u64) {
    let mut advanced = apic.clone();
    advanced.advance(now);
    let is_future = |deadline| deadline > now;
    assert!(advanced.deadline().is_none_or(is_future));
    let once = at(&advanced, now);
    advanced.advance(now);
    assert_eq!(advanced.save(now), once, "time has already come there");
}
