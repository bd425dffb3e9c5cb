//! The interrupt lines of the devices: each ISA interrupt leads to the 8259 pair and to the IOAPIC,
//! the other pins to the IOAPIC alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vapic::{IoApic, IoApicConfig, Pins};

use super::delivery::Delivery;
use crate::devices::Pic;
use crate::layout;
use crate::observe::{Clock, Tsc};
use crate::seats::Seats;

/// Lines that are ISA interrupts.
const ISA_LINES: u8 = 16;

/// The vCPU whose LINT0 the 8259's output is wired to.
pub const INTR_TARGET: usize = 0;

/// The output of the 8259 pair.
#[derive(Debug)]
pub struct Intr {
    asserted: AtomicBool,
    seats: Arc<Seats>,
}

impl Intr {
    /// Not asserted.
    #[must_use]
    pub fn new(seats: Arc<Seats>) -> Self {
        Self {
            asserted: AtomicBool::new(false),
            seats,
        }
    }

    /// Whether it is asserted; to be asked again after each kick.
    #[must_use]
    #[inline]
    pub fn is_asserted(&self) -> bool {
        self.asserted.load(Ordering::Acquire)
    }

    fn set(&self, asserted: bool) {
        if self.asserted.swap(asserted, Ordering::AcqRel) != asserted {
            self.seats.kick(INTR_TARGET);
        }
    }
}

/// All lines, and the two controllers that they lead to.
pub(super) struct Lines {
    pic: Pic,
    ioapic: IoApic,
    delivery: Delivery,
    intr: Arc<Intr>,
    clock: Clock,
}

impl Lines {
    /// All low.
    #[must_use]
    pub(super) fn new(delivery: Delivery, intr: Arc<Intr>, clock: Clock) -> Self {
        Self {
            pic: Pic::new(),
            ioapic: IoApic::new(IoApicConfig::default()),
            delivery,
            intr,
            clock,
        }
    }

    /// A line is driven.
    pub(super) fn set(&mut self, line: u8, high: bool, now: Tsc) {
        if line < ISA_LINES {
            self.pic.set_line(line, high);
            self.update_intr();
        }
        let pin = if line == 0 { layout::PIT_GSI } else { line };
        let pins = self.ioapic.line(pin, high);
        self.send(pins, now);
    }

    /// A line is driven low and high again: one edge.
    pub(super) fn edge(&mut self, line: u8, now: Tsc) {
        self.set(line, false, now);
        self.set(line, true, now);
    }

    /// The guest reads the IOAPIC.
    pub(super) fn read_ioapic(&self, offset: u32, data: &mut [u8]) {
        self.ioapic.read(offset, data);
    }

    /// The guest writes the IOAPIC.
    pub(super) fn write_ioapic(&mut self, offset: u32, data: &[u8], now: Tsc) {
        let pins = self.ioapic.write(offset, data, self.clock.time(now));
        // First the routes, so that the end of what is sent now is passed on.
        self.delivery.route(&self.ioapic);
        self.send(pins, now);
    }

    /// The guest reads a register of the 8259 pair.
    pub(super) fn read_pic(&mut self, port: u16) -> u8 {
        let value = self.pic.read(port);
        self.update_intr();
        value
    }

    /// The guest writes a register of the 8259 pair.
    pub(super) fn write_pic(&mut self, port: u16, value: u8) {
        self.pic.write(port, value);
        self.update_intr();
    }

    /// The processor acknowledges the 8259's interrupt; returns the vector that it gives.
    pub(super) fn acknowledge(&mut self) -> u8 {
        let vector = self.pic.acknowledge();
        self.update_intr();
        vector
    }

    /// A Local APIC broadcasts the end of a level-triggered interrupt.
    pub(super) fn end_of_interrupt(&mut self, vector: u8, now: Tsc) {
        let pins = self.ioapic.end_of_interrupt(vector, self.clock.time(now));
        self.send(pins, now);
    }

    /// A Local APIC has refused a level-triggered interrupt.
    pub(super) fn refused(&mut self, vector: u8, now: Tsc) {
        self.ioapic.refused(vector, self.clock.time(now));
    }

    /// When the IOAPIC has something to send again, in ns.
    #[must_use]
    pub(super) fn deadline(&self) -> Option<u64> {
        self.ioapic.deadline()
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, now: Tsc) {
        let pins = self.ioapic.advance(self.clock.time(now));
        self.send(pins, now);
    }

    fn send(&mut self, pins: Pins, now: Tsc) {
        for pin in pins.iter() {
            let targets = self.delivery.send(&self.ioapic, pin, now);
            self.ioapic.posted(pin, targets, self.clock.time(now));
        }
    }

    fn update_intr(&self) {
        self.intr.set(self.pic.output());
    }
}
