//! From an event to the parts of its record; this is on the way of an IPI that is recorded.

use vapic::spec::message::{Destination, Trigger};
use vapic::{Acceptance, Arrivals, Overtaken, Posted};

use super::{
    ACCESS, ARRIVED, CARRIED_OUT, DRAINED, ENDED, EXIT, EXTERNAL_INJECTED, INJECTED, KICKED, LINT0,
    NMI_INJECTED, POSTED, Parts, RESET, RESTED, SENT, TASK_PRIORITY,
};
use crate::observe::{Door, Event, IpiId, Rest};

#[inline(always)]
pub(super) fn encode(event: &Event) -> Parts {
    match *event {
        Event::Exit { cause, entered, .. } => Parts {
            a: cause as u8,
            d: entered.0,
            ..Parts::new(EXIT)
        },
        Event::Rested { rest, ticks, .. } => Parts {
            a: (rest == Rest::WaitingForStartUp).into(),
            d: ticks,
            ..Parts::new(RESTED)
        },
        Event::Sent { id, message } => {
            let (kind, address) = match message.destination {
                Destination::Physical(address) => (0, address),
                Destination::Logical(address) => (1, address),
                Destination::Sender => (2, 0),
                Destination::All => (3, 0),
                Destination::AllButSender => (4, 0),
            };
            let level = u16::from(message.trigger == Trigger::Level);
            Parts {
                a: message.vector,
                b: u16::from(message.delivery.into_bits()) | level << 3 | kind << 4,
                c: address,
                d: id.raw(),
                ..Parts::new(SENT)
            }
        }
        Event::Posted {
            id,
            target,
            delivery,
            vector,
            outcome,
        } => {
            let outcome = match outcome {
                Posted::New => 0,
                Posted::Coalesced => 1,
                Posted::Unsupported => 2,
            };
            Parts {
                a: vector,
                b: u16::from(delivery.into_bits()) | outcome << 4,
                c: number(target),
                d: id.raw(),
                ..Parts::new(POSTED)
            }
        }
        Event::Kicked { id, target, kick } => Parts {
            a: kick as u8,
            c: number(target),
            d: id.raw(),
            ..Parts::new(KICKED)
        },
        Event::Drained {
            vector,
            trigger,
            acceptance,
            id,
            ..
        } => {
            let acceptance = match acceptance {
                Acceptance::Accepted => 0,
                Acceptance::Merged => 1,
                Acceptance::Disabled => 2,
                Acceptance::IllegalVector => 3,
            };
            Parts {
                a: vector,
                b: acceptance | u16::from(trigger == Trigger::Level) << 4,
                d: raw(id),
                ..Parts::new(DRAINED)
            }
        }
        Event::Arrived { arrivals, .. } => arrived(&arrivals),
        Event::CarriedOut { line, id } => Parts {
            c: number(line.index()),
            d: raw(id),
            ..Parts::new(CARRIED_OUT)
        },
        Event::Reset => Parts::new(RESET),
        Event::Injected {
            vector, id, turn, ..
        } => Parts {
            a: vector,
            d: raw(id),
            e: turn.0,
            ..Parts::new(INJECTED)
        },
        Event::NmiInjected { id, turn, .. } => Parts {
            d: raw(id),
            e: turn.0,
            ..Parts::new(NMI_INJECTED)
        },
        Event::ExternalInjected { vector, turn } => Parts {
            a: vector,
            e: turn.0,
            ..Parts::new(EXTERNAL_INJECTED)
        },
        Event::Ended {
            vector, level, id, ..
        } => Parts {
            a: vector,
            d: raw(id),
            b: level.into(),
            ..Parts::new(ENDED)
        },
        Event::Access { access, .. } => {
            let (page, place, width) = match access.door {
                Door::Page(offset, width) => (1, offset, width),
                Door::Msr(msr) => (0, msr, 8),
            };
            Parts {
                a: page | u8::from(access.write) << 1 | u8::from(access.fault) << 2,
                b: width.into(),
                c: place,
                d: access.value,
                e: access.due,
                ..Parts::new(ACCESS)
            }
        }
        Event::TaskPriority(class) => Parts {
            a: class,
            ..Parts::new(TASK_PRIORITY)
        },
        Event::Lint0(asserted) => Parts {
            a: asserted.into(),
            ..Parts::new(LINT0)
        },
    }
}

#[cold]
fn arrived(arrivals: &Arrivals) -> Parts {
    let Arrivals {
        nmis,
        nmis_merged,
        init,
        start_page,
        start_up_discarded,
        smi,
        ext_int,
        overtaken,
    } = *arrivals;
    let flags = [init, start_page.is_some(), start_up_discarded, smi, ext_int];
    let flags = (0..)
        .zip(flags)
        .map(|(bit, flag)| u8::from(flag) << bit)
        .sum();
    let Overtaken {
        nmis: overtaken_nmis,
        start_ups,
        smis,
        ext_ints,
    } = overtaken;
    Parts {
        a: flags,
        b: u16::from_le_bytes([nmis, nmis_merged]),
        c: u32::from_le_bytes([overtaken_nmis, start_ups, smis, ext_ints]),
        d: start_page.unwrap_or(0).into(),
        ..Parts::new(ARRIVED)
    }
}

#[inline]
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[inline]
fn raw(id: Option<IpiId>) -> u64 {
    id.map_or(0, IpiId::raw)
}
