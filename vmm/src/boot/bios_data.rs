//! The words of the BIOS data area that kernels read on a PC (Linux, arch/x86/kernel/ebda.c; Xen,
//! xen/arch/x86/boot): where conventional RAM ends, and where to start looking for tables.

use vm_memory::{Bytes, GuestAddress};

use crate::layout;
use crate::memory::GuestMemory;

/// Writes the words, and the size that the extended area starts with.
pub(super) fn write(memory: &GuestMemory) {
    let segment = layout::EBDA >> 4;
    for (address, word) in [
        (layout::BDA_COM1, layout::SERIAL_PORT.into()),
        (layout::BDA_EBDA_SEGMENT, segment),
        (layout::BDA_BASE_MEMORY, layout::LOW_RAM_END >> 10),
        (layout::EBDA, layout::EBDA_SIZE >> 10),
    ] {
        let word = u16::try_from(word).expect("a segment, a port or KiB below 1 MiB");
        memory
            .write_obj(word, GuestAddress(address))
            .expect("low memory is RAM in every machine");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn the_words_are_where_a_pc_has_them() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        write(&memory);
        let word = |address| memory.read_obj::<u16>(GuestAddress(address)).unwrap();
        assert_eq!([0x400, 0x40E, 0x413].map(word), [0x3F8, 0x9FC0, 639]);
        assert_eq!(word(0x9_FC00), 1);
    }
}
