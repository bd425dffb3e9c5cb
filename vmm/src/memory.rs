//! Guest RAM: its size, where it lies, and KVM's view of it.
#![expect(
    unsafe_code,
    reason = "KVM_SET_USER_MEMORY_REGION hands our addresses to the kernel"
)]

use kvm_bindings::kvm_userspace_memory_region;
use kvm_ioctls::VmFd;
use vm_memory::mmap::FromRangesError;
use vm_memory::{
    Address, GuestAddress, GuestMemoryBackend, GuestMemoryRegion, MemoryRegionAddress,
};

use crate::layout;

/// RAM of a guest: one region below the MMIO hole and, for more than 3 GiB, one from 4 GiB up.
pub type GuestMemory = vm_memory::GuestMemoryMmap<()>;

/// The least RAM a machine can have, in bytes: the boot structures, a kernel and its stacks.
pub const MIN_SIZE: u64 = 16 << 20;

/// The most RAM a machine can have, in bytes: with the hole it stays inside 39 physical address
/// bits, the fewest of any processor KVM runs 64-bit guests on.
pub const MAX_SIZE: u64 = 256 << 30;

/// Why there is no guest RAM.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Fewer than [`MIN_SIZE`] bytes.
    #[error("{size} bytes of guest memory are too few: give at least 16 MiB (--memory 16M)")]
    TooSmall {
        /// What was asked for, in bytes.
        size: u64,
    },
    /// More than [`MAX_SIZE`] bytes.
    #[error("{size} bytes of guest memory are too many: give at most 256 GiB (--memory 256G)")]
    TooLarge {
        /// What was asked for, in bytes.
        size: u64,
    },
    /// Not a whole number of pages.
    #[error(
        "{size} bytes of guest memory are not a multiple of 4 KiB: round the size to whole pages"
    )]
    Misaligned {
        /// What was asked for, in bytes.
        size: u64,
    },
    /// The host did not give the memory.
    #[error("the host cannot map {size} bytes for the guest: give a smaller --memory")]
    Map {
        /// What was asked for, in bytes.
        size: u64,
        /// What the mapping call said.
        #[source]
        source: FromRangesError,
    },
    /// KVM did not take the memory.
    #[error("KVM refuses a memory slot of {size} bytes at {start:#x}: give a smaller --memory")]
    Slot {
        /// Guest-physical start of the region.
        start: u64,
        /// Its length in bytes.
        size: u64,
        /// KVM's answer.
        #[source]
        source: kvm_ioctls::Error,
    },
}

/// Reserves `size` bytes of guest RAM, all zero; the host spends a page when it is first touched.
pub fn create(size: u64) -> Result<GuestMemory, MemoryError> {
    if size < MIN_SIZE {
        return Err(MemoryError::TooSmall { size });
    }
    if size > MAX_SIZE {
        return Err(MemoryError::TooLarge { size });
    }
    if !size.is_multiple_of(layout::PAGE_SIZE) {
        return Err(MemoryError::Misaligned { size });
    }
    GuestMemory::from_ranges(&ranges(size)).map_err(|source| MemoryError::Map { size, source })
}

/// Where `size` bytes of RAM lie: (start, length) in ascending order.
fn ranges(size: u64) -> Vec<(GuestAddress, usize)> {
    let low = size.min(layout::MMIO_HOLE);
    [(0, low), (layout::MMIO_HOLE_END, size - low)]
        .into_iter()
        .filter(|&(_, length)| length > 0)
        .map(|(start, length)| {
            (
                GuestAddress(start),
                usize::try_from(length).expect("a 64-bit host, as KVM needs"),
            )
        })
        .collect()
}

/// End of the RAM that starts at address 0, exclusive: the room for a kernel image.
pub fn low_end(memory: &GuestMemory) -> u64 {
    memory
        .find_region(GuestAddress(0))
        .map_or(0, GuestMemoryRegion::len)
}

/// Makes `memory` the RAM of `vm`, one KVM slot a region.
///
/// # Errors
/// [`MemoryError::Slot`] when KVM refuses one, as it does for a VM that already has slots.
///
/// # Safety
/// `memory` or a clone of it must stay alive until the last vCPU of `vm` has run for the last
/// time: the guest writes to these host addresses without asking.
pub unsafe fn register(vm: &VmFd, memory: &GuestMemory) -> Result<(), MemoryError> {
    for (slot, region) in (0..).zip(memory.iter()) {
        let (start, size) = (region.start_addr().raw_value(), region.len());
        let host = region
            .get_host_address(MemoryRegionAddress(0))
            .expect("an anonymous mapping has a host address");
        let slot = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: start,
            memory_size: size,
            userspace_addr: host as u64,
        };
        // SAFETY: the region is a live mapping of exactly `size` bytes, regions of one
        // GuestMemory never overlap, and the caller keeps the mapping alive.
        unsafe { vm.set_user_memory_region(slot) }.map_err(|source| MemoryError::Slot {
            start,
            size,
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn layout_of(size: u64) -> Vec<(u64, u64)> {
        ranges(size)
            .into_iter()
            .map(|(start, length)| (start.0, length as u64))
            .collect()
    }

    #[test]
    fn ram_goes_around_the_mmio_hole() {
        assert_eq!(layout_of(MIN_SIZE), [(0, MIN_SIZE)]);
        assert_eq!(layout_of(3 * GIB), [(0, 3 * GIB)]);
        assert_eq!(layout_of(3 * GIB + 4096), [(0, 3 * GIB), (4 * GIB, 4096)]);
        assert_eq!(layout_of(8 * GIB), [(0, 3 * GIB), (4 * GIB, 5 * GIB)]);
    }

    #[test]
    fn sizes_are_checked_before_anything_is_mapped() {
        assert!(matches!(create(0), Err(MemoryError::TooSmall { size: 0 })));
        assert!(matches!(
            create(MIN_SIZE - 4096),
            Err(MemoryError::TooSmall { .. })
        ));
        assert!(matches!(
            create(MIN_SIZE + 1),
            Err(MemoryError::Misaligned { .. })
        ));
        assert!(matches!(
            create(MAX_SIZE + 4096),
            Err(MemoryError::TooLarge { .. })
        ));
        assert!(matches!(
            create(u64::MAX),
            Err(MemoryError::TooLarge { .. })
        ));
    }

    #[test]
    fn low_end_is_the_end_of_ram_below_the_hole() {
        assert_eq!(low_end(&create(MIN_SIZE).unwrap()), MIN_SIZE);
        assert_eq!(low_end(&create(4 * GIB).unwrap()), layout::MMIO_HOLE);
    }
}
