//! The state of a Local APIC as plain data, to be kept or moved to another host.
//!
//! Times are relative (what remains, not when it ends), so a snapshot has no clock. Restoring
//! validates: data that no APIC can be in is refused with the reason. [`page`] converts to and from
//! the page of KVM_GET_LAPIC.

pub mod page;

use crate::config::Config;
use crate::error::Errors;
use crate::lint::has_remote_irr;
use crate::local_apic::LocalApic;
use crate::mode::Mode;
use crate::priority::TaskPriority;
use crate::spec::base::ApicBase;
use crate::spec::lvt::{LvtEntry, LvtSource};
use crate::spec::svr::SpuriousVector;
use crate::timer::TimerMode;
use crate::vector::{InService, VectorSet};

/// All state of a [`LocalApic`] but its [`Config`], which the host gives again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// IA32_APIC_BASE.
    pub base: u64,
    /// The xAPIC ID, register 0x20 bits 31:24. Globally disabled, an APIC has forgotten what the
    /// guest wrote there, so whatever stands here is then restored as the initial ID.
    pub xapic_id: u8,
    /// LDR bits 31:24 of xAPIC mode; in x2APIC mode the register is derived from the ID.
    pub logical_id: u8,
    /// DFR bits 31:28.
    pub destination_format: u8,
    /// TPR.
    pub task_priority: u8,
    /// SVR.
    pub spurious: u32,
    /// IRR.
    pub requests: VectorSet,
    /// ISR: one vector a priority class at most.
    pub in_service: VectorSet,
    /// TMR.
    pub level: VectorSet,
    /// ICR: low half, and high half shifted up by 32.
    pub command: u64,
    /// The local vector table, indexed by [`LvtSource`].
    pub lvt: [u32; LvtSource::COUNT],
    /// Timer initial count.
    pub timer_initial: u32,
    /// Timer divide configuration.
    pub timer_divide: u32,
    /// What remains of the count, or until the guest's TSC comes to its deadline, in ns; `None` while
    /// stopped.
    pub timer_remaining: Option<u64>,
    /// IA32_TSC_DEADLINE; 0 while disarmed.
    pub tsc_deadline: u64,
    /// ESR as the guest reads it.
    pub errors_visible: u32,
    /// Errors collected since the guest last wrote the ESR.
    pub errors_collected: u32,
    /// NMIs latched, two at most.
    pub nmis: u8,
    /// An SMI is latched.
    pub smi: bool,
    /// An external interrupt came as a message and has not been acknowledged.
    pub ext_int: bool,
    /// In the wait-for-SIPI state.
    pub waiting_for_start_up: bool,
    /// LINT0 and LINT1 are asserted.
    pub lint_asserted: [bool; 2],
    /// The vector whose end clears the remote IRR of LINT0's entry, if that is set; the guest may
    /// have given the entry another one since.
    pub lint0_vector: Option<u8>,
}

/// Why a snapshot cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SnapshotRefusal {
    /// IA32_APIC_BASE has reserved bits set, EXTD without EN, or EXTD where there is no x2APIC mode.
    Base,
    /// A processor with the BSP flag in its IA32_APIC_BASE never waits for a start-up IPI.
    BootstrapWaits,
    /// A processor waits for a start-up IPI and its APIC is enabled by software or holds vectors: INIT
    /// has left neither.
    WaitingApic,
    /// A register has bits set that the processor does not have.
    ReservedBits,
    /// IRR, ISR or TMR holds a vector below 16.
    IllegalVector,
    /// Two vectors of one priority class are in service.
    Nesting,
    /// LINT0's entry has a remote IRR and there is no vector for it, or the other way round, or the
    /// vector is neither requested nor in service.
    RemoteIrr,
    /// An entry is unmasked while the APIC is software-disabled.
    Unmasked,
    /// The timer has more left than it started with, or state of another mode.
    Timer,
    /// More than two NMIs.
    Nmis,
    /// The APIC is globally disabled, and yet its registers are not those after power-up.
    Disabled,
}

