//! The Linux 64-bit boot protocol (Linux, Documentation/arch/x86/boot.rst), for a bzImage and for
//! an ELF64 file such as vmlinux or the guest of this project.

use linux_loader::bootparam::setup_header;

use super::{BootError, Entry, Image, bzimage, command_line, elf, initramfs, long_mode, zero_page};
use crate::layout;
use crate::memory::GuestMemory;

/// A kernel in guest memory.
struct Kernel {
    entry: u64,
    end: u64,
    header: setup_header,
    /// The last address its ramdisk may reach.
    initramfs_last: u64,
}

/// Loads the bzImage `kernel` with all that `image` says it is to have.
pub(super) fn load_bzimage(
    memory: &GuestMemory,
    image: &Image<'_>,
    kernel: &[u8],
    name: &str,
    rsdp: u64,
) -> Result<Entry, BootError> {
    let bzimage::Loaded { entry, end, header } = bzimage::load(memory, kernel, name)?;
    let loaded = Kernel {
        entry,
        end,
        header,
        initramfs_last: header.initrd_addr_max.into(),
    };
    complete(memory, image, &loaded, rsdp)
}

/// Loads the ELF64 file `kernel` with all that `image` says it is to have.
pub(super) fn load_elf(
    memory: &GuestMemory,
    image: &Image<'_>,
    kernel: &[u8],
    name: &str,
    rsdp: u64,
) -> Result<Entry, BootError> {
    let elf::Loaded { entry, end } = elf::load(memory, kernel, name)?;
    let loaded = Kernel {
        entry,
        end,
        header: zero_page::plain_header(),
        initramfs_last: layout::INITRAMFS_ADDRESS_MAX,
    };
    complete(memory, image, &loaded, rsdp)
}

fn complete(
    memory: &GuestMemory,
    image: &Image<'_>,
    kernel: &Kernel,
    rsdp: u64,
) -> Result<Entry, BootError> {
    let most = usize::try_from(kernel.header.cmdline_size).unwrap_or(usize::MAX);
    command_line::write(memory, image.command_line, most)?;
    let initramfs = image
        .initramfs
        .map(|initramfs| initramfs::load(memory, initramfs, kernel.end, kernel.initramfs_last))
        .transpose()?;
    zero_page::write(memory, kernel.header, initramfs, rsdp);
    long_mode::write_tables(memory);
    Ok(Entry::Linux {
        rip: kernel.entry,
        boot_params: layout::BOOT_PARAMS,
    })
}
