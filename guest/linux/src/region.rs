//! Pages of anonymous memory whose translations other processors hold.

#![expect(unsafe_code, reason = "mapping, protecting and reading memory")]

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PAGE: usize = 4096;

/// Pages that are this process's alone, each of 4 KiB.
pub(crate) struct Region {
    address: *mut libc::c_void,
    pages: usize,
}

/// Where a region is, for other threads to read.
#[derive(Clone, Copy)]
pub(crate) struct View {
    /// Of the first page.
    pub(crate) address: usize,
    /// How many.
    pub(crate) pages: usize,
}

/// Keeps the kernel from putting 512 pages into one translation: each shall have its own.
pub(crate) fn forbid_huge_pages() -> io::Result<()> {
    // SAFETY: sets a flag of this process; the arguments that are not used must be zero.
    check(unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0) })
}

impl Region {
    /// So many pages, to read and write.
    pub(crate) fn new(pages: usize) -> io::Result<Self> {
        Self::map(pages, libc::PROT_READ | libc::PROT_WRITE)
    }

    fn map(pages: usize, protection: libc::c_int) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping where the kernel finds room.
        let address =
            unsafe { libc::mmap(ptr::null_mut(), pages * PAGE, protection, flags, -1, 0) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { address, pages })
    }

    /// Where it is.
    pub(crate) fn view(&self) -> View {
        View {
            address: self.address.expose_provenance(),
            pages: self.pages,
        }
    }

    /// Writes a value into each page, which puts memory behind it and makes it dirty. The region
    /// must be writable.
    pub(crate) fn write(&self, value: u64) {
        for page in 0..self.pages {
            // SAFETY: within the mapping, aligned, and read elsewhere as an atomic only.
            unsafe { word(self.address.expose_provenance(), page) }.store(value, Relaxed);
        }
    }

    /// `mprotect`, which leaves it readable.
    pub(crate) fn protect(&self, read_only: bool) -> io::Result<()> {
        let write = if read_only { 0 } else { libc::PROT_WRITE };
        let protection = libc::PROT_READ | write;
        // SAFETY: the mapping is ours, and remains readable.
        check(unsafe { libc::mprotect(self.address, self.pages * PAGE, protection) })
    }

    /// `madvise` with MADV_DONTNEED: the memory goes now; pages read as zeros.
    pub(crate) fn drop_pages(&self) -> io::Result<()> {
        self.advise(libc::MADV_DONTNEED)
    }

    /// `madvise` with MADV_FREE: the memory may go while it is not written again.
    pub(crate) fn lend_pages(&self) -> io::Result<()> {
        self.advise(libc::MADV_FREE)
    }

    fn advise(&self, advice: libc::c_int) -> io::Result<()> {
        // SAFETY: the mapping is ours, and its pages hold atomics, for which any bytes will do.
        check(unsafe { libc::madvise(self.address, self.pages * PAGE, advice) })
    }

    /// `mremap` to the place of another region of the same size, which is replaced.
    pub(crate) fn move_to(&mut self, place: Self) -> io::Result<()> {
        let (size, flags) = (self.pages * PAGE, libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED);
        // SAFETY: both mappings are ours and distinct; the one at the new place is given up.
        let address = unsafe { libc::mremap(self.address, size, size, flags, place.address) };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // What is there now belongs to `self`.
        std::mem::forget(place);
        self.address = address;
        Ok(())
    }

    /// Room for a region of so many pages, which nobody can access yet.
    pub(crate) fn reserve(pages: usize) -> io::Result<Self> {
        Self::map(pages, libc::PROT_NONE)
    }

    /// `munmap`.
    pub(crate) fn unmap(self) -> io::Result<()> {
        let this = std::mem::ManuallyDrop::new(self);
        // SAFETY: the mapping is ours; whoever reads a view has vouched not to do so any more.
        check(unsafe { libc::munmap(this.address, this.pages * PAGE) })
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: as in `unmap`.
        unsafe { libc::munmap(self.address, self.pages * PAGE) };
    }
}

impl View {
    /// How many pages hold another value than `expected`; reads every one.
    ///
    /// # Safety
    /// The region must be mapped and readable for as long as this takes.
    pub(crate) unsafe fn count_other_than(self, expected: u64) -> usize {
        (0..self.pages)
            // SAFETY: promised by the caller.
            .filter(|&page| unsafe { word(self.address, page) }.load(Relaxed) != expected)
            .count()
    }
}

/// The first word of a page.
///
/// # Safety
/// The page must be mapped for as long as the reference is used.
unsafe fn word<'a>(address: usize, page: usize) -> &'a AtomicU64 {
    let at = ptr::with_exposed_provenance_mut(address + page * PAGE);
    // SAFETY: aligned to a page, and mapped as the caller promises.
    unsafe { AtomicU64::from_ptr(at) }
}

fn check(result: libc::c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
