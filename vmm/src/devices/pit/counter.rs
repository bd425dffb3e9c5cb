//! One counter of the 8254. Its count is never stepped: it is computed from the tick at which it was
//! loaded.
//!
//! Simplified: a new count of mode 3 waits for the end of the round, not of its half; and a control
//! word that makes the output high is not told as a rise.

use std::mem;

/// How the counter counts, and what its gate does (data sheet, "Mode Definitions").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// 0: the output rises at the end; the gate suspends.
    TerminalCount = 0,
    /// 1: the output is low from a rise of the gate to the end.
    OneShot = 1,
    /// 2: over and over, the output low for the last tick of each round; the gate restarts.
    Rate = 2,
    /// 3: over and over, the output low for half of each round; the gate restarts.
    Square = 3,
    /// 4: the output is low for the tick after the end; the gate suspends.
    SoftwareStrobe = 4,
    /// 5: the same, from a rise of the gate.
    HardwareStrobe = 5,
}

impl Mode {
    const fn of_word(word: u8) -> Self {
        match word >> 1 & 7 {
            0 => Self::TerminalCount,
            1 => Self::OneShot,
            // The highest bit of these two is not looked at.
            2 | 6 => Self::Rate,
            3 | 7 => Self::Square,
            4 => Self::SoftwareStrobe,
            _ => Self::HardwareStrobe,
        }
    }

    const fn repeats(self) -> bool {
        matches!(self, Self::Rate | Self::Square)
    }

    /// Counting starts with the gate, not with the count.
    const fn is_triggered(self) -> bool {
        matches!(self, Self::OneShot | Self::HardwareStrobe)
    }
}

/// Which bytes of a count an access moves; numbered as in the control word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bytes {
    Low = 1,
    High = 2,
    Both = 3,
}

/// Whether the counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    /// Not since the control word.
    Idle,
    /// No longer, or not yet, for want of the gate: so many ticks into the count.
    Suspended(u64),
    /// Since this tick.
    Since(u64),
}

/// A counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counter {
    mode: Mode,
    bytes: Bytes,
    bcd: bool,
    gate: bool,
    /// 1 to 65536; 0 as long as none has been written.
    count: u64,
    run: Run,
    /// The count that follows, and the tick from which on.
    next: Option<(u64, u64)>,
    /// The low byte of a count whose high byte is to come.
    low: Option<u8>,
    /// The next byte read is the high one.
    reads_high: bool,
    latched: Option<u16>,
    status: Option<u8>,
    /// Rises of the output in this run that have been noticed.
    noticed: u64,
    /// One has been noticed and not taken.
    risen: bool,
}

impl Counter {
    pub(super) const fn new(gate: bool) -> Self {
        Self {
            mode: Mode::TerminalCount,
            bytes: Bytes::Both,
            bcd: false,
            gate,
            count: 0,
            run: Run::Idle,
            next: None,
            low: None,
            reads_high: false,
            latched: None,
            status: None,
            noticed: 0,
            risen: false,
        }
    }

    /// A control word that is no latch command.
    pub(super) fn control(&mut self, word: u8, tick: u64) {
        self.settle(tick);
        *self = Self {
            mode: Mode::of_word(word),
            bytes: match word >> 4 & 3 {
                1 => Bytes::Low,
                2 => Bytes::High,
                _ => Bytes::Both,
            },
            bcd: word & 1 != 0,
            risen: self.risen,
            ..Self::new(self.gate)
        };
    }

    pub(super) fn write(&mut self, value: u8, tick: u64) {
        self.settle(tick);
        let count = match (self.bytes, self.low.take()) {
            (Bytes::Low, _) => u16::from(value),
            (Bytes::High, _) => u16::from(value) << 8,
            (Bytes::Both, Some(low)) => u16::from_le_bytes([low, value]),
            (Bytes::Both, None) => {
                self.low = Some(value);
                if self.mode == Mode::TerminalCount {
                    self.run = Run::Idle;
                }
                return;
            }
        };
        let count = if self.bcd {
            from_bcd(count)
        } else {
            count.into()
        };
        let count = if count == 0 { self.modulus() } else { count };
        self.load(count, tick);
    }

    fn load(&mut self, count: u64, tick: u64) {
        match self.run {
            Run::Since(start) if self.mode.repeats() => {
                let rounds = tick.saturating_sub(start) / self.count.max(1) + 1;
                let end = self.count.saturating_mul(rounds).saturating_add(start);
                self.next = Some((count, end));
            }
            // It counts from the next trigger on.
            Run::Since(_) if self.mode.is_triggered() => self.next = Some((count, u64::MAX)),
            _ => {
                self.count = count;
                if !self.mode.is_triggered() {
                    self.restart(tick);
                }
            }
        }
    }

    /// Counts from the start, if the gate lets it: the next tick loads the count.
    fn restart(&mut self, tick: u64) {
        if let Some((count, _)) = self.next.take() {
            self.count = count;
        }
        self.noticed = 0;
        self.run = if self.gate {
            Run::Since(tick.saturating_add(1))
        } else {
            Run::Suspended(0)
        };
    }

