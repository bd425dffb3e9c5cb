//! One Local APIC: its registers, and what power-up, INIT and a new base do to them.
//!
//! The thread that runs the processor owns it and lends it by `&mut`. Its behaviour is spread by
//! concept: [`crate::xapic`] and [`crate::x2apic`] are the two doors to the registers,
//! [`crate::priority`] accepts, acknowledges and ends, [`crate::arrival`] takes what the mailbox holds.

use crate::GeneralProtection;
use crate::config::Config;
use crate::error::Errors;
use crate::lvt::Lvt;
use crate::mode::Mode;
use crate::priority::TaskPriority;
use crate::routing::{Identity, LogicalModel};
use crate::spec::base::{ApicBase, DEFAULT_APIC_PAGE};
use crate::spec::error::ErrorStatus;
use crate::spec::lvt::LvtSource;
use crate::spec::message::{DeliveryMode, InterruptMessage};
use crate::spec::svr::SpuriousVector;
use crate::timer::{NEVER, Timer};
use crate::vector::{InService, VectorSet};

/// What a local source asks of the host beyond the APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Raised {
    /// Nothing: the APIC holds what there is to deliver.
    Nothing,
    /// INIT, which pins alone have: the APIC has been reset; reset the processor as for [`Arrivals::init`](crate::Arrivals).
    Init,
}

/// What the host must do after an access; exhaustive, since a host must do all of it.
// A tag of its own keeps the fields of one effect from overlapping those of another, so that they
// all stay in processor registers where the host's handling is compiled into the access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
#[repr(u8)]
pub enum Effect {
    /// Nothing more: the timer may have been armed, so ask for [`LocalApic::deadline`] again, as after
    /// any access.
    None,
    /// Deliver this message, see [`Router::deliver`](crate::Router::deliver).
    Send(InterruptMessage),
    /// The interrupt on `vector` has been served; tell level sources if it was level-triggered.
    Ended {
        /// The vector that left service.
        vector: u8,
        /// The end is broadcast to the IOAPICs: its TMR bit was set and broadcasts are not
        /// suppressed.
        level: bool,
    },
    /// How others address this APIC has changed: publish [`LocalApic::identity`] in the fabric.
    Identity,
    /// IA32_APIC_BASE has changed: publish the identity, move the page, mirror the value.
    Base(ApicBase),
}

/// Whom a write to a register concerns; unlike an [`Effect`] it fits in a processor register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Concerns {
    /// The APIC itself alone.
    Itself,
    /// Also those who send to it: its identity has changed.
    Senders,
}

impl From<Concerns> for Effect {
    fn from(concerns: Concerns) -> Self {
        match concerns {
            Concerns::Itself => Self::None,
            Concerns::Senders => Self::Identity,
        }
    }
}

/// A Local APIC.
#[derive(Clone, Debug)]
pub struct LocalApic {
    pub(crate) mode: Mode,
    pub(crate) task_priority: TaskPriority,
    pub(crate) in_service: InService,
    pub(crate) requests: VectorSet,
    pub(crate) level: VectorSet,
    /// Vectors whose end is more than leaving service: all in `level`, LINT0's, and for a while such as
    /// were among these.
    pub(crate) watched: VectorSet,
    pub(crate) command_low: u32,
    pub(crate) command_high: u32,
    pub(crate) spurious: SpuriousVector,
    pub(crate) logical_id: u8,
    pub(crate) destination_format: u8,
    pub(crate) xapic_id: u8,
    pub(crate) lvt: Lvt,
    pub(crate) timer: Timer,
    pub(crate) errors: Errors,
    pub(crate) nmis: u8,
    pub(crate) smi: bool,
    pub(crate) ext_int: bool,
    pub(crate) waiting_for_start_up: bool,
    pub(crate) lint_asserted: [bool; 2],
    /// LINT0's remote IRR: the vector accepted from its level and not yet ended, which the entry may
    /// no longer have; 0 if there is none.
    pub(crate) lint0_vector: u8,
    pub(crate) base: ApicBase,
    pub(crate) config: Config,
}

