//! The 8254 interval timer and port 0x61, which gates its third channel (Intel 8254 data sheet,
//! order number 231164).
//!
//! Channel 0 drives ISA interrupt 0; channel 2 is what kernels time other clocks with. A count is
//! never stepped: it is computed from the time at which it was loaded. Missing: BCD counting, and
//! the hardware triggers of modes 1 and 5 on channels 0 and 1, whose gates are tied high.

use crate::layout::{PIT_PORT, SYSTEM_CONTROL_PORT};

/// Ticks a second.
const RATE: u128 = 1_193_182;

const CHANNELS: usize = 3;
const CONTROL: u16 = PIT_PORT + 3;

/// Port 0x61.
const GATE_2: u8 = 1;
const SPEAKER: u8 = 1 << 1;
/// Toggles with each refresh of memory, every 15 µs.
const REFRESH: u8 = 1 << 4;
const OUTPUT_2: u8 = 1 << 5;
const REFRESH_NS: u64 = 15_085;

/// How a channel counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// 0, 1, 4 and 5: once. The output rises, or pulses, at its end.
    Once,
    /// 2: over and over, the output low for the last tick of each round.
    Rate,
    /// 3: over and over, the output low for half of each round.
    Square,
}

/// Which bytes of a count an access moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Low,
    High,
    Both,
}

#[derive(Clone, Copy, Debug)]
struct Channel {
    number: u8,
    mode: Mode,
    bytes: Bytes,
    /// 1 to 65536; none until it has been loaded.
    count: Option<u32>,
    /// When it was loaded, in ns.
    start: u64,
    /// The low byte of a count whose high byte is to come.
    low: Option<u8>,
    /// The next byte read is the high one.
    reads_high: bool,
    latched: Option<u16>,
    status: Option<u8>,
    /// Rounds of which the end has been told.
    told: u64,
}

impl Channel {
    const RESET: Self = Self {
        number: 0,
        mode: Mode::Once,
        bytes: Bytes::Both,
        count: None,
        start: 0,
        low: None,
        reads_high: false,
        latched: None,
        status: None,
        told: 0,
    };

    fn control(&mut self, word: u8) {
        let number = word >> 1 & 7;
        *self = Self {
            number,
            mode: match number {
                2 | 6 => Mode::Rate,
                3 | 7 => Mode::Square,
                _ => Mode::Once,
            },
            bytes: match word >> 4 & 3 {
                1 => Bytes::Low,
                2 => Bytes::High,
                _ => Bytes::Both,
            },
            ..Self::RESET
        };
    }

    fn write(&mut self, value: u8, now: u64) {
        let count = match (self.bytes, self.low.take()) {
            (Bytes::Low, _) => u16::from(value),
            (Bytes::High, _) => u16::from(value) << 8,
            (Bytes::Both, Some(low)) => u16::from_le_bytes([low, value]),
            (Bytes::Both, None) => {
                self.low = Some(value);
                return;
            }
        };
        self.load(if count == 0 { 0x1_0000 } else { count.into() }, now);
    }

    const fn load(&mut self, count: u32, now: u64) {
        self.count = Some(count);
        self.start = now;
        self.told = 0;
    }

