//! Address translation: 16 MiB of memory as they are, the APIC page, and the window.
//!
//! The window is 512 pages of 4 KiB at 1 GiB, each of which shows one of two physical frames. It
//! is what the shootdown remaps. All but the APIC page is open to ring 3.

#![expect(
    unsafe_code,
    reason = "loads CR3, invalidates TLB entries, reads remapped memory"
)]

use core::arch::asm;
use core::sync::atomic::{
    AtomicU64,
    Ordering::{Relaxed, Release},
};

use crate::apic;

/// Pages in the window: as many as one page table maps.
pub(crate) const WINDOW_PAGES: usize = 512;

const PAGE_SIZE: usize = 4096;
const LARGE_PAGE: u64 = 2 << 20;
const WINDOW: usize = 1 << 30;

/// The smallest machine has this much memory, and the whole guest is in it.
const IDENTITY_MAPPED: u64 = 16 << 20;

const PRESENT: u64 = 1 << 0;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const WRITE_THROUGH: u64 = 1 << 3;
const CACHE_DISABLE: u64 = 1 << 4;
const ACCESSED: u64 = 1 << 5;
const DIRTY: u64 = 1 << 6;
const LARGE: u64 = 1 << 7;
const OPEN: u64 = PRESENT | WRITABLE | USER;

/// A table of any level.
#[repr(C, align(4096))]
pub(crate) struct Table([AtomicU64; 512]);

impl Table {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 512])
    }

    fn entry(&'static self) -> u64 {
        address(self) | OPEN
    }
}

fn address<T>(object: &'static T) -> u64 {
    (&raw const *object).addr() as u64
}

/// Root of the translation, for the trampoline; below 4 GiB like everything here.
pub(crate) static PML4: Table = Table::new();
static PDPT: Table = Table::new();
static MEMORY_DIRECTORY: Table = Table::new();
static WINDOW_DIRECTORY: Table = Table::new();
static APIC_DIRECTORY: Table = Table::new();
static WINDOW_TABLE: Table = Table::new();

/// One page that says which frame it is.
#[repr(C, align(4096))]
struct Frame([AtomicU64; 512]);

static FRAMES: [Frame; 2] = [const { Frame([const { AtomicU64::new(0) }; 512]) }; 2];

/// Fills the tables and makes them the running processor's; the others get them from the
/// trampoline.
pub(crate) fn activate() {
    PML4.0[0].store(PDPT.entry(), Relaxed);
    PDPT.0[0].store(MEMORY_DIRECTORY.entry(), Relaxed);
    for (entry, base) in MEMORY_DIRECTORY
        .0
        .iter()
        .zip((0..IDENTITY_MAPPED).step_by(2 << 20))
    {
        entry.store(base | OPEN | LARGE, Relaxed);
    }
    PDPT.0[1].store(WINDOW_DIRECTORY.entry(), Relaxed);
    WINDOW_DIRECTORY.0[0].store(WINDOW_TABLE.entry(), Relaxed);

    let apic = apic::PAGE as u64;
    let uncached = PRESENT | WRITABLE | WRITE_THROUGH | CACHE_DISABLE | LARGE;
    PDPT.0[(apic::PAGE >> 30) & 511].store(APIC_DIRECTORY.entry(), Relaxed);
    APIC_DIRECTORY.0[(apic::PAGE >> 21) & 511].store(apic & !(LARGE_PAGE - 1) | uncached, Release);

    // SAFETY: the code, the stack and all that is in use are mapped where they were.
    unsafe { asm!("mov cr3, {}", in(reg) address(&PML4), options(nostack, preserves_flags)) }
}

/// Maps memory as it is up to `end`, 1 GiB at most, for data that the VMM put beyond the part that
/// every machine has; on all processors, since they share the tables.
pub(crate) fn map_memory(end: u64) {
    for (entry, base) in MEMORY_DIRECTORY.0.iter().zip((0..end).step_by(2 << 20)) {
        entry.store(base | OPEN | LARGE, Relaxed);
    }
}

/// Shows `value` in the first `pages` of the window. Their old translation may still be in the
/// TLB of any processor, and then shows the value before.
pub(crate) fn remap(pages: usize, value: u64) {
    let frame = &FRAMES[usize::from(value & 1 == 1)];
    frame.0[0].store(value, Relaxed);
    let entry = address(frame) | OPEN | ACCESSED | DIRTY;
    for slot in &WINDOW_TABLE.0[..pages] {
        slot.store(entry, Release);
    }
}

/// Drops the translation of the first `pages` of the window from the running processor's TLB.
pub(crate) fn invalidate(pages: usize) {
    /// Pages in one round of the unrolled loop, which is there for interpreted ring 0.
    const UNROLLED: usize = 8;
    let mut page = WINDOW;
    let end = WINDOW + pages * PAGE_SIZE;
    // SAFETY: dropping a translation is always safe; the next access loads it again.
    unsafe {
        while page + UNROLLED * PAGE_SIZE <= end {
            asm!(
                "invlpg [{0}]",
                "invlpg [{0} + 0x1000]",
                "invlpg [{0} + 0x2000]",
                "invlpg [{0} + 0x3000]",
                "invlpg [{0} + 0x4000]",
                "invlpg [{0} + 0x5000]",
                "invlpg [{0} + 0x6000]",
                "invlpg [{0} + 0x7000]",
                in(reg) page,
                options(nostack, preserves_flags),
            );
            page += UNROLLED * PAGE_SIZE;
        }
        while page < end {
            asm!("invlpg [{}]", in(reg) page, options(nostack, preserves_flags));
            page += PAGE_SIZE;
        }
    }
}

/// What the first `pages` of the window show, through the TLB of the running processor.
pub(crate) fn read(pages: usize) -> impl Iterator<Item = u64> {
    (0..pages.min(WINDOW_PAGES)).map(|page| {
        // SAFETY: `remap` has been called for these pages, so each maps a frame, whose first word
        // is initialised; volatile, since the mapping changes behind the compiler's back.
        unsafe { ((WINDOW + page * PAGE_SIZE) as *const u64).read_volatile() }
    })
}

// Page-table entries take the alignment for granted.
const _: () = assert!(size_of::<Frame>() == PAGE_SIZE && align_of::<Frame>() == PAGE_SIZE);
