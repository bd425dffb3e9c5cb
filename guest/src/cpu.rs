//! What belongs to one processor, found through GS, and the instructions that only exist as
//! assembly.

#![expect(unsafe_code, reason = "GS-relative access and privileged instructions")]

use core::arch::{asm, x86_64::__cpuid_count};
use core::mem::offset_of;
use core::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};

use crate::ipi::MAX_CPUS;
use crate::segments::Segments;
use crate::{idt, vector};

/// One processor. Every counter is written by its own processor and read by others.
#[repr(C, align(64))]
pub(crate) struct Cpu {
    myself: AtomicPtr<Self>,
    segments: Segments,
    id: AtomicUsize,
    /// Set once the processor serves jobs.
    pub(crate) online: AtomicBool,
    /// The APIC's registers are MSRs, not memory.
    pub(crate) x2apic: AtomicBool,
    /// The function to run, null when idle; see [`crate::processors`].
    pub(crate) job: AtomicPtr<()>,
    /// Wake-ups sent to this processor; only the bootstrap processor counts them.
    pub(crate) wakes: AtomicU32,
    /// How far the job is, in the job's own steps; 0 until it is ready.
    pub(crate) progress: AtomicU32,
    /// Reads of the shootdown window that saw an old value; the first such page and value.
    pub(crate) stale: AtomicU32,
    /// Page of the first stale read.
    pub(crate) stale_page: AtomicU32,
    /// What the first stale read saw.
    pub(crate) stale_value: AtomicU64,
    /// Error status, collected by the APIC's error interrupt.
    pub(crate) errors: AtomicU32,
    /// Maskable interrupts that arrived while interrupts were off.
    pub(crate) breaches: AtomicU32,
    received: [AtomicU32; 256],
    ended: [AtomicU32; 256],
}

impl Cpu {
    /// Where, seen from GS, the ring 0 stack pointer for interrupts from ring 3 is.
    pub(crate) const RSP0: usize = offset_of!(Self, segments) + Segments::RSP0;

    const fn new() -> Self {
        Self {
            myself: AtomicPtr::new(core::ptr::null_mut()),
            segments: Segments::new(),
            id: AtomicUsize::new(0),
            online: AtomicBool::new(false),
            x2apic: AtomicBool::new(false),
            job: AtomicPtr::new(core::ptr::null_mut()),
            wakes: AtomicU32::new(0),
            progress: AtomicU32::new(0),
            stale: AtomicU32::new(0),
            stale_page: AtomicU32::new(0),
            stale_value: AtomicU64::new(0),
            errors: AtomicU32::new(0),
            breaches: AtomicU32::new(0),
            received: [const { AtomicU32::new(0) }; 256],
            ended: [const { AtomicU32::new(0) }; 256],
        }
    }

    /// Index, which is the APIC id.
    pub(crate) fn id(&self) -> usize {
        self.id.load(Relaxed)
    }

    /// Gives the processor its index, before it starts.
    pub(crate) fn set_id(&self, id: usize) {
        self.id.store(id, Relaxed);
    }

    /// Interrupts of this vector whose handler has run.
    pub(crate) fn received(&self, vector: u8) -> u32 {
        self.received[usize::from(vector)].load(Acquire)
    }

    /// Interrupts of this vector whose EOI has been written.
    pub(crate) fn ended(&self, vector: u8) -> u32 {
        self.ended[usize::from(vector)].load(Acquire)
    }

    /// NMIs whose handler has run.
    pub(crate) fn nmis(&self) -> u32 {
        self.received(vector::NMI)
    }

    /// Counts a handler; by the processor itself, with interrupts off.
    pub(crate) fn count_received(&self, vector: u8) {
        increment(&self.received[usize::from(vector)]);
    }

    /// Counts an EOI; by the processor itself, with interrupts off.
    pub(crate) fn count_ended(&self, vector: u8) {
        increment(&self.ended[usize::from(vector)]);
    }

