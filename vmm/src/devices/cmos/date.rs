//! A date and time of day in the clock's registers.

use time::{Month, OffsetDateTime, PrimitiveDateTime, Time};

const SECONDS: u8 = 0x00;
const MINUTES: u8 = 0x02;
const HOURS: u8 = 0x04;
const WEEKDAY: u8 = 0x06;
const DAY: u8 = 0x07;
const MONTH: u8 = 0x08;
const YEAR: u8 = 0x09;
/// Where a PC keeps the century.
const CENTURY: u8 = 0x32;

/// Of the hour, where there are twelve.
const AFTERNOON: u8 = 1 << 7;

/// How numbers stand in the registers: two bits of status B.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format(pub(super) u8);

impl Format {
    pub(super) const HOURS_24: u8 = 1 << 1;
    const BINARY: u8 = 1 << 2;

    const fn encode(self, value: u8) -> u8 {
        if self.0 & Self::BINARY != 0 {
            value
        } else {
            ((value / 10) << 4) | (value % 10)
        }
    }

    /// Nothing if a digit is none.
    const fn decode(self, value: u8) -> Option<u8> {
        match (value >> 4, value & 0xF) {
            _ if self.0 & Self::BINARY != 0 => Some(value),
            (tens @ 0..10, ones @ 0..10) => Some(tens * 10 + ones),
            _ => None,
        }
    }

    const fn encode_hour(self, hour: u8) -> u8 {
        match (self.0 & Self::HOURS_24 != 0, hour) {
            (true, _) => self.encode(hour),
            (false, 0) => self.encode(12),
            (false, 1..=12) => self.encode(hour) | if hour == 12 { AFTERNOON } else { 0 },
            (false, _) => self.encode(hour - 12) | AFTERNOON,
        }
    }

    fn decode_hour(self, value: u8) -> Option<u8> {
        if self.0 & Self::HOURS_24 != 0 {
            return self.decode(value);
        }
        let hour = self.decode(value & !AFTERNOON)?;
        let noon = if value & AFTERNOON != 0 { 12 } else { 0 };
        (1..=12).contains(&hour).then(|| hour % 12 + noon)
    }
}

/// A date and time of day, UTC, to the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date(OffsetDateTime);

impl Date {
    /// The registers that hold one.
    pub(super) const REGISTERS: [u8; 8] =
        [SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY];

    /// Whether a register is one of those.
    pub(super) fn has(index: u8) -> bool {
        Self::REGISTERS.contains(&index)
    }

    /// So many seconds after 1970; nothing beyond the year 9999.
    pub(super) fn of_seconds(seconds: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp(seconds).ok().map(Self)
    }

    pub(super) const fn seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// What stands in a register.
    pub(super) fn register(self, index: u8, format: Format) -> Option<u8> {
        let Self(date) = self;
        let value = match index {
            SECONDS => date.second(),
            MINUTES => date.minute(),
            HOURS => return Some(format.encode_hour(date.hour())),
            WEEKDAY => date.weekday().number_from_sunday(),
            DAY => date.day(),
            MONTH => date.month().into(),
            YEAR => u8::try_from(date.year().rem_euclid(100)).ok()?,
            CENTURY => u8::try_from(date.year().div_euclid(100)).ok()?,
            _ => return None,
        };
        Some(format.encode(value))
    }

    /// The date that stands in the registers; the day of the week is not looked at.
    pub(super) fn of_registers(read: impl Fn(u8) -> u8, format: Format) -> Option<Self> {
        let number = |index| format.decode(read(index));
        let year = i32::from(number(CENTURY)?) * 100 + i32::from(number(YEAR)?);
        let month = Month::try_from(number(MONTH)?).ok()?;
        let date = time::Date::from_calendar_date(year, month, number(DAY)?).ok()?;
        let hour = format.decode_hour(read(HOURS))?;
        let time = Time::from_hms(hour, number(MINUTES)?, number(SECONDS)?).ok()?;
        Some(Self(PrimitiveDateTime::new(date, time).assume_utc()))
    }
}
