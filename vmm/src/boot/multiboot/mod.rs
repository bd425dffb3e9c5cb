//! Multiboot (Multiboot Specification 0.6.96): Xen, and most kernels made for QEMU's `-kernel`.
//!
//! The kernel is an ELF file of either class or, where its header has addresses, a flat image; it
//! is entered in 32-bit protected mode with the information structure in EBX.

mod header;
mod info;
mod modules;

use std::path::Path;

pub(super) use header::Header;

use super::elf;
use super::{BootError, Entry, Image, Kernel, command_line, segment};
use crate::memory::GuestMemory;

/// Loads `kernel`, which has `header`, with all that `image` says it is to have.
pub(super) fn load(
    memory: &GuestMemory,
    image: &Image<'_>,
    kernel: &[u8],
    header: &Header,
    name: &str,
) -> Result<Entry, BootError> {
    let elf::Loaded { entry, end } = match header.flat(kernel, name)? {
        Some(flat) => {
            let end = segment::check(&[flat.segment], kernel, memory, name)?;
            flat.segment.copy(kernel, memory);
            elf::Loaded {
                entry: flat.entry.into(),
                end,
            }
        }
        None => elf::load_any_class(memory, kernel, name)?,
    };
    let path = match image.kernel {
        Kernel::File(path) => path,
        Kernel::Embedded => Path::new("kernel"),
    };
    let text = modules::with_name(path, image.command_line);
    command_line::write(memory, &text, command_line::LONGEST)?;
    let modules = modules::load(memory, image.initramfs, end)?;
    Ok(Entry::Multiboot {
        eip: entry,
        info: info::write(memory, &modules)?,
    })
}

#[cfg(test)]
mod tests;
