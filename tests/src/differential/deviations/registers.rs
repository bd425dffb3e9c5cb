//! How the deviations of registers and timer are recognised.

use vapic::Mode;
use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::lvt::LvtSource;
use vapic::spec::register::Register;
use vapic::spec::svr::SpuriousVector;

use super::super::access::{Access, Door, lvt_index};
use super::super::model::Model;
use super::super::operation::{Action, End, Operation, Outcome};
use super::super::setup::{Accesses, TO_NOBODY, initialise};

const TPR: u32 = 0x08;
const SVR: u32 = 0x0F;
const LVT_TIMER: u32 = lvt_index(LvtSource::Timer);
const LINT0: u32 = lvt_index(LvtSource::Lint0);
const INITIAL_COUNT: u32 = 0x38;
const CURRENT_COUNT: u32 = 0x39;

const MASKED: u64 = 1 << 16;
/// LVT timer, bits 18:17: the mode that is reserved.
const RESERVED_MODE: u64 = 3 << 17;
const TSC_DEADLINE_MODE: u32 = 1 << 18;
const DIVIDE_BITS: u32 = 0xB;

const GENERAL_PROTECTION: u8 = 13;

/// A read of a register that both answer: the access, and the register's bits that are set for
/// us alone and for KVM alone.
fn read(
    model: &Model,
    operation: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> Option<(Access, u64, u64)> {
    let access = model.access(operation)?;
    let reads = match operation.action {
        Action::ExchangePage(..) => true,
        _ => access.written.is_none(),
    };
    let same_but_value = Outcome {
        value: ours.value,
        ..kernel.clone()
    };
    (reads && same_but_value == *ours).then(|| {
        let [ours, kernel] = [ours, kernel].map(|outcome| access.bits(outcome.value));
        (access, ours & !kernel, kernel & !ours)
    })
}

fn only_kernel_has(
    model: &Model,
    operation: &Operation,
    [ours, kernel]: [&Outcome; 2],
    bits: impl Fn(&Access) -> Option<u64>,
) -> bool {
    read(model, operation, ours, kernel).is_some_and(|(access, only_ours, only_kernel)| {
        bits(&access).is_some_and(|bits| only_ours == 0 && only_kernel & !bits == 0)
    })
}

pub(super) fn version(model: &Model, op: &Operation, ours: &Outcome, kernel: &Outcome) -> bool {
    read(model, op, ours, kernel).is_some_and(|(access, only_ours, only_kernel)| {
        let differ = 0x0006_0014 ^ 0x0105_0014;
        access.register == Some(Register::Version) && (only_ours | only_kernel) & !differ == 0
    })
}

pub(super) fn cmci(model: &Model, op: &Operation, ours: &Outcome, kernel: &Outcome) -> bool {
    let Some(access) = model.access(op) else {
        return false;
    };
    access.index == lvt_index(LvtSource::CorrectedMachineCheck)
        && match access.door {
            Door::Msr => ours.fault == 0 && kernel.fault == GENERAL_PROTECTION,
            Door::Page(..) => read(model, op, ours, kernel).is_some(),
        }
}

pub(super) fn error_status(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    let esr = |access: &Access| access.register == Some(Register::ErrorStatus);
    read(model, op, ours, kernel).is_some_and(|(access, ..)| esr(&access) && kernel.value == 0)
}

pub(super) fn unmasks_error_entry(model: &Model, op: &Operation) -> bool {
    writes_whole(model, op)
        .is_some_and(|(index, value)| index == lvt_index(LvtSource::Error) && value & MASKED == 0)
}

pub(super) fn illegal_vectors(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    only_kernel_has(model, op, [ours, kernel], |access| {
        (access.register == Some(Register::InterruptRequest(0))).then_some(0xFFFF)
    })
}

pub(super) fn stays_in_service(model: &Model, op: &Operation) -> bool {
    !model.traits().keeps_in_service
        && op.action == Action::Window(End::Leave)
        && model.apic(op.processor).deliverable().is_some()
}

pub(super) fn level_triggered(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    only_kernel_has(model, op, [ours, kernel], |access| match access.register {
        Some(Register::TriggerMode(word)) => {
            Some(model.level_sent(op.processor).register(word).into())
        }
        _ => None,
    })
}

pub(super) fn lvt_read_only(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    only_kernel_has(model, op, [ours, kernel], |access| match access.register {
        Some(Register::Lvt(source)) => {
            let written = model.last_written(op.processor, access.index);
            Some((written & source.read_only()).into())
        }
        _ => None,
    })
}

pub(super) fn lint0_at_reset(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    model.access(op).is_some_and(|access| {
        access.index == LINT0
            && access.is_whole()
            && op.processor == 0
            && model.last_written(op.processor, LINT0) == 0
            && (ours.value, kernel.value) == (MASKED, 0x700)
    })
}

pub(super) fn svr_bit_12(model: &Model, op: &Operation, ours: &Outcome, kernel: &Outcome) -> bool {
    only_kernel_has(model, op, [ours, kernel], |access| {
        let written = model.last_written(op.processor, SVR);
        (access.index == SVR).then_some((written & 1 << 12).into())
    })
}

/// A WRMSR that ours refuses for reserved bits and KVM does not: the register's number, the value,
/// and the bits that exist.
fn reserved(model: &Model, op: &Operation) -> Option<(u32, u32, u32)> {
    let access = model.access(op)?;
    let value = u32::try_from(access.written?).ok()?;
    let (writable, ignored) = match access.register? {
        Register::TaskPriority => (0xFF, 0),
        Register::SpuriousVector => (SpuriousVector::WRITABLE, 0),
        Register::TimerDivide => (DIVIDE_BITS, 0),
        Register::Lvt(LvtSource::CorrectedMachineCheck) => return None,
        Register::Lvt(LvtSource::Timer) if !model.traits().tsc_deadline => {
            let no_deadline = LvtSource::Timer.writable() & !TSC_DEADLINE_MODE;
            (no_deadline, LvtSource::Timer.read_only())
        }
        Register::Lvt(source) => (source.writable(), source.read_only()),
        _ => return None,
    };
    let reserved = value & !(writable | ignored);
    (access.door == Door::Msr && reserved != 0).then_some((access.index, value, writable))
}

pub(super) fn reserved_bits(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    reserved(model, op).is_some() && ours.fault == GENERAL_PROTECTION && kernel.fault == 0
}

pub(super) fn reserved_bits_beside_a_change(model: &Model, op: &Operation) -> bool {
    reserved(model, op).is_some_and(|(index, value, writable)| {
        (model.register(op.processor, index) ^ value) & writable != 0
    })
}

fn is_eoi_with_value(model: &Model, op: &Operation) -> bool {
    model.access(op).is_some_and(|access| {
        access.register == Some(Register::EndOfInterrupt)
            && access.door == Door::Msr
            && access
                .written
                .is_some_and(|value| value != 0 && u32::try_from(value).is_ok())
    })
}

pub(super) fn eoi_value(model: &Model, op: &Operation, ours: &Outcome, kernel: &Outcome) -> bool {
    is_eoi_with_value(model, op) && ours.fault == GENERAL_PROTECTION && kernel.fault == 0
}

pub(super) fn eoi_value_that_ends(model: &Model, op: &Operation) -> bool {
    is_eoi_with_value(model, op) && model.apic(op.processor).in_service().is_some()
}

pub(super) fn hole(model: &Model, op: &Operation, ours: &Outcome, kernel: &Outcome) -> bool {
    read(model, op, ours, kernel).is_some_and(|(access, ..)| {
        matches!(access.door, Door::Page(..))
            && matches!(
                access.register,
                None | Some(Register::EndOfInterrupt | Register::RemoteRead | Register::SelfIpi)
            )
    })
}

pub(super) fn beyond_four_bytes(
    model: &Model,
    op: &Operation,
    ours: &Outcome,
    kernel: &Outcome,
) -> bool {
    read(model, op, ours, kernel).is_some_and(|(access, ..)| {
        matches!(access.door, Door::Page(first, width) if first + u32::from(width) > 4)
    })
}

/// The mode before and after a legal write of IA32_APIC_BASE.
fn moves(model: &Model, op: &Operation) -> Option<(Mode, Mode)> {
    let Action::WriteMsr(IA32_APIC_BASE, value) = op.action else {
        return None;
    };
    let mut apic = model.apic(op.processor).clone();
    let before = apic.mode();
    let _ = apic.write_base(value).ok()?;
    Some((before, apic.mode()))
}

pub(super) fn disables_in_use(model: &Model, op: &Operation) -> bool {
    let disables = moves(model, op)
        .is_some_and(|(before, after)| before != Mode::Disabled && after == Mode::Disabled);
    let apic = model.apic(op.processor);
    disables
        && (!apic.requests().is_empty()
            || apic.in_service().is_some()
            || model.register(op.processor, TPR) != 0
            || model.register(op.processor, INITIAL_COUNT) != 0)
}

pub(super) fn initialise_when_enabled(model: &Model, op: &Operation) -> Vec<Operation> {
    match (moves(model, op), op.action) {
        (Some((Mode::Disabled, Mode::Xapic)), Action::WriteMsr(_, base)) => {
            let page = u32::try_from(base & 0xFFFF_F000).expect("masked");
            initialise(op.processor, page)
        }
        _ => Vec::new(),
    }
}

pub(super) fn command_after_mode_change(model: &Model, op: &Operation) -> Vec<Operation> {
    match moves(model, op) {
        Some((Mode::Xapic, Mode::X2apic)) => {
            Accesses::of(op.processor).wrmsr(0x830, TO_NOBODY).list()
        }
        _ => Vec::new(),
    }
}

pub(super) fn task_priority_after_cr8(model: &Model, op: &Operation) -> Vec<Operation> {
    let apic = model.apic(op.processor);
    let tpr = model.register(op.processor, TPR);
    match op.action {
        Action::WriteCr8(class) if class == u64::from(apic.cr8()) && tpr & 0xF != 0 => {
            let accesses = Accesses::of(op.processor);
            let tpr = u64::from(tpr & 0xF0);
            match apic.page().and_then(|page| u32::try_from(page).ok()) {
                Some(page) => accesses.page(page).write(0x80, tpr).list(),
                None => accesses.wrmsr(0x808, tpr).list(),
            }
        }
        // A second move back to this class, with no exit between, would not be seen either.
        Action::WriteCr8(class) if class < 16 && tpr & 0xF != 0 => {
            Accesses::of(op.processor).act(Action::Exit).list()
        }
        _ => Vec::new(),
    }
}

/// A write to a whole register: its number, and the value.
fn writes_whole(model: &Model, op: &Operation) -> Option<(u32, u64)> {
    let access = model.access(op).filter(Access::is_whole)?;
    Some((access.index, access.written?))
}

fn has_expired(model: &Model, processor: u8) -> bool {
    model.register(processor, INITIAL_COUNT) != 0 && model.register(processor, CURRENT_COUNT) == 0
}

pub(super) fn unmasks_expired_timer(model: &Model, op: &Operation) -> bool {
    writes_whole(model, op).is_some_and(|(index, value)| {
        index == LVT_TIMER && value & MASKED == 0 && has_expired(model, op.processor)
    })
}

pub(super) fn changes_divisor_of_expired_timer(model: &Model, op: &Operation) -> bool {
    writes_whole(model, op).is_some_and(|(index, _)| {
        Register::from_index(index) == Some(Register::TimerDivide)
            && has_expired(model, op.processor)
    })
}

/// A count that is there when the mode is entered, or written in it.
pub(super) fn counts_in_reserved_mode(model: &Model, op: &Operation) -> bool {
    model.traits().tsc_deadline
        && writes_whole(model, op).is_some_and(|(index, value)| match index {
            LVT_TIMER => {
                value & RESERVED_MODE == RESERVED_MODE
                    && model.register(op.processor, INITIAL_COUNT) != 0
            }
            INITIAL_COUNT => {
                let entry = u64::from(model.register(op.processor, LVT_TIMER));
                value != 0 && entry & RESERVED_MODE == RESERVED_MODE
            }
            _ => false,
        })
}

pub(super) fn enters_reserved_mode_by_msr(model: &Model, op: &Operation) -> bool {
    model.traits().tsc_deadline
        && model.access(op).is_some_and(|access| {
            let written = access.written.unwrap_or(0);
            access.index == LVT_TIMER
                && access.door == Door::Msr
                && u32::try_from(written).is_ok()
                && written & RESERVED_MODE == RESERVED_MODE
        })
}
