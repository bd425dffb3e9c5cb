//! The MC146818 clock and its CMOS memory: the time of day, and the sizes of memory where a PC's
//! firmware leaves them. Missing: alarm and periodic interrupts, and setting the time.

use time::OffsetDateTime;

use crate::chipset::Facts;
use crate::layout::{HIGH_RAM_START, MMIO_HOLE, MMIO_HOLE_END, RTC_PORT};

const SIZE: usize = 128;

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const WEEKDAY: u8 = 0x06;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
const STATUS_A: u8 = 0x0A;
const STATUS_B: u8 = 0x0B;
const STATUS_C: u8 = 0x0C;
const STATUS_D: u8 = 0x0D;
const CENTURY: u8 = 0x32;

/// Status A: the 32,768 Hz crystal, 1,024 Hz; no update is ever in progress.
const DIVIDERS: u8 = 0x26;
/// Status B.
const BINARY: u8 = 1 << 2;
const HOURS_24: u8 = 1 << 1;
/// Status D: the battery is good.
const VALID: u8 = 1 << 7;

/// KiB of the conventional memory.
const BASE_MEMORY: usize = 0x15;
/// KiB above 1 MiB, up to 64 MiB less one; twice, by the set-up program and as found.
const EXTENDED_MEMORY: [usize; 2] = [0x17, 0x30];
/// Units of 64 KiB from 16 MiB up to the hole.
const MEMORY_ABOVE_16_MIB: usize = 0x34;
/// Units of 64 KiB above 4 GiB, three bytes.
const MEMORY_ABOVE_4_GIB: usize = 0x5B;
/// Number of processors less one.
const LAST_CPU: usize = 0x5F;

const KIB_640: u16 = 640;

/// The clock and its memory.
#[derive(Clone, Debug)]
pub struct Cmos {
    memory: [u8; SIZE],
    index: u8,
    /// Seconds from 1970 to the start of the machine's time.
    epoch: u64,
}

impl Cmos {
    /// A clock for a machine whose time starts `epoch` seconds after 1970, UTC.
    #[must_use]
    pub fn new(epoch: u64, facts: &Facts) -> Self {
        let mut memory = [0; SIZE];
        let mut put = |place: usize, value: u64, bytes: usize| {
            let to = memory.iter_mut().skip(place).take(bytes);
            for (to, from) in to.zip(value.to_le_bytes()) {
                *to = from;
            }
        };
        let low = facts.memory.min(MMIO_HOLE);
        let above = |start: u64| low.saturating_sub(start);
        put(BASE_MEMORY, KIB_640.into(), 2);
        for place in EXTENDED_MEMORY {
            put(place, (above(HIGH_RAM_START) >> 10).min(0xFC00), 2);
        }
        put(MEMORY_ABOVE_16_MIB, above(16 << 20) >> 16, 2);
        let high = facts.memory - low;
        debug_assert!(high == 0 || MMIO_HOLE_END > MMIO_HOLE);
        put(MEMORY_ABOVE_4_GIB, high >> 16, 3);
        put(LAST_CPU, u64::from(facts.vcpus).saturating_sub(1), 1);
        put(STATUS_A.into(), DIVIDERS.into(), 1);
        put(STATUS_B.into(), HOURS_24.into(), 1);
        Self {
            memory,
            index: 0,
            epoch,
        }
    }

    /// The guest writes a port.
    pub fn write(&mut self, port: u16, value: u8) {
        if port == RTC_PORT {
            // The highest bit holds NMIs back on a PC; nothing here does.
            self.index = value & 0x7F;
            return;
        }
        let is_clock = matches!(
            self.index,
            SECONDS | MINUTES | HOURS | WEEKDAY..=YEAR | STATUS_C | STATUS_D | CENTURY
        );
        if let (false, Some(byte)) = (is_clock, self.memory.get_mut(usize::from(self.index))) {
            *byte = value;
        }
    }

