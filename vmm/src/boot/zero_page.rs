//! `boot_params`, the page a Linux boot loader leaves for the kernel (Linux,
//! Documentation/arch/x86/zero-page.rst): the RAM map and where the command line is.

use linux_loader::bootparam::{boot_e820_entry, boot_params};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryRegion};

use super::BootError;
use crate::layout;
use crate::memory::{self, GuestMemory};

/// `setup_header.boot_flag`, the boot sector's signature.
const BOOT_FLAG: u16 = 0xAA55;
/// `setup_header.header`, "HdrS".
const HEADER_MAGIC: u32 = 0x5372_6448;
/// `setup_header.type_of_loader` of a loader with no number of its own.
const LOADER_UNDEFINED: u8 = 0xFF;

const E820_RAM: u32 = 1;
const E820_RESERVED: u32 = 2;

/// Writes `command_line` and the zero page that points at it.
pub(super) fn write(memory: &GuestMemory, command_line: &str) -> Result<(), BootError> {
    let most = layout::COMMAND_LINE_SIZE - 1;
    if command_line.len() > most {
        return Err(BootError::CommandLineTooLong {
            length: command_line.len(),
            most,
        });
    }
    if let Some(character) = command_line.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(BootError::CommandLineCharacter { character });
    }
    let terminated = [command_line.as_bytes(), b"\0"].concat();
    memory
        .write_slice(&terminated, GuestAddress(layout::COMMAND_LINE))
        .and_then(|()| memory.write_obj(zero_page(memory), GuestAddress(layout::BOOT_PARAMS)))
        .expect("low memory is RAM in every machine");
    Ok(())
}

fn zero_page(memory: &GuestMemory) -> boot_params {
    let mut page = boot_params::default();
    page.hdr.boot_flag = BOOT_FLAG;
    page.hdr.header = HEADER_MAGIC;
    page.hdr.type_of_loader = LOADER_UNDEFINED;
    page.hdr.cmd_line_ptr = u32::try_from(layout::COMMAND_LINE).expect("below 1 MiB");
    page.hdr.cmdline_size = u32::try_from(layout::COMMAND_LINE_SIZE).expect("2 KiB");
    // Copied as a whole: the page is packed, its fields cannot be borrowed.
    let mut table = page.e820_table;
    let map = e820(memory);
    for (slot, entry) in table.iter_mut().zip(&map) {
        *slot = *entry;
    }
    page.e820_table = table;
    page.e820_entries = u8::try_from(map.len()).expect("a handful of entries");
    page
}

/// The RAM map: conventional RAM, RAM up to the hole, KVM's own pages, RAM above 4 GiB.
fn e820(memory: &GuestMemory) -> Vec<boot_e820_entry> {
    let entry = |addr, size, r#type| boot_e820_entry { addr, size, r#type };
    let extended = memory::low_end(memory) - layout::HIGH_RAM_START;
    let mut map = vec![
        entry(0, layout::LOW_RAM_END, E820_RAM),
        entry(layout::HIGH_RAM_START, extended, E820_RAM),
        entry(
            layout::KVM_IDENTITY_MAP,
            layout::KVM_RESERVED_SIZE,
            E820_RESERVED,
        ),
    ];
    if let Some(high) = memory.find_region(GuestAddress(layout::MMIO_HOLE_END)) {
        map.push(entry(layout::MMIO_HOLE_END, high.len(), E820_RAM));
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn the_fields_a_guest_reads_are_where_the_protocol_says() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        write(&memory, "scenario=ping cpus=2").unwrap();
        let at = |offset| GuestAddress(layout::BOOT_PARAMS + offset);

        assert_eq!(memory.read_obj::<u8>(at(0x1E8)).unwrap(), 3);
        let pointer: u32 = memory.read_obj(at(0x228)).unwrap();
        assert_eq!(u64::from(pointer), layout::COMMAND_LINE);
        // Second e820 entry: extended RAM.
        assert_eq!(memory.read_obj::<u64>(at(0x2D0 + 20)).unwrap(), 1 << 20);
        assert_eq!(memory.read_obj::<u64>(at(0x2D0 + 28)).unwrap(), 15 << 20);
        assert_eq!(memory.read_obj::<u32>(at(0x2D0 + 36)).unwrap(), E820_RAM);

        let mut line = [0; 21];
        memory
            .read_slice(&mut line, GuestAddress(layout::COMMAND_LINE))
            .unwrap();
        assert_eq!(&line, b"scenario=ping cpus=2\0");
    }

    #[test]
    fn ram_above_four_gibibytes_is_in_the_map() {
        let map = e820(&memory::create(5 * GIB).unwrap());
        let last = map.last().copied().unwrap();
        assert_eq!(map.len(), 4);
        assert_eq!(
            last,
            boot_e820_entry {
                addr: 4 * GIB,
                size: 2 * GIB,
                r#type: E820_RAM
            }
        );
    }

    #[test]
    fn a_command_line_must_fit_and_be_plain() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        assert!(write(&memory, &"x".repeat(2047)).is_ok());
        assert!(matches!(
            write(&memory, &"x".repeat(2048)),
            Err(BootError::CommandLineTooLong {
                length: 2048,
                most: 2047
            })
        ));
        for bad in ["a\0b", "a\nb", "caf\u{e9}"] {
            let refusal = write(&memory, bad).unwrap_err();
            assert!(
                matches!(refusal, BootError::CommandLineCharacter { .. }),
                "{bad:?}"
            );
            assert!(!refusal.to_string().contains('\n'));
        }
    }
}
