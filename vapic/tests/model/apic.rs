//! A Local APIC as the manual tells it: sets are sets, time is what is left, nothing is clever.
//!
//! Section numbers are those of the chapter on the APIC (SDM 3A).

use std::collections::{BTreeMap, BTreeSet};

use vapic::spec::message::Trigger;

use crate::output::{Effect, Fault};
use crate::timer::Timer;

pub(crate) const ID: u32 = 0x02;
pub(crate) const TPR: u32 = 0x08;
pub(crate) const EOI: u32 = 0x0B;
pub(crate) const SVR: u32 = 0x0F;
pub(crate) const ICR: u32 = 0x30;
pub(crate) const ICR2: u32 = 0x31;
pub(crate) const SELF_IPI: u32 = 0x3F;
pub(crate) const VERSION: u32 = 0x03;
pub(crate) const PPR: u32 = 0x0A;
pub(crate) const LDR: u32 = 0x0D;
pub(crate) const DFR: u32 = 0x0E;
pub(crate) const ESR: u32 = 0x28;
pub(crate) const LVT_CMCI: u32 = 0x2F;
pub(crate) const LVT_TIMER: u32 = 0x32;
pub(crate) const LVT_THERMAL: u32 = 0x33;
pub(crate) const LVT_PMC: u32 = 0x34;
pub(crate) const LVT_LINT0: u32 = 0x35;
pub(crate) const LVT_LINT1: u32 = 0x36;
pub(crate) const LVT_ERROR: u32 = 0x37;
pub(crate) const TIMER_INITIAL: u32 = 0x38;
pub(crate) const TIMER_CURRENT: u32 = 0x39;
pub(crate) const TIMER_DIVIDE: u32 = 0x3E;

/// Registers of xAPIC mode that ignore writes.
pub(crate) const READ_ONLY: [u32; 6] = [VERSION, 0x09, PPR, 0x0C, TIMER_CURRENT, LVT_CMCI];

pub(crate) const MASKED: u32 = 1 << 16;
pub(crate) const LEVEL: u32 = 1 << 15;
pub(crate) const REMOTE_IRR: u32 = 1 << 14;

pub(crate) const REDIRECTABLE: u32 = 1 << 4;
pub(crate) const SENT_ILLEGAL: u32 = 1 << 5;
pub(crate) const RECEIVED_ILLEGAL: u32 = 1 << 6;
pub(crate) const ILLEGAL_REGISTER: u32 = 1 << 7;

pub(crate) const ENABLED: u32 = 1 << 8;
pub(crate) const SUPPRESS: u32 = 1 << 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Disabled,
    Xapic,
    X2apic,
}

/// What was fixed when the processor was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Made {
    pub(crate) id: u32,
    pub(crate) bootstrap: bool,
    pub(crate) tsc_deadline: bool,
    pub(crate) eoi_suppression: bool,
    pub(crate) corrected_machine_check: bool,
}

/// Address bits of the processors here.
pub(crate) const PHYSICAL_BITS: u32 = 46;

#[derive(Clone, Debug)]
pub(crate) struct Apic {
    pub(crate) made: Made,
    pub(crate) base: u64,
    pub(crate) xapic_id: u8,
    pub(crate) ldr: u8,
    pub(crate) dfr: u8,
    pub(crate) tpr: u8,
    pub(crate) svr: u32,
    pub(crate) requests: BTreeSet<u8>,
    pub(crate) in_service: BTreeSet<u8>,
    pub(crate) level: BTreeSet<u8>,
    pub(crate) icr_low: u32,
    pub(crate) icr_high: u32,
    pub(crate) entries: BTreeMap<u32, u32>,
    pub(crate) timer: Timer,
    pub(crate) errors_shown: u32,
    pub(crate) errors_collected: u32,
    pub(crate) nmis: u8,
    pub(crate) smi: bool,
    pub(crate) ext_int_message: bool,
    pub(crate) waits: bool,
    pub(crate) pins: [bool; 2],
    /// The vector that LINT0's remote IRR waits for.
    pub(crate) lint0: Option<u8>,
}

impl Apic {
    /// After power-up (§4.7.1).
    pub(crate) fn new(made: Made) -> Self {
        Self {
            made,
            base: 0xFEE0_0800 | u64::from(made.bootstrap) << 8,
            xapic_id: made.id.to_le_bytes()[0],
            ldr: 0,
            dfr: 0xF,
            tpr: 0,
            svr: 0xFF,
            requests: BTreeSet::new(),
            in_service: BTreeSet::new(),
            level: BTreeSet::new(),
            icr_low: 0,
            icr_high: 0,
            entries: (LVT_CMCI..=LVT_ERROR).map(|n| (n, MASKED)).collect(),
            timer: Timer::new(),
            errors_shown: 0,
            errors_collected: 0,
            nmis: 0,
            smi: false,
            ext_int_message: false,
            waits: !made.bootstrap,
            pins: [false; 2],
            lint0: None,
        }
    }

    /// INIT (§4.7.3): IDs and base stay, and the wires are as they are.
    pub(crate) fn init(&mut self) {
        let fresh = Self::new(self.made);
        let old = std::mem::replace(self, fresh);
        self.base = old.base;
        self.xapic_id = old.xapic_id;
        self.pins = old.pins;
        self.waits = self.base >> 8 & 1 == 0;
    }

