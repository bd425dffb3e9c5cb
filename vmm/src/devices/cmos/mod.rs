//! The MC146818 clock and its CMOS memory (Motorola MC146818 data sheet): the time of day, and the
//! sizes of memory where a PC's firmware leaves them.
//!
//! A guest may set the time, its own alone. Missing: the alarm and the periodic event, and every
//! interrupt.

mod date;

use crate::layout::{HIGH_RAM_START, LOW_RAM_END, MMIO_HOLE, RTC_PORT};
use date::{Date, Format};

const SIZE: usize = 128;
const NS_PER_SECOND: u64 = 1_000_000_000;

const STATUS_A: u8 = 0x0A;
const STATUS_B: u8 = 0x0B;
const STATUS_C: u8 = 0x0C;
const STATUS_D: u8 = 0x0D;

/// Status A: the 32,768 Hz crystal, 1,024 Hz.
const DIVIDERS: u8 = 0x26;
/// Status A, read-only: no update is ever in progress.
const UPDATE_IN_PROGRESS: u8 = 1 << 7;
/// Status B: the registers stand still, so that they can be set.
const SET: u8 = 1 << 7;
/// Status B's interrupt enable and status C's event: a second has passed.
const UPDATE_ENDED: u8 = 1 << 4;
/// Status C: an enabled event has happened.
const INTERRUPT: u8 = 1 << 7;
/// Status D: the battery is good.
const VALID: u8 = 1 << 7;

/// KiB of conventional memory.
const BASE_MEMORY: usize = 0x15;
/// KiB above 1 MiB, up to 64 MiB less one; twice, by the set-up program and as found.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
const EXTENDED_MEMORY_MAX: u64 = 0xFC00;
/// Units of 64 KiB from 16 MiB up to the hole.
const MEMORY_ABOVE_16_MIB: usize = 0x34;
/// Units of 64 KiB above 4 GiB, three bytes.
const MEMORY_ABOVE_4_GIB: usize = 0x5B;
/// Number of processors less one, as QEMU's firmware leaves it.
const LAST_CPU: usize = 0x5F;

/// The clock and its memory.
#[derive(Clone, Debug)]
pub struct Cmos {
    memory: [u8; SIZE],
    index: u8,
    /// Seconds from 1970 to the start of the machine's time.
    epoch: i64,
    /// The second in which status C was last read.
    seen: u64,
}

impl Cmos {
    /// A clock for a machine whose time starts `epoch` seconds after 1970, UTC, with so many bytes
    /// of memory and vCPUs.
    #[must_use]
    pub fn new(epoch: u64, memory: u64, vcpus: u32) -> Self {
        let mut clock = Self {
            memory: [0; SIZE],
            index: 0,
            epoch: i64::try_from(epoch).unwrap_or(i64::MAX),
            seen: 0,
        };
        let below_hole = memory.min(MMIO_HOLE);
        let above = |start: u64| below_hole.saturating_sub(start);
        clock.put(BASE_MEMORY, 2, LOW_RAM_END.min(memory) >> 10);
        for place in EXTENDED_MEMORY {
            clock.put(
                place,
                2,
                (above(HIGH_RAM_START) >> 10).min(EXTENDED_MEMORY_MAX),
            );
        }
        clock.put(MEMORY_ABOVE_16_MIB, 2, above(16 << 20) >> 16);
        clock.put(MEMORY_ABOVE_4_GIB, 3, (memory - below_hole) >> 16);
        clock.put(LAST_CPU, 1, u64::from(vcpus.saturating_sub(1)).min(0xFF));
        clock.put(STATUS_A.into(), 1, DIVIDERS.into());
        clock.put(STATUS_B.into(), 1, Format::HOURS_24.into());
        clock
    }

    /// The guest writes a port at `now`, in ns.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        if port == RTC_PORT {
            // The highest bit holds NMIs back on a PC; nothing here does.
            self.index = value & 0x7F;
            return;
        }
        match self.index {
            STATUS_A => self.store(STATUS_A, value & !UPDATE_IN_PROGRESS),
            STATUS_B => self.set_status_b(value, now),
            STATUS_C | STATUS_D => {}
            // The clock's registers stand for the time as long as it runs.
            index if Date::has(index) && !self.is_set() => {}
            index => self.store(index, value),
        }
    }

    /// The guest reads a port at `now`, in ns; status C forgets its events by that.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        if port == RTC_PORT {
            return 0xFF;
        }
        match self.index {
            STATUS_C => self.read_status_c(now),
            STATUS_D => VALID,
            index if Date::has(index) && !self.is_set() => self
                .date(now)
                .and_then(|date| date.register(index, self.format()))
                .unwrap_or(0),
            index => self.load(index),
        }
    }

    /// As `SET` rises the registers take the time, and as it falls they give it. What is no date
    /// leaves the clock as it was.
    fn set_status_b(&mut self, value: u8, now: u64) {
        let was_set = self.is_set();
        if let (true, false, Some(date)) = (value & SET != 0, was_set, self.date(now)) {
            let format = self.format();
            for index in Date::REGISTERS {
                self.store(index, date.register(index, format).unwrap_or(0));
            }
        }
        self.store(STATUS_B, value);
        if value & SET == 0
            && was_set
            && let Some(date) = Date::of_registers(|index| self.load(index), self.format())
        {
            self.epoch = date.seconds().saturating_sub_unsigned(now / NS_PER_SECOND);
        }
    }

    fn read_status_c(&mut self, now: u64) -> u8 {
        let second = now / NS_PER_SECOND;
        if self.is_set() || second == self.seen {
            return 0;
        }
        self.seen = second;
        if self.load(STATUS_B) & UPDATE_ENDED != 0 {
            INTERRUPT | UPDATE_ENDED
        } else {
            UPDATE_ENDED
        }
    }

    fn date(&self, now: u64) -> Option<Date> {
        Date::of_seconds(self.epoch.saturating_add_unsigned(now / NS_PER_SECOND))
    }

    fn is_set(&self) -> bool {
        self.load(STATUS_B) & SET != 0
    }

    fn format(&self) -> Format {
        Format(self.load(STATUS_B))
    }

    fn load(&self, index: u8) -> u8 {
        self.memory.get(usize::from(index)).copied().unwrap_or(0)
    }

    fn store(&mut self, index: u8, value: u8) {
        if let Some(byte) = self.memory.get_mut(usize::from(index)) {
            *byte = value;
        }
    }

    /// Stores the low bytes of a number, the lowest first.
    fn put(&mut self, place: usize, bytes: usize, value: u64) {
        let to = self.memory.iter_mut().skip(place).take(bytes);
        for (to, from) in to.zip(value.to_le_bytes()) {
            *to = from;
        }
    }
}

#[cfg(test)]
mod tests;
