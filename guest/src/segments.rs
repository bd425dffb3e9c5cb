//! Descriptor tables of one processor: GDT with both rings, and the task state that says where
//! interrupts from ring 3 find their stack.
//!
//! Selectors 0x10 and 0x18 are those of the boot protocol, so CS need not be reloaded.

#![expect(unsafe_code, reason = "loads descriptor tables and segment registers")]

use core::arch::asm;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Ring 0, 64-bit code.
pub(crate) const KERNEL_CODE: u16 = 0x10;
/// Ring 0 stack.
pub(crate) const KERNEL_DATA: u16 = 0x18;
/// Ring 3 data, also in DS, ES, FS and GS of ring 0: a return to ring 3 clears those that ring 3
/// may not use, and with GS would go the way to the processor's own data.
pub(crate) const USER_DATA: u16 = 0x20 | 3;
/// Ring 3, 64-bit code.
pub(crate) const USER_CODE: u16 = 0x28 | 3;
const TASK: u16 = 0x30;

/// Flat 64-bit code for ring 0, accessed.
pub(crate) const KERNEL_CODE_DESCRIPTOR: u64 = 0x00AF_9B00_0000_FFFF;
/// Flat data for ring 0, accessed.
pub(crate) const KERNEL_DATA_DESCRIPTOR: u64 = 0x00CF_9300_0000_FFFF;
const RING3: u64 = 3 << 45;

/// Task state segment (Intel SDM volume 3, 9.7) as 32-bit words.
const TASK_WORDS: usize = 26;
const TASK_SIZE: u32 = 104;
const TASK_LIMIT: u64 = TASK_SIZE as u64 - 1;
/// Word with the I/O map's offset in its upper half: beyond the limit, so there is no map.
const IO_MAP: usize = 25;

const GS_BASE: u32 = 0xC000_0101;

/// GDT and task state. Written by their processor before it loads them; afterwards only the
/// ring 0 stack pointer changes, by [`crate::ring3`].
#[repr(C)]
pub(crate) struct Segments {
    /// Makes the stack pointer, 4 bytes into the task state, 8-byte aligned.
    padding: u32,
    task: [AtomicU32; TASK_WORDS],
    gdt: [AtomicU64; 8],
}

impl Segments {
    /// Where in this structure the ring 0 stack pointer is.
    pub(crate) const RSP0: usize = 8;

    /// Nothing in the tables yet.
    pub(crate) const fn new() -> Self {
        Self {
            padding: 0,
            task: [const { AtomicU32::new(0) }; TASK_WORDS],
            gdt: [const { AtomicU64::new(0) }; 8],
        }
    }

    /// Fills and loads the tables, and points GS at `gs_base`.
    pub(crate) fn load(&'static self, gs_base: u64) {
        let task = self.task.as_ptr().addr() as u64;
        self.task[IO_MAP].store(TASK_SIZE << 16, Relaxed);
        let entries = [
            0,
            0,
            KERNEL_CODE_DESCRIPTOR,
            KERNEL_DATA_DESCRIPTOR,
            KERNEL_DATA_DESCRIPTOR | RING3,
            KERNEL_CODE_DESCRIPTOR | RING3,
            TASK_LIMIT | (task & 0xFF_FFFF) << 16 | 0x89 << 40 | (task >> 24 & 0xFF) << 56,
            task >> 32,
        ];
        for (slot, entry) in self.gdt.iter().zip(entries) {
            slot.store(entry, Relaxed);
        }
        let gdt = TablePointer {
            limit: 8 * 8 - 1,
            base: self.gdt.as_ptr().addr() as u64,
        };
        // SAFETY: the tables are filled, live for ever, and hold at every selector in use (CS
        // stays 0x10) the kind of segment that it had.
        unsafe {
            asm!(
                "lgdt [{gdt}]",
                "mov ss, {kernel:e}",
                "mov ds, {user:e}",
                "mov es, {user:e}",
                "mov fs, {user:e}",
                "mov gs, {user:e}",
                "ltr {task:x}",
                gdt = in(reg) &raw const gdt,
                kernel = in(reg) u32::from(KERNEL_DATA),
                user = in(reg) u32::from(USER_DATA),
                task = in(reg) TASK,
                options(nostack, preserves_flags),
            );
            crate::cpu::write_msr(GS_BASE, gs_base);
        }
    }
}

/// Operand of LGDT and LIDT.
#[repr(C, packed)]
pub(crate) struct TablePointer {
    /// Size of the table, less one.
    pub(crate) limit: u16,
    /// Its address.
    pub(crate) base: u64,
}
