//! The header by which a kernel asks to be loaded by a multiboot boot loader (Multiboot
//! Specification 0.6.96, 3.1).

use crate::boot::BootError;
use crate::boot::segment::{Segment, broken};

/// What it starts with.
const MAGIC: u32 = 0x1BAD_B002;
/// How much of the file it must lie in, and its alignment there.
const SEARCHED: usize = 8192;
const ALIGNMENT: usize = 4;

/// Flag: there are address fields, and the file is loaded by them.
const ADDRESSES: u32 = 1 << 16;
/// Flags that a loader may not know and yet must honour, less those of page-aligned modules (0),
/// memory information (1), which every kernel gets, and a video mode (2), which there is not.
const UNKNOWN: u32 = 0xFFF8;

/// A header, found in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::boot) struct Header {
    flags: u32,
    /// Where it is in the file.
    offset: usize,
    /// `header_addr`, `load_addr`, `load_end_addr`, `bss_end_addr`, `entry_addr`; meaningless
    /// without [`ADDRESSES`].
    addresses: [u32; 5],
}

/// A flat image as its header describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flat {
    pub(super) segment: Segment,
    pub(super) entry: u32,
}

impl Header {
    /// The first header of `image`, if it has one.
    pub(in crate::boot) fn find(image: &[u8]) -> Option<Self> {
        let searched = &image[..image.len().min(SEARCHED)];
        let word = |offset: usize| {
            let bytes = searched.get(offset..offset + 4)?;
            Some(u32::from_le_bytes(bytes.try_into().ok()?))
        };
        (0..searched.len()).step_by(ALIGNMENT).find_map(|offset| {
            let [magic, flags, checksum] = [word(offset)?, word(offset + 4)?, word(offset + 8)?];
            let sum = magic.wrapping_add(flags).wrapping_add(checksum);
            let addresses = [12, 16, 20, 24, 28].map(|field| word(offset + field).unwrap_or(0));
            (magic == MAGIC && sum == 0).then_some(Self {
                flags,
                offset,
                addresses,
            })
        })
    }

    /// How to load the file without its own headers, if it says so; `name` goes into the errors.
    ///
    /// # Errors
    /// [`BootError::Broken`] for addresses that contradict each other, and for features that there
    /// are not.
    pub(super) fn flat(&self, image: &[u8], name: &str) -> Result<Option<Flat>, BootError> {
        if self.flags & UNKNOWN != 0 {
            return Err(broken(name, "it demands an unknown multiboot feature"));
        }
        if self.flags & ADDRESSES == 0 {
            return Ok(None);
        }
        let [header, load, load_end, bss_end, entry] = self.addresses;
        let contradiction = || broken(name, "its multiboot addresses contradict each other");
        // The header's own address says which byte of the file comes to the load address.
        let offset = header
            .checked_sub(load)
            .and_then(|before| self.offset.checked_sub(usize::try_from(before).ok()?))
            .ok_or_else(contradiction)?;
        let file_size = match load_end {
            0 => (image.len() - offset) as u64,
            end => end.checked_sub(load).ok_or_else(contradiction)?.into(),
        };
        let memory_size = match bss_end {
            0 => file_size,
            end => end.checked_sub(load).ok_or_else(contradiction)?.into(),
        };
        let segment = Segment {
            offset: offset as u64,
            file_size,
            start: load.into(),
            memory_size,
        };
        if !segment.holds(entry.into()) {
            return Err(broken(name, "the entry point lies in no loaded segment"));
        }
        Ok(Some(Flat { segment, entry }))
    }
}
