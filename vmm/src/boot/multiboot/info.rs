//! The information a multiboot kernel is given (Multiboot Specification 0.6.96, 3.3).

use vm_memory::{Bytes, GuestAddress};

use super::modules::Module;
use crate::boot::{BootError, ram_map};
use crate::layout;
use crate::memory::{self, GuestMemory};

/// Length of the structure up to `boot_loader_name`, the last field that is filled in here; the
/// kernel may copy it all, so there is room for it all.
const SIZE: usize = 120;
/// Flags: the fields that are valid. Memory sizes, command line, modules, memory map, loader's name.
const FLAGS: u32 = 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
const LOADER: &[u8] = b"vapic\0";

/// Offsets of the fields.
const MEM_LOWER: usize = 4;
const MEM_UPPER: usize = 8;
const CMDLINE: usize = 16;
const MODS_COUNT: usize = 20;
const MODS_ADDR: usize = 24;
const MMAP_LENGTH: usize = 44;
const MMAP_ADDR: usize = 48;
const BOOT_LOADER_NAME: usize = 64;

/// Writes the structure and what it points at, except the command line and the modules themselves,
/// and returns its address.
pub(super) fn write(memory: &GuestMemory, modules: &[Module]) -> Result<u64, BootError> {
    let mut area = Area(vec![0; SIZE]);
    area.set(0, FLAGS);
    let upper = memory::low_end(memory) - layout::HIGH_RAM_START;
    area.set(MEM_LOWER, narrow(layout::LOW_RAM_END >> 10));
    area.set(MEM_UPPER, narrow(upper >> 10));
    area.set(CMDLINE, narrow(layout::COMMAND_LINE));

    let mut list = Vec::new();
    for module in modules {
        let text = area.add(&[module.command_line.as_bytes(), b"\0"].concat());
        let words = [module.start, module.end, text, 0];
        list.extend(words.into_iter().flat_map(u32::to_le_bytes));
    }
    let list = area.add(&list);
    area.set(MODS_COUNT, narrow(modules.len() as u64));
    area.set(MODS_ADDR, list);

    let map = memory_map(memory);
    area.set(MMAP_LENGTH, narrow(map.len() as u64));
    let map = area.add(&map);
    area.set(MMAP_ADDR, map);
    let loader = area.add(LOADER);
    area.set(BOOT_LOADER_NAME, loader);

    if area.0.len() as u64 > layout::MULTIBOOT_INFO_SIZE {
        return Err(BootError::TooManyModules {
            count: modules.len(),
        });
    }
    memory
        .write_slice(&area.0, GuestAddress(layout::MULTIBOOT_INFO))
        .expect("low memory is RAM in every machine");
    Ok(layout::MULTIBOOT_INFO)
}

/// The RAM map: each entry's size, which does not count itself, before the entry.
fn memory_map(memory: &GuestMemory) -> Vec<u8> {
    let mut map = Vec::new();
    for entry in ram_map::e820(memory) {
        map.extend(20u32.to_le_bytes());
        map.extend(u64::to_le_bytes(entry.addr));
        map.extend(u64::to_le_bytes(entry.size));
        map.extend(u32::to_le_bytes(entry.r#type));
    }
    map
}

/// The bytes from [`layout::MULTIBOOT_INFO`] on.
struct Area(Vec<u8>);

impl Area {
    fn set(&mut self, offset: usize, value: u32) {
        self.0[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }

    /// Appends `bytes` at the next multiple of 4 and returns their guest-physical address.
    fn add(&mut self, bytes: &[u8]) -> u32 {
        let offset = self.0.len().next_multiple_of(4);
        self.0.resize(offset, 0);
        self.0.extend(bytes);
        narrow(layout::MULTIBOOT_INFO + offset as u64)
    }
}

fn narrow(value: u64) -> u32 {
    u32::try_from(value).expect("addresses, KiB and lengths below 4 GiB")
}
