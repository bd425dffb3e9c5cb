//! Messages as memory writes, and an IOAPIC with its lines, its guest and its clock.

use arbitrary::{Arbitrary, Unstructured};
use vapic::spec::ioapic::{EOIR, IOREGSEL, IOWIN, PINS};
use vapic::spec::message::{DeliveryMode, InterruptMessage, Trigger};
use vapic::spec::msi::{MsiFormat, MsiMessage};
use vapic::{IoApic, IoApicConfig, Pins, Polarity};

use crate::input::{Bytes, Clock, Message, Width, some, to_the_end};

#[derive(Arbitrary, Debug)]
struct List {
    format: Format,
    honours_polarity: bool,
    #[arbitrary(with = some)]
    messages: Vec<Written>,
    #[arbitrary(with = some)]
    pins: Vec<(u8, Pin)>,
    #[arbitrary(with = to_the_end)]
    inputs: Vec<Input>,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Format {
    Bits8,
    Bits15,
    Bits32,
}

impl From<Format> for MsiFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Bits8 => Self::Bits8,
            Format::Bits15 => Self::Bits15,
            Format::Bits32 => Self::Bits32,
        }
    }
}

/// A message as a device or an encoder has it.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Written {
    Any { address: u64, data: u32 },
    Window { high: u32, low: u32, data: u16 },
    Encoded(Message),
}

/// The state of a pin to be restored.
#[derive(Arbitrary, Clone, Copy, Debug)]
struct Pin {
    entry: Entry,
    line: bool,
    ends: u32,
    pause: Option<u32>,
}

/// An entry of the redirection table.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Entry {
    Any(u64),
    /// Few vectors, so that ends meet interrupts; bits 8 to 16 are flags.
    Common {
        vector: u8,
        flags: u16,
    },
}

