//! The recipe on a table of a host that has everything, and on this host.

use super::*;
use crate::kvm::host::tests::host;
use crate::kvm::{ApicModel, create_vm};

const ALL: u32 = u32::MAX;

fn entry(function: u32, index: u32, registers: [u32; 4]) -> kvm_cpuid_entry2 {
    let [eax, ebx, ecx, edx] = registers;
    kvm_cpuid_entry2 {
        function,
        index,
        eax,
        ebx,
        ecx,
        edx,
        ..Default::default()
    }
}

/// A host with every bit set, where that can go wrong.
fn supported() -> CpuId {
    CpuId::from_entries(&[
        entry(0x0, 0, [0x1F, 0x756E_6547, 0x6C65_746E, 0x4965_6E69]),
        entry(0x1, 0, [0x806F8, 0x6302_0800, ALL & !X2APIC, ALL]),
        entry(0x4, 0, [0x7C00_C121, 0, 0, 0]),
        entry(0x4, 3, [0x7C0F_C163, 0, 0, 0]),
        entry(0x5, 0, [0x40, 0x40, 0x3, 0x2020]),
        entry(0x6, 0, [0, 0, 0, 0]),
        entry(0xB, 0, [1, 2, 0x100, 0x63]),
        entry(0xB, 1, [7, 112, 0x201, 0x63]),
        entry(0x1F, 0, [1, 2, 0x100, 0x63]),
        entry(
            0x4000_0000,
            0,
            [0x4000_0001, SIGNATURE[0], SIGNATURE[1], SIGNATURE[2]],
        ),
        entry(0x4000_0001, 0, [0x0100_7EFB, 0, 0, 1]),
        entry(0x8000_0001, 0, [0, 0, ALL, 0]),
        entry(0x8000_0008, 0, [0x3039, ALL, 0x703F, 0]),
        entry(0x8000_001E, 0, [0x63, 0x131, 0x100, 0]),
        entry(0x8000_0026, 0, [1, 2, 0x100, 0x63]),
    ])
    .unwrap()
}

fn recipe(vcpu_count: u32) -> Recipe {
    Recipe {
        vcpu_count,
        tsc_deadline: false,
        tsc_khz: 2_600_000,
    }
}

fn registers(table: &CpuId, function: u32, index: u32) -> Option<[u32; 4]> {
    let entry = table
        .as_slice()
        .iter()
        .find(|e| e.function == function && e.index == index)?;
    Some([entry.eax, entry.ebx, entry.ecx, entry.edx])
}

#[test]
fn what_would_lose_or_hide_an_ipi_is_off() {
    let table = recipe(4).cpuid_for(&supported(), 2).unwrap();
    let [.., ecx, edx] = registers(&table, 0x1, 0).unwrap();
    assert_eq!(ecx & (MONITOR | TSC_DEADLINE), 0);
    assert_eq!(ecx & (X2APIC | HYPERVISOR), X2APIC | HYPERVISOR);
    assert_eq!(edx & APIC, APIC);
    assert_eq!(registers(&table, 0x5, 0).unwrap(), [0; 4]);
    assert_eq!(registers(&table, 0x6, 0).unwrap()[0] & ARAT, ARAT);
    assert_eq!(
        registers(&table, 0x8000_0008, 0).unwrap()[1],
        ALL & !INVLPGB
    );
    assert_eq!(
        registers(&table, 0x8000_0001, 0).unwrap()[2] & EXTENDED_APIC,
        0
    );
}

#[test]
fn the_kvm_signature_stays_and_only_its_clock_is_offered() {
    let table = recipe(4).cpuid_for(&supported(), 2).unwrap();
    let [max, signature @ ..] = registers(&table, 0x4000_0000, 0).unwrap();
    assert_eq!((max, signature), (0x4000_0010, SIGNATURE));
    assert_eq!(
        registers(&table, 0x4000_0001, 0).unwrap(),
        [0x0100_0009, 0, 0, 0]
    );
}

