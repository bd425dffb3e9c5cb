//! From the parts of a record back to its event; the bytes are a file's, hence not trusted.

use std::num::NonZeroU8;

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Overtaken, Posted};

use super::{
    ACCESS, ARRIVED, CARRIED_OUT, DRAINED, ENDED, EXIT, EXTERNAL_INJECTED, INJECTED, KICKED, LINT0,
    NMI_INJECTED, POSTED, Parts, RESET, RESTED, SENT, TASK_PRIORITY,
};
use crate::observe::{Access, Cause, Door, Event, IpiId, Kick, Line, Rest, Tsc};

pub(super) fn decode(at: Tsc, parts: Parts) -> Option<Event> {
    let Parts {
        kind,
        a,
        b,
        c,
        d,
        e,
    } = parts;
    let [b_low, b_high] = b.to_le_bytes();
    let id = IpiId::from_raw(d);
    let target = usize::try_from(c).ok()?;
    let turn = Tsc(e);
    Some(match kind {
        EXIT => Event::Exit {
            cause: Cause::ALL.get(usize::from(a)).copied()?,
            returned: at,
            entered: Tsc(d),
        },
        RESTED => Event::Rested {
            rest: if a == 0 {
                Rest::Halted
            } else {
                Rest::WaitingForStartUp
            },
            since: at,
            ticks: d,
        },
        SENT => Event::Sent {
            id: id?,
            message: InterruptMessage {
                destination: match b >> 4 {
                    0 => Destination::Physical(c),
                    1 => Destination::Logical(c),
                    2 => Destination::Sender,
                    3 => Destination::All,
                    4 => Destination::AllButSender,
                    _ => return None,
                },
                delivery: DeliveryMode::from_bits(b_low),
                vector: a,
                trigger: trigger(b & 8),
            },
        },
        POSTED => Event::Posted {
            id: id?,
            target,
            delivery: DeliveryMode::from_bits(b_low),
            vector: a,
            outcome: match b >> 4 {
                0 => Posted::New,
                1 => Posted::Coalesced,
                2 => Posted::Unsupported,
                _ => return None,
            },
        },
        KICKED => Event::Kicked {
            id: id?,
            target,
            kick: Kick::ALL.get(usize::from(a)).copied()?,
        },
        DRAINED => Event::Drained {
            vector: a,
            trigger: trigger(b & 16),
            acceptance: match b & 15 {
                0 => Acceptance::Accepted,
                1 => Acceptance::Merged,
                2 => Acceptance::Disabled,
                3 => Acceptance::IllegalVector,
                _ => return None,
            },
            id,
            at,
        },
        ARRIVED => {
            let [overtaken_nmis, start_ups, smis, ext_ints] = c.to_le_bytes();
            let flag = |bit: u8| a >> bit & 1 != 0;
            Event::Arrived {
                arrivals: Arrivals {
                    nmis: b_low,
                    nmis_merged: b_high,
                    init: flag(0),
                    start_page: flag(1).then_some(d.to_le_bytes()[0]),
                    start_up_discarded: flag(2),
                    smi: flag(3),
                    ext_int: flag(4),
                    overtaken: Overtaken {
                        nmis: overtaken_nmis,
                        start_ups,
                        smis,
                        ext_ints,
                    },
                },
                at,
            }
        }
        CARRIED_OUT => Event::CarriedOut {
            line: Line::from_index(target)?,
            id,
        },
        RESET => Event::Reset,
        INJECTED => Event::Injected {
            vector: a,
            id,
            at,
            turn,
        },
        NMI_INJECTED => Event::NmiInjected { id, at, turn },
        EXTERNAL_INJECTED => Event::ExternalInjected { vector: a, turn },
        ENDED => Event::Ended {
            vector: a,
            id,
            level: b != 0,
            at,
        },
        ACCESS => Event::Access {
            access: Access {
                door: if a & 1 != 0 {
                    Door::Page(
                        c,
                        NonZeroU8::new(b_low)
                            .filter(|width| width.get() <= 8)?
                            .get(),
                    )
                } else {
                    Door::Msr(c)
                },
                write: a & 2 != 0,
                value: d,
                fault: a & 4 != 0,
                due: e,
            },
            at,
        },
        TASK_PRIORITY => Event::TaskPriority(a),
        LINT0 => Event::Lint0(a != 0),
        _ => return None,
    })
}

const fn trigger(level: u16) -> Trigger {
    if level != 0 {
        Trigger::Level
    } else {
        Trigger::Edge
    }
}