impl core::fmt::Display for SnapshotRefusal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Base => "IA32_APIC_BASE is no value that a processor can hold",
            Self::BootstrapWaits => "the bootstrap processor cannot wait for a start-up IPI",
            Self::WaitingApic => "the APIC of a processor that waits for a start-up IPI is in use",
            Self::ReservedBits => "a register has reserved bits set",
            Self::IllegalVector => "a vector below 16 is requested or in service",
            Self::Nesting => "two vectors of one priority class are in service",
            Self::RemoteIrr => "the remote IRR of LINT0 and its vector do not go together",
            Self::Unmasked => "a local vector table entry is unmasked in a disabled APIC",
            Self::Timer => "the timer's count or deadline does not fit its mode",
            Self::Nmis => "more than two NMIs are latched",
            Self::Disabled => "a globally disabled APIC has lost its registers, and these are not",
        })
    }
}

impl core::error::Error for SnapshotRefusal {}

/// Status bits that an entry never shows: deliveries do not wait, and the remote IRR is that of a
/// level.
fn never_set(source: LvtSource, entry: LvtEntry) -> u32 {
    if has_remote_irr(source, entry) {
        LvtEntry::new().with_delivery_status(true).into_bits()
    } else {
        source.read_only()
    }
}

impl LocalApic {
    /// The state at `now`, in ns; what is due by then has happened.
    pub fn save(&mut self, now: u64) -> Snapshot {
        self.advance(now);
        let Self {
            mode: _,
            task_priority,
            in_service,
            requests,
            level,
            watched: _,
            command_low,
            command_high,
            spurious,
            logical_id,
            destination_format,
            xapic_id,
            lvt: _,
            timer,
            errors,
            nmis,
            smi,
            ext_int,
            waiting_for_start_up,
            lint_asserted,
            lint0_vector,
            base,
            config: _,
        } = &*self;
        Snapshot {
            base: base.into_bits(),
            xapic_id: *xapic_id,
            logical_id: *logical_id,
            destination_format: *destination_format,
            task_priority: task_priority.value(),
            spurious: spurious.into_bits(),
            requests: *requests,
            in_service: in_service.to_set(),
            level: *level,
            command: u64::from(*command_high) << 32 | u64::from(*command_low),
            lvt: LvtSource::ALL.map(|source| self.read_lvt(source)),
            timer_initial: timer.initial(),
            timer_divide: timer.divide(),
            timer_remaining: timer.remaining(now),
            tsc_deadline: timer.tsc_deadline(),
            errors_visible: errors.visible(),
            errors_collected: errors.collected(),
            nmis: *nmis,
            smi: *smi,
            ext_int: *ext_int,
            waiting_for_start_up: *waiting_for_start_up,
            lint_asserted: *lint_asserted,
            lint0_vector: (*lint0_vector != 0).then_some(*lint0_vector),
        }
    }