    /// Ticks since the count was loaded.
    fn ticks(&self, now: u64) -> u64 {
        let ticks = u128::from(now.saturating_sub(self.start)) * RATE / 1_000_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// Rounds that have ended.
    fn rounds(&self, now: u64) -> u64 {
        let Some(count) = self.count else { return 0 };
        let rounds = self.ticks(now) / u64::from(count);
        match self.mode {
            Mode::Once => rounds.min(1),
            Mode::Rate | Mode::Square => rounds,
        }
    }

    fn value(&self, now: u64) -> u16 {
        let Some(count) = self.count else { return 0 };
        let (count, ticks) = (u64::from(count), self.ticks(now));
        let left = match self.mode {
            // It goes on below zero.
            Mode::Once => count.wrapping_sub(ticks),
            Mode::Rate => count - ticks % count,
            // By twos, twice in each round.
            Mode::Square => count - ticks * 2 % count,
        };
        let [low, high, ..] = left.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn output(&self, now: u64) -> bool {
        let Some(count) = self.count else {
            return self.mode != Mode::Once;
        };
        let (count, ticks) = (u64::from(count), self.ticks(now));
        match self.mode {
            Mode::Once => ticks >= count,
            Mode::Rate => ticks % count != count - 1,
            Mode::Square => ticks % count < count.div_ceil(2),
        }
    }

    fn read(&mut self, now: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = self.latched.unwrap_or_else(|| self.value(now));
        let [low, high] = value.to_le_bytes();
        let is_high = match self.bytes {
            Bytes::Low => false,
            Bytes::High => true,
            Bytes::Both => {
                self.reads_high = !self.reads_high;
                !self.reads_high
            }
        };
        if self.bytes != Bytes::Both || is_high {
            self.latched = None;
        }
        if is_high { high } else { low }
    }

    fn latch(&mut self, now: u64) {
        if self.latched.is_none() {
            self.latched = Some(self.value(now));
        }
    }

    fn latch_status(&mut self, now: u64) {
        if self.status.is_none() {
            let bytes = match self.bytes {
                Bytes::Low => 1,
                Bytes::High => 2,
                Bytes::Both => 3,
            };
            let null = u8::from(self.count.is_none());
            let output = u8::from(self.output(now));
            self.status = Some(output << 7 | null << 6 | bytes << 4 | self.number << 1);
        }
    }

    /// When the round that runs now ends, in ns.
    fn next(&self) -> Option<u64> {
        let count = self.count?;
        if self.mode == Mode::Once && self.told > 0 {
            return None;
        }
        let ticks = u128::from(count) * (u128::from(self.told) + 1);
        let wait = (ticks * 1_000_000_000).div_ceil(RATE);
        Some(self.start.saturating_add(u64::try_from(wait).ok()?))
    }
}

/// The timer's three channels.
#[derive(Clone, Debug)]
pub struct Pit {
    channels: [Channel; CHANNELS],
    /// What port 0x61 was last written with, in its two lowest bits.
    system_control: u8,
}

impl Pit {
    /// The timer after power-up: nothing counts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            channels: [Channel::RESET; CHANNELS],
            system_control: 0,
        }
    }

