//! bzImage (Linux, Documentation/arch/x86/boot.rst): the header is checked here, the copying is
//! linux-loader's.

use std::io::Cursor;

use linux_loader::bootparam::setup_header;
use linux_loader::loader::{BzImage, KernelLoader};
use vm_memory::{ByteValued, GuestAddress};

use super::BootError;
use super::zero_page::HEADER_MAGIC;
use crate::layout;
use crate::memory::{self, GuestMemory};

/// Where the setup header starts in the file.
const HEADER: usize = 0x1F1;
/// Where its magic is.
const MAGIC: usize = 0x202;
/// The byte that says how far behind itself and the magic's place the header reaches.
const JUMP: usize = 0x201;
/// The protocol from which there is a 64-bit entry (`xloadflags`): Linux 3.8.
const VERSION_64_BIT: u16 = 0x020C;
/// `loadflags`: the protected-mode code loads high, which makes it a bzImage.
const LOADED_HIGH: u8 = 1;
/// `xloadflags`: the kernel has the 64-bit entry.
const KERNEL_64: u16 = 1;
/// The 64-bit entry, from the start of the protected-mode code on.
const ENTRY_64: u64 = 0x200;
const SECTOR: usize = 512;
/// `syssize` counts in these.
const PARAGRAPH: u64 = 16;

/// A bzImage in guest memory.
#[derive(Debug)]
pub(super) struct Loaded {
    /// First instruction, in 64-bit mode.
    pub(super) entry: u64,
    /// End of the memory the kernel needs until it has found out what else there is.
    pub(super) end: u64,
    /// Its setup header.
    pub(super) header: setup_header,
}

/// Whether this is an image with a setup header.
pub(super) fn is_one(image: &[u8]) -> bool {
    image.get(MAGIC..MAGIC + 4) == Some(&HEADER_MAGIC.to_le_bytes())
}

/// Copies the kernel to where it prefers to be. Nothing is written unless its header is sound;
/// `name` goes into the errors.
pub(super) fn load(memory: &GuestMemory, image: &[u8], name: &str) -> Result<Loaded, BootError> {
    let header = header(image, name)?;
    let (start, end) = place(memory, image, &header, name)?;
    let loaded = BzImage::load(
        memory,
        Some(GuestAddress(start)),
        &mut Cursor::new(image),
        None,
    )
    .map_err(|source| BootError::Copy {
        kernel: name.to_owned(),
        source,
    })?;
    Ok(Loaded {
        entry: start + ENTRY_64,
        end,
        header: setup_header {
            code32_start: u32::try_from(loaded.kernel_load.0).expect("RAM below the hole"),
            ..header
        },
    })
}

/// The setup header as far as the image says it has one: what follows is code, and would be taken
/// for fields of a newer protocol.
fn header(image: &[u8], name: &str) -> Result<setup_header, BootError> {
    let broken = |reason| {
        Err(BootError::Broken {
            kernel: name.to_owned(),
            reason,
        })
    };
    let Some(jump) = image.get(JUMP) else {
        return Err(truncated(image, MAGIC as u64, name));
    };
    let mut header = setup_header::default();
    let length = (MAGIC - HEADER + usize::from(*jump)).min(header.as_slice().len());
    let end = HEADER + length;
    let Some(bytes) = image.get(HEADER..end) else {
        return Err(truncated(image, end as u64, name));
    };
    header.as_mut_slice()[..length].copy_from_slice(bytes);
    let (version, xloadflags) = (header.version, header.xloadflags);
    if version < VERSION_64_BIT || xloadflags & KERNEL_64 == 0 {
        return broken("it has no 64-bit entry, as kernels for 32-bit processors and before 3.8");
    }
    if header.loadflags & LOADED_HIGH == 0 {
        return broken("its code loads below 1 MiB");
    }
    Ok(header)
}

/// Start and end of the memory the kernel needs.
fn place(
    memory: &GuestMemory,
    image: &[u8],
    header: &setup_header,
    name: &str,
) -> Result<(u64, u64), BootError> {
    let kernel = || name.to_owned();
    // 0 means 4, for the sake of very old kernels.
    let sectors = match header.setup_sects {
        0 => 4,
        sectors => usize::from(sectors),
    };
    let setup = (sectors + 1) * SECTOR;
    let code = u64::from(header.syssize) * PARAGRAPH;
    let needed = setup as u64 + code.max(ENTRY_64 + 1);
    // The last paragraph may be cut short.
    if (image.len() as u64) + PARAGRAPH <= needed || image.len() <= setup {
        return Err(truncated(image, needed, name));
    }
    let in_file = (image.len() - setup) as u64;
    let start = header.pref_address;
    if start < layout::HIGH_RAM_START {
        return Err(BootError::OverlapsLowMemory {
            kernel: kernel(),
            start,
        });
    }
    let in_memory = u64::from(header.init_size).max(in_file);
    let ram_end = memory::low_end(memory);
    match start.checked_add(in_memory) {
        Some(end) if end <= ram_end => Ok((start, end)),
        end => Err(BootError::DoesNotFit {
            kernel: kernel(),
            end: end.unwrap_or(u64::MAX),
            ram_end,
        }),
    }
}

fn truncated(image: &[u8], needed: u64, name: &str) -> BootError {
    BootError::Truncated {
        kernel: name.to_owned(),
        needed,
        length: image.len() as u64,
    }
}

#[cfg(test)]
#[path = "bzimage_tests.rs"]
mod tests;