    /// An APIC in the state of a snapshot, whose time goes on from `now`.
    ///
    /// Publish its [`Self::identity`] before anything is sent to it.
    ///
    /// # Errors
    ///
    /// Refuses a state that no APIC of this configuration can be in.
    /// What was saved can be restored, if no guest's access was made on behalf of a processor that waited
    /// for a start-up IPI: it executes nothing.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are stored apart"
    )]
    pub fn restore(config: Config, from: &Snapshot, now: u64) -> Result<Self, SnapshotRefusal> {
        let mut apic = Self::new(config);
        if from.base & ApicBase::reserved_mask(config.physical_bits) != 0 {
            return Err(SnapshotRefusal::Base);
        }
        apic.base = ApicBase::from_bits(from.base);
        apic.mode = config
            .mode_of(apic.base)
            .map_err(|_| SnapshotRefusal::Base)?;
        if apic.base.bootstrap() && from.waiting_for_start_up {
            return Err(SnapshotRefusal::BootstrapWaits);
        }
        let in_use = SpuriousVector::from_bits(from.spurious).enabled()
            || !from.requests.is_empty()
            || !from.in_service.is_empty();
        if from.waiting_for_start_up && in_use {
            return Err(SnapshotRefusal::WaitingApic);
        }
        let upper_command = match apic.mode {
            Mode::Xapic | Mode::Disabled => 0xFF_FFFF,
            Mode::X2apic => 0,
        };
        let reserved = from.spurious & !apic.spurious_writable()
            | (from.command >> 32) as u32 & upper_command
            | from.timer_divide & !0xB
            | u32::from(from.destination_format & 0xF0)
            | (from.errors_visible | from.errors_collected) & !0xFF
            | from.command as u32 & 1 << 12;
        if reserved != 0 {
            return Err(SnapshotRefusal::ReservedBits);
        }
        for (source, &entry) in LvtSource::ALL.into_iter().zip(&from.lvt) {
            let absent = source == LvtSource::CorrectedMachineCheck
                && !config.features.corrected_machine_check
                && entry != LvtEntry::RESET.into_bits();
            if absent || entry & apic.reserved_lvt(source, 0) != 0 {
                return Err(SnapshotRefusal::ReservedBits);
            }
            let entry = LvtEntry::from_bits(entry);
            if entry.into_bits() & never_set(source, entry) != 0 {
                return Err(SnapshotRefusal::ReservedBits);
            }
            if !SpuriousVector::from_bits(from.spurious).enabled() && !entry.masked() {
                return Err(SnapshotRefusal::Unmasked);
            }
            *apic.lvt.get_mut(source) = entry.with_remote_irr(false);
        }
        let remote_irr = LvtEntry::from_bits(from.lvt[LvtSource::Lint0 as usize]).remote_irr();
        let is_under_way =
            |vector| from.requests.contains(vector) || from.in_service.contains(vector);
        if remote_irr != from.lint0_vector.is_some() || !from.lint0_vector.is_none_or(is_under_way)
        {
            return Err(SnapshotRefusal::RemoteIrr);
        }
        let legal = |set: &VectorSet| set.iter().all(|vector| vector >= 16);
        let sets = [&from.requests, &from.in_service, &from.level];
        if !sets.into_iter().all(legal) {
            return Err(SnapshotRefusal::IllegalVector);
        }
        apic.in_service = InService::from_set(&from.in_service).ok_or(SnapshotRefusal::Nesting)?;
        if from.nmis > 2 {
            return Err(SnapshotRefusal::Nmis);
        }
        apic.restore_timer(from, now)?;
        apic.xapic_id = from.xapic_id;
        apic.logical_id = from.logical_id;
        apic.destination_format = from.destination_format;
        apic.task_priority = TaskPriority::new(from.task_priority);
        apic.spurious = SpuriousVector::from_bits(from.spurious);
        apic.requests = from.requests;
        apic.level = from.level;
        apic.watched = from.level;
        if let Some(vector) = from.lint0_vector {
            apic.watched.insert(vector);
        }
        apic.command_low = from.command as u32;
        apic.command_high = (from.command >> 32) as u32;
        apic.errors = Errors::restore(from.errors_visible, from.errors_collected);
        apic.nmis = from.nmis;
        apic.smi = from.smi;
        apic.ext_int = from.ext_int;
        apic.waiting_for_start_up = from.waiting_for_start_up;
        apic.lint_asserted = from.lint_asserted;
        apic.lint0_vector = from.lint0_vector.unwrap_or(0);
        if apic.mode == Mode::Disabled {
            apic.restore_disabled(from, now)?;
        }
        Ok(apic)
    }

    /// Disabling has lost all that is the APIC's own (§4.3).
    fn restore_disabled(&mut self, from: &Snapshot, now: u64) -> Result<(), SnapshotRefusal> {
        let mut fresh = Self::new(self.config);
        self.xapic_id = fresh.xapic_id;
        let expected = Snapshot {
            base: from.base,
            xapic_id: from.xapic_id,
            task_priority: from.task_priority,
            nmis: from.nmis,
            smi: from.smi,
            ext_int: from.ext_int,
            waiting_for_start_up: from.waiting_for_start_up,
            lint_asserted: from.lint_asserted,
            ..fresh.save(now)
        };
        if *from == expected {
            Ok(())
        } else {
            Err(SnapshotRefusal::Disabled)
        }
    }

    fn restore_timer(&mut self, from: &Snapshot, now: u64) -> Result<(), SnapshotRefusal> {
        let mode = TimerMode::of(self.lvt.get(LvtSource::Timer));
        self.timer.set_mode(mode);
        self.timer.set_divide(from.timer_divide, now);
        let (initial, deadline, left) =
            (from.timer_initial, from.tsc_deadline, from.timer_remaining);
        if self.timer.resume(initial, deadline, left, now) {
            Ok(())
        } else {
            Err(SnapshotRefusal::Timer)
        }
    }
}