    pub(super) fn set_gate(&mut self, gate: bool, tick: u64) {
        self.settle(tick);
        let rises = gate && !self.gate;
        let falls = !gate && self.gate;
        self.gate = gate;
        match (self.mode, self.run) {
            _ if self.count == 0 => {}
            (Mode::OneShot | Mode::HardwareStrobe, _) if rises => self.restart(tick),
            (Mode::OneShot | Mode::HardwareStrobe, _) | (_, Run::Idle) => {}
            (Mode::Rate | Mode::Square, _) if rises || falls => self.restart(tick),
            (_, Run::Since(_)) if falls => self.run = Run::Suspended(self.elapsed(tick)),
            (_, Run::Suspended(elapsed)) if rises => {
                self.run = Run::Since(tick.saturating_sub(elapsed));
            }
            _ => {}
        }
    }

    /// Ticks into the count, of all its rounds.
    fn elapsed(&self, tick: u64) -> u64 {
        match self.run {
            Run::Idle => 0,
            Run::Suspended(elapsed) => elapsed,
            Run::Since(start) => tick.saturating_sub(start),
        }
    }

    /// The counter as it is at `tick`, once a count that waited has had its turn.
    fn at(&self, tick: u64) -> Self {
        let mut counter = *self;
        counter.settle(tick);
        counter
    }

    fn settle(&mut self, tick: u64) {
        if let Some((count, start)) = self.next.filter(|&(_, start)| start <= tick) {
            self.count = count;
            self.run = Run::Since(start);
            self.next = None;
            self.noticed = 0;
            self.risen = true;
        }
        let rises = self.rises(tick);
        self.risen |= rises > self.noticed;
        self.noticed = rises;
    }

    /// Rises of the output since the count was loaded.
    fn rises(&self, tick: u64) -> u64 {
        match self.first_rise() {
            Some(first) if self.mode.repeats() => self.elapsed(tick) / first,
            Some(first) => u64::from(self.elapsed(tick) >= first),
            None => 0,
        }
    }

    /// Ticks from the start to the first rise; with a count of 1 a repeating mode never has one.
    const fn first_rise(&self) -> Option<u64> {
        match (self.mode, self.run, self.count) {
            (_, Run::Idle, _) | (Mode::Rate | Mode::Square, _, 0 | 1) => None,
            (Mode::SoftwareStrobe | Mode::HardwareStrobe, _, count) => Some(count + 1),
            (_, _, count) => Some(count),
        }
    }

    /// The tick of the next rise; one that has not been taken is past.
    pub(super) fn next_rise(&self) -> Option<u64> {
        if self.risen {
            return Some(0);
        }
        let Run::Since(start) = self.run else {
            return None;
        };
        if self.noticed > 0 && !self.mode.repeats() {
            return None;
        }
        let ticks = self.first_rise()?.saturating_mul(self.noticed + 1);
        Some(start.saturating_add(ticks))
    }

    pub(super) fn take_rise(&mut self, tick: u64) -> bool {
        self.settle(tick);
        mem::take(&mut self.risen)
    }

    pub(super) fn output(&self, tick: u64) -> bool {
        let now = self.at(tick);
        let (count, elapsed) = (now.count, now.elapsed(tick));
        if now.run == Run::Idle {
            return now.mode != Mode::TerminalCount;
        }
        match now.mode {
            Mode::TerminalCount | Mode::OneShot => elapsed >= count,
            Mode::Rate | Mode::Square if !now.gate => true,
            Mode::Rate => elapsed % count.max(1) != count - 1,
            Mode::Square => elapsed % count.max(1) < count.div_ceil(2),
            Mode::SoftwareStrobe | Mode::HardwareStrobe => elapsed != count,
        }
    }

    /// The counting element, as it is read.
    fn value(&self, tick: u64) -> u16 {
        let now = self.at(tick);
        let (count, elapsed) = (now.count, now.elapsed(tick));
        let round = elapsed % count.max(1);
        let value = match now.mode {
            Mode::Rate => count - round,
            // By twos through each half.
            Mode::Square => (count & !1) - round % count.div_ceil(2).max(1) * 2,
            // It goes on below zero.
            _ => count + now.modulus() - elapsed % now.modulus(),
        } % now.modulus();
        if now.bcd {
            to_bcd(value)
        } else {
            let [low, high, ..] = value.to_le_bytes();
            u16::from_le_bytes([low, high])
        }
    }

    /// What the counter wraps at.
    const fn modulus(&self) -> u64 {
        if self.bcd { 10_000 } else { 0x1_0000 }
    }

    pub(super) fn latch(&mut self, tick: u64) {
        if self.latched.is_none() {
            self.latched = Some(self.value(tick));
        }
    }

    pub(super) fn latch_status(&mut self, tick: u64) {
        let now = self.at(tick);
        let waits = now.next.is_some() || matches!(now.run, Run::Since(start) if start > tick);
        let null = now.count == 0 || waits;
        self.status.get_or_insert(
            u8::from(now.output(tick)) << 7
                | u8::from(null) << 6
                | (now.bytes as u8) << 4
                | (now.mode as u8) << 1
                | u8::from(now.bcd),
        );
    }

    pub(super) fn read(&mut self, tick: u64) -> u8 {
        if let Some(status) = self.status.take() {
            return status;
        }
        let value = self.latched.unwrap_or_else(|| self.value(tick));
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
}

fn from_bcd(value: u16) -> u64 {
    [12, 8, 4, 0]
        .into_iter()
        .fold(0, |sum, shift| sum * 10 + u64::from(value >> shift & 0xF))
}

fn to_bcd(value: u64) -> u16 {
    [1000, 100, 10, 1].into_iter().fold(0, |sum, weight| {
        let [digit, ..] = (value / weight % 10).to_le_bytes();
        sum << 4 | u16::from(digit)
    })
}
