//! The register page of KVM_GET_LAPIC and KVM_SET_LAPIC (Linux, arch/x86/kvm/lapic.c).
//!
//! The page is the xAPIC page's first KiB whatever the mode, so that a guest can move between this
//! APIC and KVM's own. Pending errors, NMIs, the wires of the pins, the wait for a start-up IPI and
//! IA32_TSC_DEADLINE are not on it: KVM keeps them elsewhere (KVM_GET_VCPU_EVENTS,
//! KVM_GET_MP_STATE, KVM_GET_MSRS), or not at all. Whoever fetches a deadline from there sets
//! [`Snapshot::timer_remaining`] with it.

use super::Snapshot;
use crate::config::{Config, Features};
use crate::lint::has_remote_irr;
use crate::local_apic::LocalApic;
use crate::spec::base::ApicBase;
use crate::spec::lvt::{LvtEntry, LvtSource};
use crate::spec::register::Register;
use crate::spec::svr::SpuriousVector;
use crate::timer::Timer;
use crate::vector::VectorSet;

/// Bytes of the page.
pub const SIZE: usize = 1024;

/// Offsets of registers, as in [`Register::from_offset`].
mod offset {
    pub(super) const ID: usize = 0x20;
    pub(super) const VERSION: usize = 0x30;
    pub(super) const TPR: usize = 0x80;
    pub(super) const LDR: usize = 0xD0;
    pub(super) const DFR: usize = 0xE0;
    pub(super) const SVR: usize = 0xF0;
    pub(super) const ISR: usize = 0x100;
    pub(super) const TMR: usize = 0x180;
    pub(super) const IRR: usize = 0x200;
    pub(super) const ESR: usize = 0x280;
    pub(super) const ICR: usize = 0x300;
    pub(super) const ICR2: usize = 0x310;
    pub(super) const INITIAL: usize = 0x380;
    pub(super) const CURRENT: usize = 0x390;
    pub(super) const DIVIDE: usize = 0x3E0;
}

/// Where an entry of the local vector table is.
const fn of_lvt(source: LvtSource) -> usize {
    (source.register() as usize) << 4
}

/// A processor that does not wait to be started; its registers after power-up are any model's.
const RUNNING: Config = Config {
    id: 0,
    bootstrap: true,
    physical_bits: 52,
    features: Features {
        x2apic: true,
        tsc_deadline: false,
        eoi_suppression: false,
        corrected_machine_check: true,
    },
};

