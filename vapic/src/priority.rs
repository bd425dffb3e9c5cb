//! Accepting, prioritising, acknowledging and ending interrupts (SDM 3A, APIC §8.3 to §8.5).

use crate::local_apic::{Effect, LocalApic};
use crate::vector::{VectorSet, highest_of};

/// The task priority register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskPriority {
    value: u8,
    /// The last vector of its class.
    ceiling: u8,
}

impl TaskPriority {
    pub(crate) const LOWEST: Self = Self::new(0);

    #[inline]
    pub(crate) const fn new(value: u8) -> Self {
        Self {
            value,
            ceiling: value | 0xF,
        }
    }

    #[inline]
    pub(crate) const fn value(self) -> u8 {
        self.value
    }

    /// Whether `vector` is of a higher class.
    #[inline]
    const fn is_below(self, vector: u8) -> bool {
        vector > self.ceiling
    }
}

impl LocalApic {
    /// The processor priority: the class below which nothing is taken, and its sub-class (§8.3.1).
    #[must_use]
    #[inline]
    pub fn processor_priority(&self) -> u8 {
        let class = self.in_service.highest_class();
        let task_priority = self.task_priority.value();
        if task_priority >> 4 >= class {
            task_priority
        } else {
            class << 4
        }
    }

    /// The vector that the processor would take now if its interrupts are on.
    #[must_use]
    #[inline]
    pub fn deliverable(&self) -> Option<u8> {
        let class = self.processor_priority() >> 4;
        self.requests.highest().filter(|vector| vector >> 4 > class)
    }

    /// Whether a request waits that nothing but the task priority holds back.
    ///
    /// On hosts that do not report a falling CR8 the caller must look again soon.
    #[must_use]
    pub fn held_by_task_priority(&self) -> bool {
        self.requests.highest().is_some_and(|vector| {
            let class = vector >> 4;
            class > self.in_service.highest_class() && class <= self.cr8()
        })
    }

    /// Moves the deliverable vector from request to service and returns it.
    ///
    /// To be called at the moment the vector is handed to the processor, never before: what has
    /// been acknowledged cannot be taken back.
    #[inline(always)]
    pub fn acknowledge(&mut self) -> Option<u8> {
        let word = self.requests.highest_word();
        if word == 0 {
            return self.acknowledge_lower();
        }
        let vector = highest_of(3, word);
        if !self.is_above_all(vector) {
            return None;
        }
        self.requests.remove(vector);
        self.in_service.begin(vector);
        Some(vector)
    }

    /// The same below 192.
    #[inline(never)]
    fn acknowledge_lower(&mut self) -> Option<u8> {
        let vector = self.requests.highest()?;
        if !self.is_above_all(vector) {
            return None;
        }
        self.requests.remove(vector);
        self.in_service.begin(vector);
        Some(vector)
    }

    /// The same as being of a higher class than the processor priority.
    #[inline]
    const fn is_above_all(&self, vector: u8) -> bool {
        self.in_service.is_below(vector) && self.task_priority.is_below(vector)
    }

    /// The guest wrote the EOI register; without effect if nothing is in service.
    #[inline(always)]
    pub(crate) fn end(&mut self) -> Effect {
        let Some(vector) = self.in_service.end() else {
            return Effect::None;
        };
        let (vector, level) = if self.watched.contains(vector) {
            self.end_watched(vector)
        } else {
            (vector, false)
        };
        Effect::Ended { vector, level }
    }

    /// A level-triggered vector has ended, or LINT0's: the vector once more, which the caller then
    /// need not keep, and whether its end is broadcast.
    #[cold]
    #[inline(never)]
    fn end_watched(&mut self, vector: u8) -> (u8, bool) {
        let level = self.level.contains(vector);
        if !level {
            self.watched.remove(vector);
        }
        // Also if an edge on the vector has cleared its trigger mode meanwhile.
        self.end_lint0(vector);
        (vector, level && !self.spurious.suppress_eoi_broadcast())
    }

    /// The task-priority class, as CR8 shows it.
    #[must_use]
    #[inline]
    pub const fn cr8(&self) -> u8 {
        self.task_priority.value() >> 4
    }

    /// Takes over CR8 from the processor; bits above the lowest four do not exist.
    ///
    /// An unchanged class keeps the sub-class that the TPR register may hold: a real move to CR8
    /// clears it, reading back what was loaded must not.
    #[inline]
    pub const fn set_cr8(&mut self, class: u8) {
        if class & 0xF != self.cr8() {
            self.task_priority = TaskPriority::new(class << 4);
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