    /// The guest reads a port at `now`, in ns.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        if port == SYSTEM_CONTROL_PORT {
            return self.read_system_control(now);
        }
        let channel = self.channel(port.wrapping_sub(PIT_PORT).into());
        channel.map_or(0xFF, |channel| channel.read(now))
    }

    /// The guest writes a port at `now`, in ns.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        match port {
            SYSTEM_CONTROL_PORT => self.write_system_control(value, now),
            CONTROL => self.control(value, now),
            _ => {
                if let Some(channel) = self.channel(port.wrapping_sub(PIT_PORT).into()) {
                    channel.write(value, now);
                }
            }
        }
    }

    fn channel(&mut self, number: usize) -> Option<&mut Channel> {
        self.channels.get_mut(number)
    }

    fn control(&mut self, word: u8, now: u64) {
        if word >> 6 == 3 {
            return self.read_back(word, now);
        }
        let Some(channel) = self.channel(usize::from(word >> 6)) else {
            return;
        };
        if word >> 4 & 3 == 0 {
            channel.latch(now);
        } else {
            channel.control(word);
        }
    }

    /// The read-back command: latches counts and states of several channels at once.
    fn read_back(&mut self, word: u8, now: u64) {
        for (number, channel) in self.channels.iter_mut().enumerate() {
            if word >> (number + 1) & 1 == 0 {
                continue;
            }
            if word & 1 << 5 == 0 {
                channel.latch(now);
            }
            if word & 1 << 4 == 0 {
                channel.latch_status(now);
            }
        }
    }

    fn read_system_control(&self, now: u64) -> u8 {
        let [.., channel] = &self.channels;
        let output = if channel.output(now) { OUTPUT_2 } else { 0 };
        let refresh = if now / REFRESH_NS % 2 == 0 {
            0
        } else {
            REFRESH
        };
        self.system_control | refresh | output
    }

    fn write_system_control(&mut self, value: u8, now: u64) {
        let rises = value & !self.system_control & GATE_2 != 0;
        self.system_control = value & (GATE_2 | SPEAKER);
        let [.., channel] = &mut self.channels;
        // A rising gate starts the count anew, as far as software can tell in every mode.
        if rises && let Some(count) = channel.count {
            channel.load(count, now);
        }
    }

    /// When channel 0's output rises next, in ns.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let [channel, ..] = &self.channels;
        channel.next()
    }

    /// Lets time reach `now`, in ns; whether channel 0's output has risen since the last call.
    /// Several rises are one interrupt.
    pub fn advance(&mut self, now: u64) -> bool {
        let [channel, ..] = &mut self.channels;
        let rounds = channel.rounds(now);
        std::mem::replace(&mut channel.told, rounds) < rounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: u64 = 1_000_000;
    /// Ticks of a millisecond, rounded down.
    const MS_TICKS: u16 = 1193;

    fn started(channel: u8, mode: u8, count: u16) -> Pit {
        let mut pit = Pit::new();
        pit.write(CONTROL, channel << 6 | 3 << 4 | mode << 1, 0);
        for byte in count.to_le_bytes() {
            pit.write(PIT_PORT + u16::from(channel), byte, 0);
        }
        pit
    }

    fn count(pit: &mut Pit, channel: u8, now: u64) -> u16 {
        pit.write(CONTROL, channel << 6, now);
        let port = PIT_PORT + u16::from(channel);
        u16::from_le_bytes([pit.read(port, now), pit.read(port, now + 7777)])
    }

    #[test]
    fn a_rate_rises_once_a_round_and_missed_rounds_are_one() {
        let mut pit = started(0, 2, MS_TICKS);
        assert!(!pit.advance(999_000));
        assert_eq!(pit.deadline(), Some(999_848));
        assert!(pit.advance(999_848));
        assert!(!pit.advance(MILLISECOND));
        assert_eq!(pit.deadline(), Some(1_999_695));
        assert!(pit.advance(50 * MILLISECOND));
        assert!(!pit.advance(50 * MILLISECOND));
    }

    #[test]
    fn mode_0_ends_once() {
        let mut pit = started(0, 0, MS_TICKS);
        assert!(pit.advance(3 * MILLISECOND));
        assert_eq!(pit.deadline(), None);
        assert!(!pit.advance(9 * MILLISECOND));
    }

    #[test]
    fn a_latched_count_stands_still() {
        let mut pit = started(2, 0, 0xFFFF);
        assert_eq!(count(&mut pit, 2, MILLISECOND), 0xFFFF - MS_TICKS);
        let mut square = started(0, 3, 0);
        assert_eq!(count(&mut square, 0, 0), 0);
        assert_eq!(
            count(&mut square, 0, MILLISECOND),
            (2 * 1193_u16).wrapping_neg()
        );
    }

    #[test]
    fn channel_2_is_timed_through_port_61() {
        let mut pit = Pit::new();
        pit.write(SYSTEM_CONTROL_PORT, GATE_2, 0);
        pit.write(CONTROL, 0xB0, 0);
        pit.write(PIT_PORT + 2, 0xA9, 0);
        pit.write(PIT_PORT + 2, 0x04, 10);
        let high = |pit: &mut Pit, now| pit.read(SYSTEM_CONTROL_PORT, now) & OUTPUT_2 != 0;
        assert!(!high(&mut pit, 999_000));
        assert!(high(&mut pit, 1_000_000));
        assert_ne!(
            pit.read(SYSTEM_CONTROL_PORT, 0) & REFRESH,
            pit.read(SYSTEM_CONTROL_PORT, REFRESH_NS) & REFRESH
        );
    }

    #[test]
    fn the_read_back_command_tells_the_state() {
        let mut pit = started(0, 2, 100);
        pit.write(CONTROL, 0xE2, 0);
        assert_eq!(pit.read(PIT_PORT, 0), 0xB4);
        pit.write(CONTROL, 0x36, 0);
        pit.write(CONTROL, 0xE2, 0);
        assert_eq!(pit.read(PIT_PORT, 0) & 0x7F, 0x76);
    }

    #[test]
    fn no_byte_in_any_port_upsets_it() {
        let mut pit = Pit::new();
        for value in 0..=255 {
            for port in (PIT_PORT..=CONTROL).chain([SYSTEM_CONTROL_PORT]) {
                pit.write(port, value, u64::MAX);
                let _ = (
                    pit.read(port, u64::MAX),
                    pit.advance(u64::MAX),
                    pit.deadline(),
                );
            }
        }
    }
}
