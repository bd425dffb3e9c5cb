//! `boot_params`, the page a Linux boot loader leaves for the kernel (Linux,
//! Documentation/arch/x86/zero-page.rst): its own setup header back, and what the loader adds.

use linux_loader::bootparam::{boot_params, setup_header};
use vm_memory::{Bytes, GuestAddress};

use super::initramfs::Placed;
use super::{command_line, ram_map};
use crate::layout;
use crate::memory::GuestMemory;

/// `setup_header.boot_flag`, the boot sector's signature.
const BOOT_FLAG: u16 = 0xAA55;
/// `setup_header.header`, "HdrS".
pub(super) const HEADER_MAGIC: u32 = 0x5372_6448;
/// `setup_header.type_of_loader` of a loader with no number of its own.
const LOADER_UNDEFINED: u8 = 0xFF;
/// `setup_header.vid_mode`: the mode that is.
const VIDEO_NORMAL: u16 = 0xFFFF;
/// `setup_header.loadflags`: the kernel's code lies at 1 MiB or higher.
const LOADED_HIGH: u8 = 1;
/// `setup_header.loadflags`: there is a heap for real-mode code, which nobody runs here.
const CAN_USE_HEAP: u8 = 1 << 7;

/// The setup header of an image that has none, as an ELF file.
pub(super) fn plain_header() -> setup_header {
    setup_header {
        boot_flag: BOOT_FLAG,
        header: HEADER_MAGIC,
        cmdline_size: u32::try_from(command_line::LONGEST).expect("2 KiB"),
        ..Default::default()
    }
}

/// Writes the zero page: `header`, completed, with all that the kernel is to find.
pub(super) fn write(
    memory: &GuestMemory,
    header: setup_header,
    initramfs: Option<Placed>,
    rsdp: u64,
) {
    let mut page = boot_params {
        hdr: complete(header, initramfs),
        acpi_rsdp_addr: rsdp,
        ..Default::default()
    };
    // Copied as a whole: the page is packed, its fields cannot be borrowed.
    let mut table = page.e820_table;
    let map = ram_map::e820(memory);
    for (slot, entry) in table.iter_mut().zip(&map) {
        *slot = *entry;
    }
    page.e820_table = table;
    page.e820_entries = u8::try_from(map.len()).expect("a handful of entries");
    memory
        .write_obj(page, GuestAddress(layout::BOOT_PARAMS))
        .expect("low memory is RAM in every machine");
}

/// What a loader fills in (Linux, Documentation/arch/x86/boot.rst, "the real-mode kernel header").
fn complete(kernels: setup_header, initramfs: Option<Placed>) -> setup_header {
    let (address, size) = initramfs.map_or((0, 0), |placed| (placed.address, placed.size));
    setup_header {
        vid_mode: VIDEO_NORMAL,
        type_of_loader: LOADER_UNDEFINED,
        ext_loader_type: 0,
        ext_loader_ver: 0,
        loadflags: kernels.loadflags & !CAN_USE_HEAP | LOADED_HIGH,
        heap_end_ptr: 0,
        ramdisk_image: address,
        ramdisk_size: size,
        cmd_line_ptr: u32::try_from(layout::COMMAND_LINE).expect("below 1 MiB"),
        setup_data: 0,
        ..kernels
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn the_fields_a_guest_reads_are_where_the_protocol_says() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        let placed = Placed {
            address: 0xF0_0000,
            size: 12345,
        };
        write(&memory, plain_header(), Some(placed), 0xE_0000);
        let byte = |offset| {
            memory
                .read_obj::<u8>(GuestAddress(layout::BOOT_PARAMS + offset))
                .unwrap()
        };
        let word = |offset| {
            memory
                .read_obj::<u32>(GuestAddress(layout::BOOT_PARAMS + offset))
                .unwrap()
        };
        let long = |offset| {
            memory
                .read_obj::<u64>(GuestAddress(layout::BOOT_PARAMS + offset))
                .unwrap()
        };
        assert_eq!(long(0x070), 0xE_0000, "acpi_rsdp_addr");
        assert_eq!(byte(0x1E8), 5, "e820_entries");
        assert_eq!(byte(0x1EF), 0, "sentinel");
        assert_eq!(byte(0x210), 0xFF, "type_of_loader");
        assert_eq!(byte(0x211), 1, "loadflags");
        assert_eq!((word(0x218), word(0x21C)), (0xF0_0000, 12345), "ramdisk");
        assert_eq!(u64::from(word(0x228)), layout::COMMAND_LINE);
        assert_eq!(word(0x238), 2047, "cmdline_size");
        // Fourth e820 entry: extended RAM.
        assert_eq!(long(0x2D0 + 3 * 20), 1 << 20);
        assert_eq!(long(0x2D0 + 3 * 20 + 8), 15 << 20);
        assert_eq!(word(0x2D0 + 3 * 20 + 16), ram_map::RAM);
    }

    #[test]
    fn what_the_kernel_says_of_itself_stays() {
        let header = setup_header {
            version: 0x20F,
            loadflags: 0x83,
            init_size: 0x123_4567,
            setup_data: 0x9999,
            cmdline_size: 2047,
            ..plain_header()
        };
        let complete = complete(header, None);
        // Copied: the header is packed.
        let (version, init_size, setup_data) =
            (complete.version, complete.init_size, complete.setup_data);
        assert_eq!(
            (version, init_size, setup_data, complete.loadflags),
            (0x20F, 0x123_4567, 0, 0x03)
        );
    }
}
