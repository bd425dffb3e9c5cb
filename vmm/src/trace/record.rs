//! An event as 32 bytes: what a trace holds.
//!
//! ```text
//! byte  0  stamp   raw TSC of the host
//!       8  kind    see the list below
//!       9  a       one byte
//!      10  b       two bytes
//!      12  c       four bytes
//!      16  d       eight bytes
//!      24  e       eight bytes
//! ```
//!
//! All are little-endian. `docs/trace-format.md` tells what each kind has in `a` to `e`.

use std::num::NonZeroU8;

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Acceptance, Arrivals, Overtaken, Posted};

use crate::observe::{Access, Cause, Door, Event, IpiId, Kick, Line, Rest, Tsc};

/// An event with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    /// When it happened, or was recorded if it does not say.
    pub at: Tsc,
    /// What happened.
    pub event: Event,
}

/// Bytes of a record.
pub const RECORD_SIZE: usize = 32;

/// A record, as the four words that it is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Record([u64; 4]);

const EXIT: u8 = 1;
const RESTED: u8 = 2;
const SENT: u8 = 3;
const POSTED: u8 = 4;
const KICKED: u8 = 5;
const DRAINED: u8 = 6;
const ARRIVED: u8 = 7;
const CARRIED_OUT: u8 = 8;
const RESET: u8 = 9;
const INJECTED: u8 = 10;
const NMI_INJECTED: u8 = 11;
const EXTERNAL_INJECTED: u8 = 12;
const ENDED: u8 = 13;
const ACCESS: u8 = 14;
const TASK_PRIORITY: u8 = 15;
const LINT0: u8 = 16;

/// A record's parts after its stamp.
#[derive(Clone, Copy, Default)]
struct Parts {
    kind: u8,
    a: u8,
    b: u16,
    c: u32,
    d: u64,
    e: u64,
}

impl Parts {
    #[inline]
    const fn new(kind: u8) -> Self {
        Self {
            kind,
            a: 0,
            b: 0,
            c: 0,
            d: 0,
            e: 0,
        }
    }
}

impl Record {
    /// The record of an event, stamped now if the event does not say when it was.
    #[must_use]
    #[inline]
    pub fn of(event: &Event) -> Self {
        let at = event.at().unwrap_or_else(Tsc::now);
        let Parts {
            kind,
            a,
            b,
            c,
            d,
            e,
        } = encode(event);
        let small = u64::from(kind) | u64::from(a) << 8 | u64::from(b) << 16 | u64::from(c) << 32;
        Self([at.0, small, d, e])
    }

    /// The event, or `None` if this is no record of this version.
    #[must_use]
    pub fn decode(&self) -> Option<Stamped> {
        let [at, small, d, e] = self.0;
        let [kind, a, b0, b1, c0, c1, c2, c3] = small.to_le_bytes();
        let parts = Parts {
            kind,
            a,
            b: u16::from_le_bytes([b0, b1]),
            c: u32::from_le_bytes([c0, c1, c2, c3]),
            d,
            e,
        };
        let at = Tsc(at);
        decode(at, parts).map(|event| Stamped { at, event })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; RECORD_SIZE] {
        let mut bytes = [0; RECORD_SIZE];
        for (into, word) in bytes.chunks_exact_mut(8).zip(self.0) {
            into.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// The record of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_SIZE]) -> Self {
        let mut words = [0; 4];
        for (word, from) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*from);
        }
        Self(words)
    }
}

#[inline(always)]
fn encode(event: &Event) -> Parts {
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

fn decode(at: Tsc, parts: Parts) -> Option<Event> {
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

#[inline]
fn number(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[inline]
fn raw(id: Option<IpiId>) -> u64 {
    id.map_or(0, IpiId::raw)
}

const fn trigger(level: u16) -> Trigger {
    if level != 0 {
        Trigger::Level
    } else {
        Trigger::Edge
    }
}

#[cfg(test)]
mod tests;