#[test]
fn deadline_mode_is_offered_on_demand() {
    let with = Recipe {
        tsc_deadline: true,
        ..recipe(1)
    };
    let [.., ecx, _] = registers(&with.cpuid_for(&supported(), 0).unwrap(), 0x1, 0).unwrap();
    assert_eq!(ecx & TSC_DEADLINE, TSC_DEADLINE);
}

#[test]
fn clocks_are_told_in_both_leaves() {
    let table = recipe(1).cpuid_for(&supported(), 0).unwrap();
    let [denominator, numerator, crystal, _] = registers(&table, 0x15, 0).unwrap();
    assert_eq!(crystal, 1_000_000_000);
    assert_eq!(
        u64::from(crystal) * u64::from(numerator) / u64::from(denominator),
        2_600_000_000
    );
    assert_eq!(
        registers(&table, 0x4000_0010, 0).unwrap(),
        [2_600_000, 1_000_000, 0, 0]
    );

    let unknown = Recipe {
        tsc_khz: 0,
        ..recipe(1)
    };
    let table = unknown.cpuid_for(&supported(), 0).unwrap();
    assert_eq!(
        registers(&table, 0x15, 0).unwrap(),
        [0, 0, 1_000_000_000, 0]
    );
}

#[test]
fn every_leaf_with_an_apic_id_has_the_same_one() {
    for (count, id) in [(1, 0), (4, 3), (64, 63), (300, 299)] {
        let table = recipe(count).cpuid_for(&supported(), id).unwrap();
        assert_eq!(registers(&table, 0x1, 0).unwrap()[1] >> 24, id & 0xFF);
        for leaf in [0xB, 0x1F] {
            for index in 0..3 {
                assert_eq!(
                    registers(&table, leaf, index).unwrap()[3],
                    id,
                    "{leaf:#x}.{index}"
                );
            }
        }
        assert_eq!(registers(&table, 0x8000_001E, 0).unwrap()[0], id);
        assert_eq!(registers(&table, 0x8000_0026, 0), None);
    }
}

#[test]
fn every_leaf_that_counts_processors_agrees() {
    let table = recipe(6).cpuid_for(&supported(), 5).unwrap();
    let [_, ebx, _, edx] = registers(&table, 0x1, 0).unwrap();
    assert_eq!(
        (ebx >> 16 & 0xFF, ebx & 0xFFFF, edx >> 28 & 1),
        (8, 0x0800, 1)
    );
    assert_eq!(registers(&table, 0xB, 0).unwrap(), [0, 1, 0x100, 5]);
    assert_eq!(registers(&table, 0xB, 1).unwrap(), [3, 6, 0x201, 5]);
    assert_eq!(registers(&table, 0xB, 2).unwrap(), [0, 0, 2, 5]);
    assert_eq!(registers(&table, 0x8000_0008, 0).unwrap()[2], 0x3005);
    // One core has its own first-level cache and shares the third with all.
    assert_eq!(registers(&table, 0x4, 0).unwrap()[0] >> 14, 5 << 12);
    assert_eq!(registers(&table, 0x4, 3).unwrap()[0] >> 14, 5 << 12 | 5);
}

#[test]
fn a_table_that_cannot_grow_is_an_error() {
    let full: Vec<_> = (0..256)
        .map(|index| entry(0x2_0000 + index, 0, [0; 4]))
        .collect();
    assert!(
        recipe(1)
            .cpuid_for(&CpuId::from_entries(&full).unwrap(), 0)
            .is_err()
    );
}

#[test]
fn this_hosts_kvm_takes_the_table() {
    let host = host();
    let supported = host.supported_cpuid().unwrap();
    let vm = create_vm(&host, ApicModel::Userspace).unwrap();
    for id in 0..3 {
        let table = recipe(3).cpuid_for(&supported, id).unwrap();
        let vcpu = vm.create_vcpu(id.into()).unwrap();
        vcpu.set_cpuid2(&table).unwrap();
        let kept = vcpu
            .get_cpuid2(kvm_bindings::KVM_MAX_CPUID_ENTRIES)
            .unwrap();
        assert_eq!(registers(&kept, 0xB, 1).unwrap()[3], id);
        assert_eq!(registers(&kept, 0x4000_0010, 0).unwrap()[1], APIC_TIMER_KHZ);
    }
}
