//! The RAM map, in the form BIOS call E820H gave it its name (ACPI 6.5, 15.1): what a guest may use.

use linux_loader::bootparam::boot_e820_entry;
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use crate::layout;
use crate::memory::{self, GuestMemory};

pub(super) const RAM: u32 = 1;
pub(super) const RESERVED: u32 = 2;

/// Conventional RAM, the BIOS areas, RAM up to the hole, KVM's own pages, RAM above 4 GiB.
pub(super) fn e820(memory: &GuestMemory) -> Vec<boot_e820_entry> {
    let entry = |addr, size, r#type| boot_e820_entry { addr, size, r#type };
    let extended = memory::low_end(memory) - layout::HIGH_RAM_START;
    let bios = layout::HIGH_RAM_START - layout::ACPI_TABLES;
    let mut map = vec![
        entry(0, layout::LOW_RAM_END, RAM),
        entry(layout::EBDA, layout::EBDA_SIZE, RESERVED),
        entry(layout::ACPI_TABLES, bios, RESERVED),
        entry(layout::HIGH_RAM_START, extended, RAM),
        entry(
            layout::KVM_IDENTITY_MAP,
            layout::KVM_RESERVED_SIZE,
            RESERVED,
        ),
    ];
    if let Some(high) = memory.find_region(GuestAddress(layout::MMIO_HOLE_END)) {
        map.push(entry(layout::MMIO_HOLE_END, high.len(), RAM));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn ram_above_four_gibibytes_is_in_the_map() {
        let map = e820(&memory::create(5 * GIB).unwrap());
        let last = map.last().copied().unwrap();
        assert_eq!(map.len(), 6);
        assert_eq!(
            last,
            boot_e820_entry {
                addr: 4 * GIB,
                size: 2 * GIB,
                r#type: RAM
            }
        );
    }

    #[test]
    fn nothing_overlaps_and_the_order_ascends() {
        for size in [memory::MIN_SIZE, 3 * GIB, 5 * GIB] {
            let map = e820(&memory::create(size).unwrap());
            for pair in map.windows(2) {
                let (end, next) = (pair[0].addr + pair[0].size, pair[1].addr);
                assert!(end <= next, "{pair:?}");
            }
        }
    }
}