impl Entry {
    fn bits(self) -> u64 {
        match self {
            Self::Any(bits) => bits,
            Self::Common { vector, flags } => {
                u64::from(vector & 3 | 0x40) | u64::from(flags & 0x1FF) << 8
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low half is asked for")]
    fn low(self) -> u32 {
        self.bits() as u32
    }
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Input {
    Write(u32, Bytes),
    Read(u32, Width),
    Register(u8, u32),
    EntryLow(u8, Entry),
    Line(u8, bool),
    End(u8),
    DirectedEnd(u8),
    Clock(Clock),
    Reset,
    SaveAndRestore,
}

/// Does what the bytes stand for.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(data: &[u8]) {
    let Ok(list) = List::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let format = list.format.into();
    for message in list.messages {
        check_message(message, format);
    }
    let polarity = if list.honours_polarity {
        Polarity::Honoured
    } else {
        Polarity::Ignored
    };
    let mut board = Board::new(IoApicConfig { format, polarity }, &list.pins);
    for input in list.inputs {
        board.perform(input);
    }
}

fn check_message(written: Written, format: MsiFormat) {
    let msi = match written {
        Written::Any { address, data } => MsiMessage { address, data },
        Written::Window { high, low, data } => MsiMessage {
            address: u64::from(high) << 32 | 0xFEE0_0000 | u64::from(low & 0xF_FFFF),
            data: data.into(),
        },
        Written::Encoded(message) => {
            let message = InterruptMessage::from(message);
            let Ok(msi) = MsiMessage::encode(&message, format) else {
                return;
            };
            let decoded = msi.decode(format).expect("a message that was encoded");
            let trigger = if has_level(message.delivery) {
                message.trigger
            } else {
                Trigger::Edge
            };
            assert_eq!(decoded, InterruptMessage { trigger, ..message });
            msi
        }
    };
    if let Ok(message) = msi.decode(format) {
        assert_eq!(msi.address >> 20 & 0xFFF, 0xFEE);
        assert!(message.trigger == Trigger::Edge || has_level(message.delivery));
        let encoded = MsiMessage::encode(&message, format).expect("it has a form");
        assert_eq!(encoded.decode(format), Ok(message));
    }
}

fn has_level(delivery: DeliveryMode) -> bool {
    matches!(delivery, DeliveryMode::Fixed | DeliveryMode::LowestPriority)
}

struct Board {
    ioapic: IoApic,
    config: IoApicConfig,
    lines: [bool; PINS],
    /// ns.
    now: u64,
}

impl Board {
    /// An IOAPIC in a state of any content, if it takes it.
    fn new(config: IoApicConfig, pins: &[(u8, Pin)]) -> Self {
        let mut ioapic = IoApic::new(config);
        let mut state = ioapic.save(0);
        for (number, pin) in pins {
            let state = &mut state.pins[usize::from(*number) % PINS];
            state.entry = pin.entry.bits();
            state.line = pin.line;
            state.ends = pin.ends;
            state.pause = pin.pause.map(u64::from);
        }
        let before = ioapic.save(0);
        let mut lines = [false; PINS];
        match ioapic.restore(&state, 0) {
            Ok(owed) => {
                lines = state.pins.map(|pin| pin.line);
                if owed.is_empty() && state.pins.iter().all(|pin| pin.pause != Some(0)) {
                    assert_eq!(ioapic.save(0), state);
                }
            }
            Err(_) => assert_eq!(ioapic.save(0), before, "left as it was"),
        }
        let board = Self {
            ioapic,
            config,
            lines,
            now: 0,
        };
        board.check();
        board
    }

    fn perform(&mut self, input: Input) {
        let before = self.ioapic.clone();
        let mut ends = false;
        let sent = match input {
            Input::Write(offset, mut bytes) => {
                ends = offset == EOIR;
                self.ioapic.write(offset, bytes.get(), self.now)
            }
            Input::Read(offset, width) => {
                self.ioapic.read(offset, width.of(&mut [0xA5; 16]));
                assert_eq!(self.ioapic.save(self.now), before.save(self.now));
                Pins::NONE
            }
            Input::Register(index, value) => self.write(index, value),
            Input::EntryLow(pin, entry) => self.write(0x10 + 2 * (pin & 3), entry.low()),
            Input::Line(pin, high) => {
                if let Some(line) = self.lines.get_mut(usize::from(pin)) {
                    *line = high;
                }
                self.ioapic.line(pin, high)
            }
            Input::End(vector) => {
                ends = true;
                self.ioapic.end_of_interrupt(vector, self.now)
            }
            Input::DirectedEnd(vector) => {
                ends = true;
                self.ioapic
                    .write(EOIR, &u32::from(vector).to_le_bytes(), self.now)
            }
            Input::Clock(clock) => {
                self.now = clock.from(self.now, self.ioapic.deadline());
                self.ioapic.advance(self.now)
            }
            Input::Reset => {
                self.ioapic.reset();
                self.lines = [false; PINS];
                Pins::NONE
            }
            Input::SaveAndRestore => self.save_and_restore(),
        };
        self.sent(sent, &before, ends);
        self.check();
    }

    fn write(&mut self, index: u8, value: u32) -> Pins {
        assert!(self.ioapic.write(IOREGSEL, &[index], self.now).is_empty());
        self.ioapic.write(IOWIN, &value.to_le_bytes(), self.now)
    }

    fn save_and_restore(&mut self) -> Pins {
        let due = self
            .ioapic
            .deadline()
            .is_some_and(|deadline| deadline <= self.now);
        let state = self.ioapic.save(self.now);
        self.ioapic = IoApic::new(self.config);
        let owed = self
            .ioapic
            .restore(&state, self.now)
            .expect("a saved state");
        if !due {
            assert!(owed.is_empty());
        }
        owed
    }

    /// Each pin that sends has a message, and a level is sent once until its end.
    fn sent(&self, pins: Pins, before: &IoApic, ends: bool) {
        for pin in pins.iter() {
            let entry = self.ioapic.entry(pin).expect("a pin that exists");
            let message = self.ioapic.message(pin).expect("a message");
            assert!(!entry.masked());
            assert_eq!(entry.remote_irr(), entry.is_level());
            assert_eq!(message.trigger == Trigger::Level, entry.is_level());
            assert_eq!(message.vector, entry.vector());
            let in_service = before.entry(pin).is_some_and(|entry| entry.remote_irr());
            assert!(!in_service || ends, "sent twice without an end");
        }
    }

    /// What is true at any time.
    fn check(&self) {
        let mut waits = false;
        for (pin, line) in (0..).zip(self.lines) {
            let entry = self.ioapic.entry(pin).expect("24 pins");
            let asserted = match self.config.polarity {
                Polarity::Ignored => line,
                Polarity::Honoured => line != entry.active_low(),
            };
            let level = entry.is_level() && asserted;
            assert!(entry.is_level() || !entry.remote_irr());
            assert!(!entry.delivery_status() || level && !entry.remote_irr());
            if level && entry.sends() {
                assert!(entry.remote_irr() || entry.delivery_status(), "forgotten");
            }
            let sends = self.ioapic.message(pin).is_some() && !entry.masked();
            assert_eq!(entry.sends(), sends);
            waits |= entry.delivery_status();
        }
        assert_eq!(self.ioapic.deadline().is_some(), waits);
        assert_eq!(self.ioapic.entry(24), None);
    }
}
