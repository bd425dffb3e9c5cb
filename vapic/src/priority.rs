//! Accepting, prioritising, acknowledging and ending interrupts (SDM 3A, APIC §8.3 to §8.5).

use crate::local_apic::{Effect, LocalApic};
use crate::vector::VectorSet;

impl LocalApic {
    /// The processor priority: the class below which nothing is taken, and its sub-class (§8.3.1).
    #[must_use]
    #[inline]
    pub fn processor_priority(&self) -> u8 {
        let class = self.in_service.highest_class();
        if self.task_priority >> 4 >= class {
            self.task_priority
        } else {
            class << 4
        }
    }

    /// The vector that the processor would take now if its interrupts are on.
    #[must_use]
    #[inline(always)]
    pub fn deliverable(&self) -> Option<u8> {
        let vector = self.requests.highest()?;
        // Its class must exceed both that of the task priority and all that are in service.
        (vector > self.task_priority | 0xF && self.in_service.is_below(vector)).then_some(vector)
    }

    /// Whether a request waits that nothing but the task priority holds back.
    ///
    /// On hosts that do not report a falling CR8 the caller must look again soon.
    #[must_use]
    pub fn held_by_task_priority(&self) -> bool {
        self.requests.highest().is_some_and(|vector| {
            let class = vector >> 4;
            class > self.in_service.highest_class() && class <= self.task_priority >> 4
        })
    }

    /// Moves the deliverable vector from request to service and returns it.
    ///
    /// To be called at the moment the vector is handed to the processor, never before: what has
    /// been acknowledged cannot be taken back.
    #[inline(always)]
    pub fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.deliverable()?;
        self.requests.remove(vector);
        self.in_service.begin(vector);
        Some(vector)
    }

    /// The guest wrote the EOI register; without effect if nothing is in service.
    #[inline(always)]
    pub(crate) fn end(&mut self) -> Effect {
        match self.in_service.end() {
            Some(vector) => Effect::Ended {
                vector,
                level: self.level.contains(vector),
            },
            None => Effect::None,
        }
    }

    /// The task-priority class, as CR8 shows it.
    #[must_use]
    #[inline]
    pub const fn cr8(&self) -> u8 {
        self.task_priority >> 4
    }

    /// Takes over CR8 from the processor; bits above the lowest four do not exist.
    ///
    /// An unchanged class keeps the sub-class that the TPR register may hold: a real move to CR8
    /// clears it, reading back what was loaded must not.
    #[inline]
    pub const fn set_cr8(&mut self, class: u8) {
        if class & 0xF != self.task_priority >> 4 {
            self.task_priority = class << 4;
        }
    }

    /// The vectors that wait for delivery (IRR).
    #[must_use]
    pub const fn requests(&self) -> &VectorSet {
        &self.requests
    }

    /// The highest vector in service (ISR), which the next EOI ends.
    #[must_use]
    pub const fn in_service(&self) -> Option<u8> {
        self.in_service.highest()
    }

    /// Takes one latched NMI, to be handed to the processor.
    pub const fn take_nmi(&mut self) -> bool {
        let latched = self.nmis > 0 && !self.waiting_for_start_up;
        if latched {
            self.nmis -= 1;
        }
        latched
    }

    /// NMIs latched and not yet taken, two at most.
    #[must_use]
    #[inline]
    pub const fn nmis(&self) -> u8 {
        self.nmis
    }

    /// Whether the processor is in the wait-for-SIPI state, where nothing but a start-up wakes it.
    #[must_use]
    #[inline]
    pub const fn is_waiting_for_start_up(&self) -> bool {
        self.waiting_for_start_up
    }
}
