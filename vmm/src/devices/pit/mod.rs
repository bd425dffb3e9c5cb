//! The 8254 interval timer and port 0x61, which gates its third channel (Intel 8254 data sheet,
//! order number 231164).
//!
//! Channel 0 drives ISA interrupt 0; channel 2 is what kernels time other clocks with.

mod counter;

use std::fmt;

use crate::layout::{PIT_PORT, SYSTEM_CONTROL_PORT};
use counter::Counter;

/// Ticks a second.
const RATE: u128 = 1_193_182;

const NS_PER_SECOND: u128 = 1_000_000_000;

const CHANNELS: usize = 3;
const CONTROL: u16 = PIT_PORT + 3;

/// Port 0x61.
const GATE_2: u8 = 1;
const SPEAKER: u8 = 1 << 1;
/// Toggles with each refresh of memory.
const REFRESH: u8 = 1 << 4;
const OUTPUT_2: u8 = 1 << 5;

/// Ticks of a refresh: a PC loads channel 1 with this.
const REFRESH_TICKS: u64 = 18;

/// The timer's three channels.
#[derive(Clone)]
pub struct Pit {
    channels: [Counter; CHANNELS],
    /// What port 0x61 was last written with, in its two lowest bits.
    system_control: u8,
}

impl Pit {
    /// The timer after power-up: nothing counts.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            // Only the third gate is not tied high.
            channels: [Counter::new(true), Counter::new(true), Counter::new(false)],
            system_control: 0,
        }
    }

    /// The guest reads a port at `now`, in ns.
    pub fn read(&mut self, port: u16, now: u64) -> u8 {
        let tick = ticks(now);
        if port == SYSTEM_CONTROL_PORT {
            return self.read_system_control(tick);
        }
        let channel = self.channel(port.wrapping_sub(PIT_PORT));
        channel.map_or(0xFF, |channel| channel.read(tick))
    }

    /// The guest writes a port at `now`, in ns.
    pub fn write(&mut self, port: u16, value: u8, now: u64) {
        let tick = ticks(now);
        if port == SYSTEM_CONTROL_PORT {
            self.system_control = value & (GATE_2 | SPEAKER);
            let [.., channel] = &mut self.channels;
            channel.set_gate(value & GATE_2 != 0, tick);
        } else if port == CONTROL {
            self.control(value, tick);
        } else if let Some(channel) = self.channel(port.wrapping_sub(PIT_PORT)) {
            channel.write(value, tick);
        }
    }

    /// The level of a channel's output at `now`, in ns; of channels that do not exist, low.
    #[must_use]
    pub fn output(&self, channel: usize, now: u64) -> bool {
        let channel = self.channels.get(channel);
        channel.is_some_and(|channel| channel.output(ticks(now)))
    }

    /// When channel 0's output rises next, in ns: never after a count that ends once has ended.
    #[must_use]
    pub fn deadline(&self) -> Option<u64> {
        let [channel, ..] = &self.channels;
        let wait = (u128::from(channel.next_rise()?) * NS_PER_SECOND).div_ceil(RATE);
        u64::try_from(wait).ok()
    }

    /// Lets time reach `now`, in ns; whether channel 0's output has risen since the last call.
    /// Several rises are one interrupt.
    pub fn advance(&mut self, now: u64) -> bool {
        let [channel, ..] = &mut self.channels;
        channel.take_rise(ticks(now))
    }

    fn channel(&mut self, number: u16) -> Option<&mut Counter> {
        self.channels.get_mut(usize::from(number))
    }

    fn control(&mut self, word: u8, tick: u64) {
        match self.channel(u16::from(word >> 6)) {
            Some(channel) if word >> 4 & 3 == 0 => channel.latch(tick),
            Some(channel) => channel.control(word, tick),
            None => self.read_back(word, tick),
        }
    }

    /// The read-back command: latches counts and states of several channels at once.
    fn read_back(&mut self, word: u8, tick: u64) {
        for (number, channel) in self.channels.iter_mut().enumerate() {
            if word >> (number + 1) & 1 == 0 {
                continue;
            }
            if word & 1 << 5 == 0 {
                channel.latch(tick);
            }
            if word & 1 << 4 == 0 {
                channel.latch_status(tick);
            }
        }
    }

    fn read_system_control(&self, tick: u64) -> u8 {
        let [.., channel] = &self.channels;
        let mut value = self.system_control;
        if channel.output(tick) {
            value |= OUTPUT_2;
        }
        if (tick / REFRESH_TICKS) & 1 != 0 {
            value |= REFRESH;
        }
        value
    }
}

impl Default for Pit {
    fn default() -> Self {
        Self::new()
    }
}

/// The tick that `now`, in ns, falls into.
fn ticks(now: u64) -> u64 {
    let ticks = u128::from(now) * RATE / NS_PER_SECOND;
    // The rate is below one tick a nanosecond.
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

impl fmt::Debug for Pit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pit")
    }
}

#[cfg(test)]
mod tests;
