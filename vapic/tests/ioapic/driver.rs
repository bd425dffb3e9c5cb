//! An IOAPIC as its guest, its devices and the clock see it.

use vapic::spec::ioapic::{EOIR, IOREGSEL, IOWIN, RedirectionEntry};
use vapic::spec::msi::MsiFormat;
use vapic::{IoApic, IoApicConfig, Pins, Polarity};

/// Low half of an entry, besides the vector.
pub(crate) const LOWEST_PRIORITY: u32 = 1 << 8;
pub(crate) const LOGICAL: u32 = 1 << 11;
pub(crate) const DELIVERY_STATUS: u32 = 1 << 12;
pub(crate) const ACTIVE_LOW: u32 = 1 << 13;
pub(crate) const REMOTE_IRR: u32 = 1 << 14;
pub(crate) const LEVEL: u32 = 1 << 15;
pub(crate) const MASKED: u32 = 1 << 16;

pub(crate) const NONE: [u8; 0] = [];

pub(crate) struct Board {
    pub(crate) ioapic: IoApic,
    /// ns.
    pub(crate) now: u64,
}

impl Board {
    pub(crate) fn new() -> Self {
        Self::with(IoApicConfig::default())
    }

    pub(crate) fn with(config: IoApicConfig) -> Self {
        let ioapic = IoApic::new(config);
        Self { ioapic, now: 0 }
    }

    pub(crate) fn with_format(format: MsiFormat) -> Self {
        let polarity = Polarity::Ignored;
        Self::with(IoApicConfig { format, polarity })
    }

    pub(crate) fn with_voltages() -> Self {
        let format = MsiFormat::Bits8;
        let polarity = Polarity::Honoured;
        Self::with(IoApicConfig { format, polarity })
    }

    /// The pins that send. Each has a message, and what sends by level cannot send twice.
    #[track_caller]
    fn sent(&self, pins: Pins) -> Vec<u8> {
        for pin in pins.iter() {
            let entry = self.entry(pin);
            assert!(self.ioapic.message(pin).is_some());
            assert!(!entry.masked());
            assert_eq!(entry.remote_irr(), entry.is_level(), "remote IRR");
        }
        pins.iter().collect()
    }

    /// The guest writes the register with this index.
    #[track_caller]
    pub(crate) fn write(&mut self, index: u8, value: u32) -> Vec<u8> {
        self.write_at(IOREGSEL, &u32::from(index).to_le_bytes());
        self.write_at(IOWIN, &value.to_le_bytes())
    }

    #[track_caller]
    pub(crate) fn write_at(&mut self, offset: u32, data: &[u8]) -> Vec<u8> {
        let pins = self.ioapic.write(offset, data, self.now);
        self.sent(pins)
    }

    pub(crate) fn read(&mut self, index: u8) -> u32 {
        self.write_at(IOREGSEL, &[index]);
        let mut data = [0xA5; 4];
        self.ioapic.read(IOWIN, &mut data);
        u32::from_le_bytes(data)
    }

    /// The guest writes the low half of an entry.
    #[track_caller]
    pub(crate) fn low(&mut self, pin: u8, value: u32) -> Vec<u8> {
        self.write(0x10 + 2 * pin, value)
    }

    /// The guest writes the high half of an entry.
    #[track_caller]
    pub(crate) fn high(&mut self, pin: u8, value: u32) -> Vec<u8> {
        self.write(0x11 + 2 * pin, value)
    }

    pub(crate) fn entry(&self, pin: u8) -> RedirectionEntry {
        self.ioapic.entry(pin).unwrap()
    }

    /// A line is asserted.
    #[track_caller]
    pub(crate) fn rise(&mut self, pin: u8) -> Vec<u8> {
        let pins = self.ioapic.line(pin, true);
        self.sent(pins)
    }

    /// A line is de-asserted.
    #[track_caller]
    pub(crate) fn fall(&mut self, pin: u8) -> Vec<u8> {
        let pins = self.ioapic.line(pin, false);
        self.sent(pins)
    }

    /// As after this many more ends of the interrupt of `pin`, its line asserted all the time.
    ///
    /// `storm::ten_thousand_ends_are_too_many` goes the long way.
    pub(crate) fn skip_ends(&mut self, pin: usize, ends: u32) {
        let mut state = self.ioapic.save(self.now);
        state.pins[pin].ends += ends;
        assert!(self.ioapic.restore(&state, self.now).unwrap().is_empty());
    }

    /// A Local APIC broadcasts the end of a level-triggered interrupt.
    #[track_caller]
    pub(crate) fn end(&mut self, vector: u8) -> Vec<u8> {
        let pins = self.ioapic.end_of_interrupt(vector, self.now);
        self.sent(pins)
    }

    /// The guest ends one itself.
    #[track_caller]
    pub(crate) fn directed_end(&mut self, vector: u8) -> Vec<u8> {
        self.write_at(EOIR, &u32::from(vector).to_le_bytes())
    }

    /// It is `now`.
    #[track_caller]
    pub(crate) fn at(&mut self, now: u64) -> Vec<u8> {
        self.now = now;
        let pins = self.ioapic.advance(now);
        self.sent(pins)
    }
}
