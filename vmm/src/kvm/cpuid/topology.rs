//! Where a vCPU is in the machine: one package, one thread a core, APIC id = number of the vCPU.
//!
//! Every leaf that holds an APIC id must hold the same one, or Linux warns of a mismatch; every
//! leaf that counts must count the same, or it guesses more processors than there are.

use super::{AMD_FEATURES, AMD_SIZES, FEATURES, Table};

const INTEL_CACHES: u32 = 0x4;
const EXTENDED_TOPOLOGY: u32 = 0xB;
const EXTENDED_TOPOLOGY_V2: u32 = 0x1F;
const AMD_CACHES: u32 = 0x8000_001D;
const AMD_PROCESSOR: u32 = 0x8000_001E;
const AMD_EXTENDED_TOPOLOGY: u32 = 0x8000_0026;

/// 1:EDX: the processor counts of leaf 1 mean something.
const HTT: u32 = 1 << 28;
/// 0x8000_0001:ECX: 0x8000_0008:ECX counts cores of one thread.
const CMP_LEGACY: u32 = 1 << 1;
/// Level types of leaf 0xB, ECX[15:8].
const THREAD_LEVEL: u32 = 1 << 8;
const CORE_LEVEL: u32 = 2 << 8;

pub(super) fn set(table: &mut Table, apic_id: u32, count: u32) {
    let count = count.max(1);
    let id_bits = id_bits(count);
    if let Some(leaf) = table.find(FEATURES) {
        // Ids above 255 do not fit, and x2APIC guests do not ask here.
        let counted = (1_u32 << id_bits).min(0xFF);
        leaf.ebx = leaf.ebx & 0xFFFF | counted << 16 | (apic_id & 0xFF) << 24;
        leaf.edx &= !HTT;
        leaf.edx |= if count > 1 { HTT } else { 0 };
    }
    for function in [EXTENDED_TOPOLOGY, EXTENDED_TOPOLOGY_V2] {
        if table.max_basic() >= function {
            set_levels(table, function, apic_id, count);
        }
    }
    set_caches(table, count);
    set_amd(table, apic_id, count);
}

/// Bits an APIC id takes.
fn id_bits(count: u32) -> u32 {
    count.next_power_of_two().trailing_zeros()
}

/// Leaf 0xB or 0x1F: thread level, core level, and the level that ends the list.
fn set_levels(table: &mut Table, function: u32, apic_id: u32, count: u32) {
    table.remove(function);
    let levels = [
        (0, 1, THREAD_LEVEL),
        (id_bits(count), count & 0xFFFF, CORE_LEVEL),
        (0, 0, 0),
    ];
    for (index, (shift, processors, kind)) in (0..).zip(levels) {
        let leaf = table.leaf(function, Some(index));
        (leaf.eax, leaf.ebx, leaf.ecx, leaf.edx) = (shift, processors, kind | index, apic_id);
    }
}

/// Deterministic cache leaves: levels 1 and 2 are a core's own, the third is the package's.
fn set_caches(table: &mut Table, count: u32) {
    for leaf in &mut table.0 {
        let intel = leaf.function == INTEL_CACHES;
        let cache_level = leaf.eax >> 5 & 0x7;
        if !(intel || leaf.function == AMD_CACHES) || leaf.eax & 0x1F == 0 {
            continue;
        }
        let sharing = if cache_level < 3 {
            0
        } else {
            (count - 1).min(0xFFF)
        };
        leaf.eax = leaf.eax & !(0xFFF << 14) | sharing << 14;
        if intel {
            leaf.eax = leaf.eax & !(0x3F << 26) | (count - 1).min(0x3F) << 26;
        }
    }
}

fn set_amd(table: &mut Table, apic_id: u32, count: u32) {
    if let Some(leaf) = table.find(AMD_FEATURES) {
        leaf.ecx &= !CMP_LEGACY;
    }
    if let Some(leaf) = table.find(AMD_SIZES) {
        leaf.ecx = leaf.ecx & !0xF0FF | (count - 1).min(0xFF) | id_bits(count).min(0xF) << 12;
    }
    if let Some(leaf) = table.find(AMD_PROCESSOR) {
        (leaf.eax, leaf.ebx, leaf.ecx) = (apic_id, apic_id & 0xFF, 0);
    }
    // Preferred to leaf 0xB where it exists, and about the host's dies.
    table.remove(AMD_EXTENDED_TOPOLOGY);
}
