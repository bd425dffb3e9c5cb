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

mod decode;
mod encode;

use crate::observe::{Event, Tsc};
use decode::decode;
use encode::encode;

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

#[cfg(test)]
mod tests;
