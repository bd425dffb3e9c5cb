//! A piece of a kernel file and the guest memory it goes to.

use vm_memory::{Bytes, GuestAddress};

use super::BootError;
use crate::layout;
use crate::memory::{self, GuestMemory};

/// Bytes of the file, and zeros up to the size in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// First byte in the file.
    pub(super) offset: u64,
    /// Bytes in the file.
    pub(super) file_size: u64,
    /// Guest-physical start.
    pub(super) start: u64,
    /// Bytes in memory.
    pub(super) memory_size: u64,
}

/// That all segments, in ascending order, are in the file and fit into the RAM a kernel may use,
/// side by side; returns where they end. `name` goes into the errors.
pub(super) fn check(
    segments: &[Segment],
    image: &[u8],
    memory: &GuestMemory,
    name: &str,
) -> Result<u64, BootError> {
    let ram_end = memory::low_end(memory);
    let mut end = 0;
    for segment in segments {
        let segment_end = segment.check(image, ram_end, name)?;
        // Or tens of thousands of headers could each copy the whole file to the same place.
        if segment.start < end {
            return Err(broken(name, "two segments overlap"));
        }
        end = segment_end;
    }
    Ok(end)
}

impl Segment {
    fn check(&self, image: &[u8], ram_end: u64, name: &str) -> Result<u64, BootError> {
        let kernel = || name.to_owned();
        reaches(image, self.offset.checked_add(self.file_size), name)?;
        if self.file_size > self.memory_size {
            return Err(broken(
                name,
                "a segment is larger in the file than in memory",
            ));
        }
        let start = self.start;
        let Some(end) = start.checked_add(self.memory_size) else {
            return Err(broken(name, "a segment ends beyond the address space"));
        };
        if start < layout::HIGH_RAM_START {
            return Err(BootError::OverlapsLowMemory {
                kernel: kernel(),
                start,
            });
        }
        if end > ram_end {
            return Err(BootError::DoesNotFit {
                kernel: kernel(),
                end,
                ram_end,
            });
        }
        Ok(end)
    }

    /// Whether the bytes of the file cover `address`.
    pub(super) fn holds(&self, address: u64) -> bool {
        address
            .checked_sub(self.start)
            .is_some_and(|offset| offset < self.file_size)
    }

    /// Copies the bytes to new, all-zero memory, once [`check`] has found nothing.
    pub(super) fn copy(&self, image: &[u8], memory: &GuestMemory) {
        let range = |start: u64, size: u64| {
            let start = usize::try_from(start).ok()?;
            image.get(start..start.checked_add(usize::try_from(size).ok()?)?)
        };
        let bytes = range(self.offset, self.file_size).expect("the segment is in the file");
        memory
            .write_slice(bytes, GuestAddress(self.start))
            .expect("the segment is in RAM");
    }
}

/// That the image has all bytes before `end`; `None` is an end beyond 64 bits.
pub(super) fn reaches(image: &[u8], end: Option<u64>, name: &str) -> Result<(), BootError> {
    let needed = end.unwrap_or(u64::MAX);
    let length = image.len() as u64;
    if needed > length {
        return Err(BootError::Truncated {
            kernel: name.to_owned(),
            needed,
            length,
        });
    }
    Ok(())
}

pub(super) fn broken(name: &str, reason: &'static str) -> BootError {
    BootError::Broken {
        kernel: name.to_owned(),
        reason,
    }
}
