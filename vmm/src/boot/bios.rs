//! What a PC's BIOS leaves behind, as far as kernels want it: the words of its data area (Linux,
//! arch/x86/kernel/ebda.c; Xen, xen/arch/x86/boot/head.S), and interrupt vectors for real mode.
//!
//! There is no BIOS, so each of its services fails, in the way its callers check for: with the
//! carry flag. Xen asks for a memory map, disks and a video mode, and then goes by what multiboot
//! told it.

use vm_memory::{Bytes, GuestAddress};

use crate::layout;
use crate::memory::GuestMemory;

/// The handler of every vector: sets the carry flag that IRET will restore.
const UNSUPPORTED: &[u8] = &[
    0x55, //                   push bp
    0x89, 0xE5, //             mov  bp, sp
    0x80, 0x4E, 0x06, 0x01, // or   byte [bp + 6], 1
    0x5D, //                   pop  bp
    0xCF, //                   iret
];
const VECTORS: usize = 256;

/// Writes all of it.
pub(super) fn write(memory: &GuestMemory) {
    let handler = layout::BIOS_HANDLER >> 4 << 16;
    let handler = u32::try_from(handler).expect("a segment, and offset 0");
    let vectors: Vec<u8> = [handler.to_le_bytes(); VECTORS].concat();
    let words = [
        (layout::BDA_COM1, layout::SERIAL_PORT.into()),
        (layout::BDA_EBDA_SEGMENT, layout::EBDA >> 4),
        (layout::BDA_BASE_MEMORY, layout::LOW_RAM_END >> 10),
        (layout::EBDA, layout::EBDA_SIZE >> 10),
    ]
    .map(|(address, word)| {
        let word = u16::try_from(word).expect("a segment, a port or KiB below 1 MiB");
        (address, word.to_le_bytes())
    });
    let bytes = [
        (layout::INTERRUPT_VECTORS, &vectors[..]),
        (layout::BIOS_HANDLER, UNSUPPORTED),
    ]
    .into_iter()
    .chain(words.iter().map(|(address, word)| (*address, &word[..])));
    for (address, bytes) in bytes {
        memory
            .write_slice(bytes, GuestAddress(address))
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
        // INT 15H, as offset and segment.
        assert_eq!([0x54, 0x56].map(word), [0, 0xFF00]);
        assert_eq!(word(0xF_F000), u16::from_le_bytes([0x55, 0x89]));
    }
}