    pub(crate) fn mode(&self) -> Mode {
        match (self.base >> 11 & 1, self.base >> 10 & 1) {
            (0, _) => Mode::Disabled,
            (_, 0) => Mode::Xapic,
            _ => Mode::X2apic,
        }
    }

    /// A write to IA32_APIC_BASE (§4.3, §4.4, §12.5).
    pub(crate) fn write_base(&mut self, base: u64) -> Result<Effect, Fault> {
        let reserved_low = base & 0x2FF;
        let reserved_high = base >> PHYSICAL_BITS;
        if reserved_low != 0 || reserved_high != 0 {
            return Err(Fault);
        }
        let (enabled, extended) = (base >> 11 & 1 == 1, base >> 10 & 1 == 1);
        let legal = match self.mode() {
            Mode::Disabled => !extended,
            Mode::Xapic => enabled || !extended,
            Mode::X2apic => extended == enabled,
        };
        if !legal {
            return Err(Fault);
        }
        if !enabled && self.mode() != Mode::Disabled {
            let fresh = Self::new(self.made);
            let old = std::mem::replace(self, fresh);
            (self.nmis, self.smi, self.waits) = (old.nmis, old.smi, old.waits);
            self.pins = old.pins;
        }
        self.base = base;
        Ok(Effect::Base(base))
    }

    pub(crate) fn software_enabled(&self) -> bool {
        self.svr & ENABLED != 0
    }

    /// §5.3: each kind of error fires the error entry once until the register is written.
    pub(crate) fn error(&mut self, bit: u32) {
        let is_new = self.errors_collected & bit == 0;
        self.errors_collected |= bit;
        let entry = self.entries[&LVT_ERROR];
        if is_new && entry & MASKED == 0 {
            let [vector, ..] = entry.to_le_bytes();
            if vector < 16 {
                self.errors_collected |= RECEIVED_ILLEGAL;
            } else {
                self.request(vector, Trigger::Edge);
            }
        }
    }

    /// Accepts a vector (§8.4); whether it is a legal one.
    pub(crate) fn request(&mut self, vector: u8, trigger: Trigger) -> bool {
        if vector < 16 {
            self.error(RECEIVED_ILLEGAL);
            return false;
        }
        self.requests.insert(vector);
        match trigger {
            Trigger::Edge => self.level.remove(&vector),
            Trigger::Level => self.level.insert(vector),
        };
        true
    }

    /// §8.3.1.
    pub(crate) fn processor_priority(&self) -> u8 {
        let served = self.in_service.last().copied().unwrap_or(0);
        if self.tpr >> 4 >= served >> 4 {
            self.tpr
        } else {
            served & 0xF0
        }
    }

    pub(crate) fn deliverable(&self) -> Option<u8> {
        let highest = *self.requests.last()?;
        (highest >> 4 > self.processor_priority() >> 4).then_some(highest)
    }

    /// Whether it would be deliverable with a TPR of zero, and is not.
    pub(crate) fn is_held_by_task_priority(&self) -> bool {
        let served = self.in_service.last().map_or(0, |vector| vector >> 4);
        let asks = self
            .requests
            .last()
            .is_some_and(|vector| vector >> 4 > served);
        asks && self.deliverable().is_none()
    }

    pub(crate) fn acknowledge(&mut self) -> Option<u8> {
        let vector = self.deliverable()?;
        self.requests.remove(&vector);
        self.in_service.insert(vector);
        Some(vector)
    }

    /// §8.5.
    pub(crate) fn end(&mut self) -> Effect {
        let Some(vector) = self.in_service.pop_last() else {
            return Effect::None;
        };
        let is_level = self.level.contains(&vector);
        if self.lint0 == Some(vector) {
            self.lint0 = None;
            self.look_at_lint0();
        }
        let level = is_level && self.svr & SUPPRESS == 0;
        Effect::Ended { vector, level }
    }

    /// A move to CR8, or the same value read back from the processor.
    pub(crate) fn set_cr8(&mut self, class: u8) {
        if class % 16 != self.tpr / 16 {
            self.tpr = class % 16 * 16;
        }
    }

    /// Time passes, in ns.
    pub(crate) fn pass(&mut self, nanoseconds: u64) {
        if self.timer.pass(nanoseconds) {
            self.fire_timer();
        }
    }

    fn fire_timer(&mut self) {
        let entry = self.entries[&LVT_TIMER];
        if entry & MASKED == 0 {
            self.request(entry.to_le_bytes()[0], Trigger::Edge);
        }
    }

    /// The guest's TSC comes to the deadline in so many ns.
    pub(crate) fn write_deadline(&mut self, deadline: u64, wait: u64) -> Result<(), Fault> {
        if !self.made.tsc_deadline {
            return Err(Fault);
        }
        self.timer.arm(deadline, wait);
        // What is not in the future has come.
        self.pass(0);
        Ok(())
    }

    pub(crate) fn read_deadline(&self) -> Result<u64, Fault> {
        if self.made.tsc_deadline {
            Ok(self.timer.deadline)
        } else {
            Err(Fault)
        }
    }

    /// How long until the timer matters.
    pub(crate) fn next(&self) -> Option<u64> {
        let masked = self.entries[&LVT_TIMER] & MASKED != 0;
        self.timer.left.filter(|_| !masked)
    }
}