impl Snapshot {
    /// The page of an APIC with this configuration.
    ///
    /// In x2APIC mode the ID has 32 bits, as KVM has it with KVM_X2APIC_API_USE_32BIT_IDS.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "halves and remainders fit 32 bits"
    )]
    pub fn to_page(&self, config: Config) -> [u8; SIZE] {
        let mut page = [0; SIZE];
        let mut put = |offset: usize, value: u32| {
            if let Some(bytes) = page.get_mut(offset..offset + 4) {
                bytes.copy_from_slice(&value.to_le_bytes());
            }
        };
        if ApicBase::from_bits(self.base).x2apic() {
            put(offset::ID, config.id);
            put(offset::LDR, (config.id >> 4) << 16 | 1 << (config.id & 0xF));
        } else {
            put(offset::ID, u32::from(self.xapic_id) << 24);
            put(offset::LDR, u32::from(self.logical_id) << 24);
        }
        put(offset::VERSION, config.version());
        put(offset::TPR, self.task_priority.into());
        put(
            offset::DFR,
            u32::from(self.destination_format) << 28 | 0x0FFF_FFFF,
        );
        put(offset::SVR, self.spurious);
        put(offset::ESR, self.errors_visible);
        put(offset::ICR, self.command as u32);
        put(offset::ICR2, (self.command >> 32) as u32);
        put(offset::INITIAL, self.timer_initial);
        put(offset::DIVIDE, self.timer_divide);
        // What remains until a TSC deadline is no count.
        let remaining = match self.tsc_deadline {
            0 => self.timer_remaining.unwrap_or(0),
            _ => 0,
        };
        let ticks = remaining.div_ceil(1 << Timer::shift(self.timer_divide));
        put(offset::CURRENT, ticks as u32);
        for (source, &entry) in LvtSource::ALL.into_iter().zip(&self.lvt) {
            put(of_lvt(source), entry);
        }
        for index in 0..8u8 {
            let at = usize::from(index) << 4;
            put(offset::ISR + at, self.in_service.register(index));
            put(offset::TMR + at, self.level.register(index));
            put(offset::IRR + at, self.requests.register(index));
        }
        page
    }

    /// The snapshot that a page and IA32_APIC_BASE stand for; what the page does not hold is as
    /// after power-up of a processor that runs.
    ///
    /// KVM lets a guest set status bits of the ICR and of the local vector table, and keeps the
    /// registers of an APIC that is globally disabled; an APIC that is true to the manual has
    /// neither, so they are left behind. It also requests vectors below 16 that it never delivers,
    /// which are dropped, and gives a bootstrap processor LINT0 unmasked though its APIC is disabled by
    /// software, which masks every entry here. LINT0's remote IRR is taken to be of the entry's vector if
    /// that is requested or in service, and to be left over otherwise.
    ///
    /// The page's ID is not compared with anything: in xAPIC mode it is the one that the guest has
    /// given, in x2APIC mode that of the [`Config`] it is restored with counts. Whoever has pages of
    /// several processors sees to it that each goes with its own.
    #[must_use]
    pub fn from_page(page: &[u8; SIZE], base: u64) -> Self {
        let get = |offset: usize| {
            let bytes = page
                .get(offset..offset + 4)
                .and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes)
        };
        let vectors = |first: usize| VectorSet::from_registers(|index| get(first + (index << 4)));
        let top = |offset| get(offset).to_be_bytes()[0];
        let task_priority = get(offset::TPR).to_le_bytes()[0];
        if !ApicBase::from_bits(base).enabled() {
            return Self {
                base,
                task_priority,
                ..LocalApic::new(RUNNING).save(0)
            };
        }
        let x2apic = ApicBase::from_bits(base).x2apic();
        let divide = get(offset::DIVIDE) & 0xB;
        let initial = get(offset::INITIAL);
        let timer = LvtEntry::from_bits(get(of_lvt(LvtSource::Timer)));
        let ticks = match get(offset::CURRENT) {
            // KVM rounds down: this one is about to start over.
            0 if timer.periodic() => initial,
            ticks => ticks,
        };
        let remaining = u64::from(ticks) << Timer::shift(divide);
        let in_service = vectors(offset::ISR);
        let [requests, level] = [offset::IRR, offset::TMR].map(|first| {
            let mut set = vectors(first);
            (0..16).for_each(|illegal| set.remove(illegal));
            set
        });
        let [_, _, last_entry, _] = get(offset::VERSION).to_le_bytes();
        let spurious = get(offset::SVR);
        let software_enabled = SpuriousVector::from_bits(spurious).enabled();
        let lint0 = LvtEntry::from_bits(get(of_lvt(LvtSource::Lint0)));
        let lint0_vector = (lint0.remote_irr() && has_remote_irr(LvtSource::Lint0, lint0))
            .then_some(lint0.vector())
            .filter(|&vector| requests.contains(vector) || in_service.contains(vector))
            .filter(|&vector| level.contains(vector));
        Self {
            base,
            xapic_id: if x2apic {
                get(offset::ID).to_le_bytes()[0]
            } else {
                top(offset::ID)
            },
            logical_id: if x2apic { 0 } else { top(offset::LDR) },
            destination_format: top(offset::DFR) >> 4,
            task_priority,
            spurious,
            requests,
            in_service,
            level,
            command: u64::from(get(offset::ICR2)) << 32 | u64::from(get(offset::ICR) & !(1 << 12)),
            lvt: LvtSource::ALL.map(|source| {
                if source as u8 > last_entry {
                    return LvtEntry::RESET.into_bits();
                }
                let entry = LvtEntry::from_bits(get(of_lvt(source)) & !source.read_only());
                let is_lint0 = source == LvtSource::Lint0;
                let remote_irr = is_lint0 && lint0_vector.is_some();
                entry
                    .with_remote_irr(remote_irr)
                    .with_masked(entry.masked() || !software_enabled)
                    .into_bits()
            }),
            timer_initial: if timer.tsc_deadline() { 0 } else { initial },
            timer_divide: divide,
            timer_remaining: (remaining != 0 && !timer.tsc_deadline()).then_some(remaining),
            tsc_deadline: 0,
            errors_visible: get(offset::ESR),
            errors_collected: 0,
            nmis: 0,
            smi: false,
            ext_int: false,
            waiting_for_start_up: false,
            lint_asserted: [false; 2],
            lint0_vector,
        }
    }
}

// The offsets above are those of the register file.
const _: () = {
    assert!(matches!(
        Register::from_offset(0x390),
        Some(Register::TimerCurrentCount)
    ));
    assert!(matches!(
        Register::from_offset(0x2F0),
        Some(Register::Lvt(LvtSource::CorrectedMachineCheck))
    ));
};
