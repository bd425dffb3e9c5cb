//! The initial ramdisk: high in the RAM below the hole, as far from the kernel as can be, because
//! a kernel may unpack itself over what follows it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use vm_memory::{Bytes, GuestAddress};

use super::{BootError, file};
use crate::layout;
use crate::memory::{self, GuestMemory};

/// What to give in place of a path that leads to no file.
const WANTED: &str = "--initramfs the path of a file";

/// Where the initial ramdisk comes from, or the modules of a multiboot kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Initramfs {
    /// Bytes this program has; a single module for a multiboot kernel.
    Bytes(Cow<'static, [u8]>),
    /// A file the user names. For a multiboot kernel the name may be followed by a space and the
    /// module's command line, and by a comma and further modules; two commas are a comma.
    File(PathBuf),
}

/// An initial ramdisk in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placed {
    /// Guest-physical start, page aligned.
    pub(super) address: u32,
    /// Its length in bytes.
    pub(super) size: u32,
}

/// Reads the file at `path`.
pub(super) fn read(path: &Path, memory: &GuestMemory) -> Result<Vec<u8>, BootError> {
    let name = format!("initramfs {path:?}");
    file::read(path, &name, WANTED, memory::low_end(memory))
}

/// Copies it to the highest place that ends at `last` or lower, above `kernel_end`.
pub(super) fn load(
    memory: &GuestMemory,
    initramfs: &Initramfs,
    kernel_end: u64,
    last: u64,
) -> Result<Placed, BootError> {
    let bytes = match initramfs {
        Initramfs::Bytes(bytes) => bytes.clone(),
        Initramfs::File(path) => read(path, memory)?.into(),
    };
    let end = memory::low_end(memory).min(last.saturating_add(1));
    let kernel_end = kernel_end.next_multiple_of(layout::PAGE_SIZE);
    let size = bytes.len() as u64;
    let address = end
        .checked_sub(size)
        .map(|start| start - start % layout::PAGE_SIZE)
        .filter(|start| *start >= kernel_end)
        .ok_or(BootError::InitramfsDoesNotFit {
            size,
            room: end.saturating_sub(kernel_end),
        })?;
    memory
        .write_slice(&bytes, GuestAddress(address))
        .expect("it ends below the end of RAM");
    Ok(Placed {
        address: u32::try_from(address).expect("RAM below the hole"),
        size: u32::try_from(size).expect("less than the RAM below the hole"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn place(size: u64, kernel_end: u64, last: u64) -> Result<Placed, BootError> {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        let bytes = vec![0x5A; usize::try_from(size).unwrap()];
        let placed = load(
            &memory,
            &Initramfs::Bytes(bytes.clone().into()),
            kernel_end,
            last,
        )?;
        let mut copied = vec![0; bytes.len()];
        memory
            .read_slice(&mut copied, GuestAddress(placed.address.into()))
            .unwrap();
        assert_eq!(copied, bytes);
        Ok(placed)
    }

    #[test]
    fn it_lies_as_high_as_it_may_on_a_page() {
        let at = |size, last| place(size, 2 * MIB, last).unwrap().address;
        assert_eq!(at(0x1000, layout::INITRAMFS_ADDRESS_MAX), 0xFF_F000);
        assert_eq!(at(0x1001, u64::MAX), 0xFF_E000);
        assert_eq!(at(1, 0x7F_FFFF), 0x7F_F000);
        assert_eq!(at(1, 0x7F_FFFE), 0x7F_F000);
    }

    #[test]
    fn it_stays_clear_of_the_kernel() {
        assert!(place(14 * MIB, 2 * MIB, u64::MAX).is_ok());
        for (size, kernel_end) in [(14 * MIB, 2 * MIB + 1), (20 * MIB, 2 * MIB), (1, 16 * MIB)] {
            assert!(matches!(
                place(size, kernel_end, u64::MAX),
                Err(BootError::InitramfsDoesNotFit { .. })
            ));
        }
    }
}