impl LocalApic {
    /// The APIC after power-up: xAPIC mode, software-disabled.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "xAPIC mode shows 8 bits of the ID"
    )]
    pub fn new(config: Config) -> Self {
        let base = ApicBase::from_bits(DEFAULT_APIC_PAGE)
            .with_enabled(true)
            .with_bootstrap(config.bootstrap);
        Self {
            mode: Mode::Xapic,
            task_priority: TaskPriority::LOWEST,
            in_service: InService::default(),
            requests: VectorSet::EMPTY,
            level: VectorSet::EMPTY,
            watched: VectorSet::EMPTY,
            command_low: 0,
            command_high: 0,
            spurious: SpuriousVector::RESET,
            logical_id: 0,
            destination_format: 0xF,
            xapic_id: config.id as u8,
            lvt: Lvt::RESET,
            timer: Timer::RESET,
            errors: Errors::RESET,
            nmis: 0,
            smi: false,
            ext_int: false,
            waiting_for_start_up: !config.bootstrap,
            lint_asserted: [false; 2],
            lint0_vector: 0,
            base,
            config,
        }
    }

    /// Back to the state after INIT: all registers but the ID, the base and so the mode (§4.7.3).
    ///
    /// The processor looks at its BSP flag as it is now ("MP initialization", SDM 3A): with it, it
    /// starts over, without it waits for a start-up IPI.
    pub(crate) fn init(&mut self) {
        *self = Self {
            xapic_id: self.xapic_id,
            base: self.base,
            mode: self.mode,
            lint_asserted: self.lint_asserted,
            waiting_for_start_up: !self.base.bootstrap(),
            ..Self::new(self.config)
        };
    }

    /// The mode that IA32_APIC_BASE selects.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The value of IA32_APIC_BASE.
    #[must_use]
    pub const fn base(&self) -> ApicBase {
        self.base
    }

    /// Guest-physical address of the register page, which exists in xAPIC mode alone.
    #[must_use]
    #[inline]
    pub const fn page(&self) -> Option<u64> {
        match self.mode {
            Mode::Xapic => Some(self.base.address()),
            Mode::Disabled | Mode::X2apic => None,
        }
    }

    /// The APIC ID as the current mode shows it.
    #[must_use]
    pub const fn id(&self) -> u32 {
        match self.mode {
            Mode::X2apic => self.config.id,
            Mode::Xapic | Mode::Disabled => self.xapic_id as u32,
        }
    }

    /// How other APICs address this one; goes to [`Fabric::publish`](crate::Fabric::publish).
    #[must_use]
    pub const fn identity(&self) -> Identity {
        Identity {
            mode: self.mode,
            x2apic_id: self.config.id,
            xapic_id: self.xapic_id,
            logical_id: self.logical_id,
            model: match self.destination_format {
                0xF => LogicalModel::Flat,
                0x0 => LogicalModel::Cluster,
                _ => LogicalModel::Unknown,
            },
            software_enabled: self.spurious.enabled(),
        }
    }

    /// The guest writes IA32_APIC_BASE.
    ///
    /// # Errors
    ///
    /// #GP for reserved bits, for EXTD without EN or without x2APIC mode, and for the moves that §12.5 forbids.
    pub fn write_base(&mut self, value: u64) -> Result<Effect, GeneralProtection> {
        if value & ApicBase::reserved_mask(self.config.physical_bits) != 0 {
            return Err(GeneralProtection);
        }
        let base = ApicBase::from_bits(value);
        let mode = self.config.mode_of(base)?;
        if !self.mode.may_become(mode) {
            return Err(GeneralProtection);
        }
        if mode == Mode::Disabled && self.mode != Mode::Disabled {
            // Disabling loses all state (§4.3): the next enable finds an APIC after power-up.
            // What is latched in the processor, and the state of the wires, is not the APIC's.
            *self = Self {
                waiting_for_start_up: self.waiting_for_start_up,
                nmis: self.nmis,
                smi: self.smi,
                lint_asserted: self.lint_asserted,
                ..Self::new(self.config)
            };
        }
        self.mode = mode;
        self.base = base;
        Ok(Effect::Base(base))
    }

    /// When the timer must be looked at, in ns, for its count or its TSC deadline; `None` while it can
    /// cause nothing.
    ///
    /// To be asked again after each access, drain, and write of the base, any of which may arm the
    /// timer or stop it. Calling [`Self::advance`] earlier is harmless.
    #[must_use]
    #[inline]
    pub const fn deadline(&self) -> Option<u64> {
        if self.lvt.get(LvtSource::Timer).masked() {
            None
        } else {
            self.timer.deadline()
        }
    }

    /// Lets time reach `now` in ns: an expired timer raises its interrupt, or loses it if masked.
    #[inline]
    pub fn advance(&mut self, now: u64) {
        if self.timer.is_due(now) {
            self.expire(now);
        }
    }

    /// The timer has come to its deadline; returns a time at which it is not due again.
    #[cold]
    #[inline(never)]
    pub(crate) fn expire(&mut self, now: u64) -> u64 {
        if self.timer.advance(now) {
            self.fire_timer();
        }
        now.min(NEVER - 1)
    }

    /// A local source fires its entry of the local vector table once; pins have
    /// [`Self::set_lint`].
    pub fn raise(&mut self, source: LvtSource) -> Raised {
        let entry = self.lvt.get(source);
        // One that this model does not have is masked for ever.
        if entry.masked() {
            return Raised::Nothing;
        }
        if source == LvtSource::PerformanceCounter {
            // Software unmasks it when it has dealt with the counters (SDM 3B, PMI handling).
            self.lvt.get_mut(source).set_masked(true);
        }
        match entry.delivery() {
            DeliveryMode::Fixed => {
                self.accept_local(entry.vector());
            }
            DeliveryMode::Nmi => self.latch_nmi(),
            DeliveryMode::Smi => self.smi = true,
            DeliveryMode::Init if source.is_pin() => {
                self.init();
                return Raised::Init;
            }
            // An ExtINT pin is a level, see [`Self::ext_int`]; other entries have neither of the two.
            DeliveryMode::ExtInt
            | DeliveryMode::Init
            | DeliveryMode::LowestPriority
            | DeliveryMode::RemoteRead
            | DeliveryMode::StartUp => {}
        }
        Raised::Nothing
    }

    pub(crate) fn latch_nmi(&mut self) {
        self.nmis = (self.nmis + 1).min(2);
    }

    /// Requests an edge-triggered vector of a local source; whether it is a legal one.
    pub(crate) fn accept_local(&mut self, vector: u8) -> bool {
        if vector < 16 {
            self.note_error(ErrorStatus::new().with_receive_illegal_vector(true));
            return false;
        }
        self.requests.insert(vector);
        self.level.remove(vector);
        true
    }

    /// Collects an error and fires the error entry if it is new.
    ///
    /// An error entry with an illegal vector is an error too, but fires nothing: no recursion.
    pub(crate) fn note_error(&mut self, error: ErrorStatus) {
        let entry = self.lvt.get(LvtSource::Error);
        if self.errors.collect(error) && !entry.masked() {
            if entry.vector() < 16 {
                self.errors
                    .collect(ErrorStatus::new().with_receive_illegal_vector(true));
            } else {
                self.accept_local(entry.vector());
            }
        }
    }

    /// The timer's entry fires; its delivery mode is always fixed.
    pub(crate) fn fire_timer(&mut self) {
        let entry = self.lvt.get(LvtSource::Timer);
        if !entry.masked() {
            self.accept_local(entry.vector());
        }
    }

    /// Bits of the SVR that a guest can set.
    pub(crate) const fn spurious_writable(&self) -> u32 {
        if self.config.features.eoi_suppression {
            SpuriousVector::WRITABLE_WITH_SUPPRESSION
        } else {
            SpuriousVector::WRITABLE
        }
    }

    pub(crate) fn write_spurious(&mut self, value: u32) {
        self.spurious = SpuriousVector::from_bits(value & self.spurious_writable());
        if !self.spurious.enabled() {
            self.lvt.mask_all();
        }
    }
}