    /// The guest reads a port at `now`, in ns.
    pub fn read(&self, port: u16, now: u64) -> u8 {
        if port == RTC_PORT {
            return 0xFF;
        }
        let kept = self.memory.get(usize::from(self.index)).copied();
        match self.index {
            STATUS_A => kept.unwrap_or(0) & 0x7F,
            STATUS_C => 0,
            STATUS_D => VALID,
            index => self.time(index, now).or(kept).unwrap_or(0),
        }
    }

    /// The register of the clock, if it is one.
    fn time(&self, index: u8, now: u64) -> Option<u8> {
        let seconds = self.epoch.saturating_add(now / 1_000_000_000);
        let seconds = i64::try_from(seconds).ok()?;
        let date = OffsetDateTime::from_unix_timestamp(seconds).ok()?;
        let year = u8::try_from(date.year().rem_euclid(100)).ok()?;
        let century = u8::try_from(date.year() / 100).ok()?;
        let value = match index {
            SECONDS => date.second(),
            MINUTES => date.minute(),
            HOURS => return Some(self.hour(date.hour())),
            WEEKDAY => date.weekday().number_from_sunday(),
            DAY => date.day(),
            MONTH => date.month().into(),
            YEAR => year,
            CENTURY => century,
            _ => return None,
        };
        Some(self.coded(value))
    }

    /// Binary-coded decimal unless the guest asked for binary.
    fn coded(&self, value: u8) -> u8 {
        if self.status_b() & BINARY != 0 {
            value
        } else {
            (value / 10) << 4 | value % 10
        }
    }

    fn hour(&self, hour: u8) -> u8 {
        if self.status_b() & HOURS_24 != 0 {
            return self.coded(hour);
        }
        let afternoon = if hour < 12 { 0 } else { 0x80 };
        self.coded(match hour % 12 {
            0 => 12,
            hour => hour,
        }) | afternoon
    }

    fn status_b(&self) -> u8 {
        self.memory
            .get(usize::from(STATUS_B))
            .copied()
            .unwrap_or(HOURS_24)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25 23:07:09, a Wednesday.
    const EPOCH: u64 = 1_795_648_029;

    fn cmos(memory: u64) -> Cmos {
        Cmos::new(EPOCH, &Facts { vcpus: 4, memory })
    }

    fn read(cmos: &mut Cmos, index: u8, now: u64) -> u8 {
        cmos.write(RTC_PORT, index);
        cmos.read(RTC_PORT + 1, now)
    }

    #[test]
    fn the_time_of_day_in_decimal_and_binary() {
        let mut cmos = cmos(128 << 20);
        let fields = [CENTURY, YEAR, MONTH, DAY, WEEKDAY, HOURS, MINUTES, SECONDS];
        let time = fields.map(|index| read(&mut cmos, index, 0));
        assert_eq!(time, [0x20, 0x26, 0x11, 0x25, 4, 0x23, 0x07, 0x09]);
        cmos.write(RTC_PORT, STATUS_B);
        cmos.write(RTC_PORT + 1, BINARY);
        assert_eq!(read(&mut cmos, HOURS, 0), 0x80 | 11);
        assert_eq!(read(&mut cmos, SECONDS, 3_000_000_000), 12);
    }

    #[test]
    fn sizes_of_memory() {
        let mut cmos = cmos(5 << 30);
        let mut word =
            |index| u16::from_le_bytes([index, index + 1].map(|i| read(&mut cmos, i, 0)));
        assert_eq!(word(0x15), 640);
        assert_eq!(word(0x30), 0xFC00);
        assert_eq!(word(0x34), 0xBF00);
        assert_eq!(word(0x5B), 0x8000);
        assert_eq!(read(&mut cmos, 0x5F, 0), 3);
    }

    #[test]
    fn the_clock_cannot_be_set_and_nothing_upsets_it() {
        let mut cmos = cmos(16 << 20);
        for index in 0..=255 {
            cmos.write(RTC_PORT, index);
            cmos.write(RTC_PORT + 1, 0xFF);
            let _ = cmos.read(RTC_PORT + 1, u64::MAX);
        }
        assert_eq!(read(&mut cmos, MINUTES, 0), 7);
        assert_eq!(read(&mut cmos, STATUS_A, 0) & 0x80, 0);
    }
}