    /// Starts counting a vector again; only when none is on its way.
    pub(crate) fn forget(&self, vector: u8) {
        self.received[usize::from(vector)].store(0, Relaxed);
        self.ended[usize::from(vector)].store(0, Relaxed);
    }

    /// Publishes a step of the job.
    pub(crate) fn set_progress(&self, step: u32) {
        self.progress.store(step, Release);
    }

    /// The last step that the job published.
    pub(crate) fn progress(&self) -> u32 {
        self.progress.load(Acquire)
    }
}

/// One more, where there is one writer: no locked instruction is needed.
pub(crate) fn increment(counter: &AtomicU32) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Release);
}

static CPUS: [Cpu; MAX_CPUS] = [const { Cpu::new() }; MAX_CPUS];

static COUNT: AtomicUsize = AtomicUsize::new(1);

/// How many processors take part.
pub(crate) fn set_count(count: usize) {
    COUNT.store(count, Relaxed);
}

/// All processors that take part.
pub(crate) fn all() -> &'static [Cpu] {
    &CPUS[..COUNT.load(Relaxed)]
}

/// All but the bootstrap processor.
pub(crate) fn others() -> &'static [Cpu] {
    &all()[1..]
}

/// The processor that runs this.
pub(crate) fn this() -> &'static Cpu {
    let cpu: *const Cpu;
    // SAFETY: `set_up` pointed GS at this processor's entry, whose first field is its own address.
    unsafe {
        asm!("mov {}, gs:[0]", out(reg) cpu, options(nostack, preserves_flags, pure, readonly));
        &*cpu
    }
}

/// Gives the running processor its tables and its identity.
pub(crate) fn set_up(id: usize) {
    let cpu = &CPUS[id];
    cpu.myself.store((&raw const *cpu).cast_mut(), Relaxed);
    cpu.segments.load((&raw const *cpu).addr() as u64);
    idt::load();
}

/// Reads a model-specific register.
///
/// # Safety
/// The register exists, and reading it is harmless.
pub(crate) unsafe fn read_msr(register: u32) -> u64 {
    let (low, high): (u32, u32);
    // SAFETY: as the caller promises.
    unsafe {
        asm!("rdmsr", in("ecx") register, out("eax") low, out("edx") high, options(nostack));
    }
    u64::from(high) << 32 | u64::from(low)
}

/// Writes a model-specific register.
///
/// # Safety
/// The register takes this value, and what it changes is what the caller needs.
pub(crate) unsafe fn write_msr(register: u32, value: u64) {
    let [low, high] = halves(value);
    // SAFETY: as the caller promises.
    unsafe {
        asm!("wrmsr", in("ecx") register, in("eax") low, in("edx") high, options(nostack));
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the two halves are what is asked for"
)]
const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Whether CPUID leaf 1 has this bit in ECX.
pub(crate) fn has_feature(bit: u32) -> bool {
    __cpuid_count(1, 0).ecx >> bit & 1 == 1
}

/// Turns interrupts off.
pub(crate) fn interrupts_off() {
    // SAFETY: delays interrupts, breaks nothing. It is also a compiler barrier.
    unsafe { asm!("cli", options(nostack)) }
}

/// Turns interrupts on; the instruction after it still runs without.
pub(crate) fn interrupts_on() {
    // SAFETY: every vector has a handler since `set_up`. It is also a compiler barrier.
    unsafe { asm!("sti", options(nostack)) }
}

/// Turns interrupts on and halts until one comes; none can slip in between. Then off again.
pub(crate) fn halt() {
    // SAFETY: STI takes effect after the next instruction, so an interrupt that is already
    // pending ends this HLT. It is also a compiler barrier.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) }
}

/// Stops this processor for good.
pub(crate) fn stop() -> ! {
    loop {
        // SAFETY: there is nothing left to do.
        unsafe { asm!("cli", "hlt", options(nostack)) }
    }
}
