//! What long mode needs in memory: an identity map of the first 4 GiB and a GDT
//! (SDM Vol. 3A 5.5, "4-level paging", and 3.4.5, "segment descriptors").

use kvm_bindings::kvm_segment;
use vm_memory::{Bytes, GuestAddress};

use crate::layout;
use crate::memory::GuestMemory;

/// Page-table entry bits: present, writable.
const TABLE: u64 = 0b11;
/// The same with the page-size bit: a 2 MiB page in a page directory.
const LARGE_PAGE: u64 = TABLE | 1 << 7;
const LARGE_PAGE_SIZE: u64 = 2 << 20;
const ENTRIES: u64 = 512;

/// Selectors of the boot protocol: `__BOOT_CS` and `__BOOT_DS`.
pub(super) const CODE_SELECTOR: u16 = 0x10;
pub(super) const DATA_SELECTOR: u16 = 0x18;

/// Code, 64-bit, execute and read, accessed, present, DPL 0.
const CODE_DESCRIPTOR: u64 = 0x00AF_9B00_0000_FFFF;
/// Data, read and write, accessed, present, DPL 0, 4 GiB.
const DATA_DESCRIPTOR: u64 = 0x00CF_9300_0000_FFFF;

const GDT_ENTRIES: [u64; 4] = [0, 0, CODE_DESCRIPTOR, DATA_DESCRIPTOR];

/// GDTR limit: offset of the table's last byte.
pub(super) const GDT_LIMIT: u16 = 8 * 4 - 1;

/// Writes the page tables and the GDT to their places in low memory.
pub(crate) fn write_tables(memory: &GuestMemory) {
    let directory = |gib| layout::PAGE_DIRECTORIES + gib * layout::PAGE_SIZE;
    write_words(memory, layout::GDT, GDT_ENTRIES);
    write_words(memory, layout::PML4, [layout::PDPT | TABLE]);
    write_words(
        memory,
        layout::PDPT,
        (0..layout::PAGE_DIRECTORY_COUNT).map(|gib| directory(gib) | TABLE),
    );
    write_words(
        memory,
        directory(0),
        (0..layout::PAGE_DIRECTORY_COUNT * ENTRIES)
            .map(|page| (page * LARGE_PAGE_SIZE) | LARGE_PAGE),
    );
}

fn write_words(memory: &GuestMemory, address: u64, words: impl IntoIterator<Item = u64>) {
    let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
    memory
        .write_slice(&bytes, GuestAddress(address))
        .expect("low memory is RAM in every machine");
}

/// The segment register that loading `selector` from the GDT gives.
pub(super) fn segment(selector: u16) -> kvm_segment {
    let descriptor = GDT_ENTRIES[usize::from(selector / 8)];
    let bit = |index: u32| u8::from(descriptor >> index & 1 == 1);
    let field = |index: u32, mask: u64| {
        u8::try_from(descriptor >> index & mask).expect("fields of at most 4 bits")
    };
    kvm_segment {
        base: 0,
        // Both are page-granular and as large as can be.
        limit: u32::MAX,
        selector,
        type_: field(40, 0xF),
        s: bit(44),
        dpl: field(45, 0x3),
        present: bit(47),
        avl: bit(52),
        l: bit(53),
        db: bit(54),
        g: bit(55),
        unusable: 0,
        padding: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    fn word(memory: &GuestMemory, address: u64) -> u64 {
        memory.read_obj(GuestAddress(address)).unwrap()
    }

    /// Translates as the processor does.
    fn walk(memory: &GuestMemory, address: u64) -> u64 {
        let mut table = layout::PML4;
        for level in [39, 30] {
            let entry = word(memory, table + (address >> level & 0x1FF) * 8);
            assert_eq!(entry & 0xFFF, TABLE);
            table = entry & !0xFFF;
        }
        let entry = word(memory, table + (address >> 21 & 0x1FF) * 8);
        assert_eq!(entry & 0xFFF, LARGE_PAGE);
        (entry & !0xFFF) + address % LARGE_PAGE_SIZE
    }

    #[test]
    fn the_first_four_gibibytes_map_to_themselves() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        write_tables(&memory);
        for address in [
            0,
            0x20_0000,
            0x1234_5678,
            0xC000_0000,
            layout::APIC_PAGE,
            0xFFFF_FFFF,
        ] {
            assert_eq!(walk(&memory, address), address, "{address:#x}");
        }
        assert_eq!(word(&memory, layout::PML4 + 8), 0);
        assert_eq!(word(&memory, layout::PDPT + 4 * 8), 0);
    }

    #[test]
    fn segment_registers_match_the_descriptors() {
        let code = segment(CODE_SELECTOR);
        assert_eq!((code.type_, code.s, code.present), (0xB, 1, 1));
        assert_eq!((code.l, code.db, code.dpl), (1, 0, 0));
        let data = segment(DATA_SELECTOR);
        assert_eq!((data.type_, data.s, data.present), (0x3, 1, 1));
        assert_eq!((data.l, data.db, data.g), (0, 1, 1));
    }
}
