//! The IOAPIC and the Local APICs of a machine: acceptance, the end, and what comes after it.

use std::sync::Arc;

use vapic::spec::message::Trigger;
use vapic::spec::msi::MsiFormat;
use vapic::{Acceptance, Config, Effect, Fabric, LocalApic, Pins, Router};

use crate::driver::*;

/// A board whose interrupts reach processors, which take them at once.
struct Machine {
    board: Board,
    apics: Vec<LocalApic>,
    fabric: Arc<Fabric>,
    device: Router,
}

impl Machine {
    fn new(format: MsiFormat, ids: &[u32]) -> Self {
        let config = |&id| Config {
            id,
            bootstrap: true,
            physical_bits: 46,
            features: vapic::Features::default(),
        };
        let mut apics: Vec<_> = ids.iter().map(|id| LocalApic::new(config(id))).collect();
        for apic in &mut apics {
            let base = apic.base().with_x2apic(true);
            assert_eq!(apic.write_base(base.into_bits()), Ok(Effect::Base(base)));
            assert_eq!(apic.write_msr(0x80F, 0x1FF, 0), Ok(Effect::Identity));
        }
        let fabric = Fabric::new(apics.iter().map(LocalApic::identity)).unwrap();
        Self {
            board: Board::with_format(format),
            apics,
            device: Router::new(Arc::clone(&fabric), None),
            fabric,
        }
    }

    fn deliver(&mut self, pins: Pins) {
        for pin in pins.iter() {
            let message = self.board.ioapic.message(pin).unwrap();
            let mut targets = 0;
            self.device.deliver(&message, |_, _| targets += 1);
            self.board.ioapic.posted(pin, targets, self.board.now);
        }
        for (apic, mailbox) in self.apics.iter_mut().zip(self.fabric.mailboxes()) {
            let Board { ioapic, now } = &mut self.board;
            apic.drain(mailbox, |vector, trigger, acceptance| {
                if (trigger, acceptance) == (Trigger::Level, Acceptance::Disabled) {
                    ioapic.refused(vector, *now);
                }
            });
        }
    }

    /// The guest of `cpu` writes its SVR.
    fn enable(&mut self, cpu: usize, enabled: bool) {
        let value = if enabled { 0x1FF } else { 0xFF };
        let effect = self.apics[cpu].write_msr(0x80F, value, 0);
        assert_eq!(effect, Ok(Effect::Identity));
        self.fabric.publish(cpu, self.apics[cpu].identity());
    }

    /// It is `now`.
    fn at(&mut self, now: u64) {
        self.board.now = now;
        let pins = self.board.ioapic.advance(now);
        self.deliver(pins);
    }

    fn line(&mut self, pin: u8, asserted: bool) {
        let pins = self.board.ioapic.line(pin, asserted);
        self.deliver(pins);
    }

    /// Processor `cpu` takes its next interrupt.
    fn take(&mut self, cpu: usize) -> Option<u8> {
        self.apics[cpu].acknowledge()
    }

    /// The guest of `cpu` writes EOI. Whether the end was broadcast.
    fn end(&mut self, cpu: usize) -> bool {
        let Ok(Effect::Ended { vector, level }) = self.apics[cpu].write_msr(0x80B, 0, 0) else {
            panic!("nothing was in service");
        };
        if level {
            let pins = self.board.ioapic.end_of_interrupt(vector, 0);
            self.deliver(pins);
        }
        level
    }

    fn trigger_mode(&mut self, cpu: usize, vector: u8) -> bool {
        let word = self.apics[cpu]
            .read_msr(0x818 + u32::from(vector >> 5), 0)
            .unwrap();
        word >> (vector & 31) & 1 != 0
    }
}

#[test]
fn the_next_interrupt_may_arrive_from_inside_the_end() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0, 1]);
    machine.board.high(3, 0x0100_0000);
    machine.board.low(3, LEVEL | 0x41);
    machine.line(3, true);
    for _ in 0..3 {
        assert_eq!(machine.take(1), Some(0x41));
        assert_eq!(machine.take(1), None);
        // Out of service first: what the end sends is taken like any other.
        assert!(machine.end(1));
    }
    assert_eq!(machine.take(1), Some(0x41));
    machine.line(3, false);
    assert!(machine.end(1));
    assert_eq!(machine.take(1), None);
    assert_eq!(machine.take(0), None);
}

#[test]
fn an_edge_has_no_broadcast_and_the_end_leaves_the_trigger_mode() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0]);
    machine.board.low(3, LEVEL | 0x41);
    machine.line(3, true);
    assert_eq!(machine.take(0), Some(0x41));
    machine.line(3, false);
    assert!(machine.end(0));
    assert!(machine.trigger_mode(0, 0x41), "left alone by the end");
    machine.board.low(3, 0x41);
    machine.line(3, true);
    assert!(!machine.trigger_mode(0, 0x41), "written at acceptance");
    assert_eq!(machine.take(0), Some(0x41));
    assert!(!machine.end(0));
}

#[test]
fn two_pins_on_one_vector_are_one_interrupt() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0]);
    machine.board.low(3, LEVEL | 0x41);
    machine.board.low(9, LEVEL | 0x41);
    machine.line(3, true);
    machine.line(9, true);
    assert_eq!(machine.take(0), Some(0x41));
    machine.line(3, false);
    machine.end(0);
    // Pin 9 has not been served.
    assert_eq!(machine.take(0), Some(0x41));
    machine.line(9, false);
    machine.end(0);
    assert_eq!(machine.take(0), None);
}

/// The destination moves while the interrupt is in service: the old target ends it, and the new
/// one is sent the next.
#[test]
fn an_interrupt_moves_while_in_service() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0, 1]);
    machine.board.low(3, LEVEL | 0x41);
    machine.line(3, true);
    assert_eq!(machine.take(0), Some(0x41));
    machine.board.high(3, 0x0100_0000);
    assert_eq!(machine.take(1), None);
    assert!(machine.end(0));
    assert_eq!((machine.take(0), machine.take(1)), (None, Some(0x41)));
}

/// CVE-2020-27152: an end that asserts the line again must not go on for ever.
#[test]
fn an_end_sends_each_pin_once_whatever_its_device_does() {
    let mut board = Board::new();
    board.low(3, LEVEL | 0x41);
    assert_eq!(board.rise(3), [3]);
    for _ in 0..100 {
        // The device is told of the end and asks again before anyone takes the first.
        assert_eq!(board.end(0x41), [3]);
        assert_eq!(board.fall(3), NONE);
        assert_eq!(board.rise(3), NONE);
    }
}

#[test]
fn all_ones_reach_everyone_in_x2apic_mode_too() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0, 1, 255, 256]);
    machine.board.high(3, 0xFF00_0000);
    machine.board.low(3, 0x41);
    machine.line(3, true);
    for cpu in 0..4 {
        assert_eq!(machine.take(cpu), Some(0x41));
    }
}

#[test]
fn with_15_bits_all_ones_are_one_processor() {
    for (high, cpu) in [(0xFF00_0000, 2), (0x0002_0000, 3), (0x0100_0000, 1)] {
        let mut machine = Machine::new(MsiFormat::Bits15, &[0, 1, 255, 256]);
        machine.board.high(3, high);
        machine.board.low(3, 0x41);
        machine.line(3, true);
        for other in 0..4 {
            assert_eq!(machine.take(other), (other == cpu).then_some(0x41));
        }
    }
}

#[test]
fn a_level_that_the_one_target_refuses_comes_when_it_is_enabled() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0]);
    machine.board.low(3, LEVEL | 0x41);
    machine.enable(0, false);
    machine.line(3, true);
    let waits = machine.board.entry(3);
    assert!(!waits.remote_irr(), "it is set by acceptance");
    assert!(waits.delivery_status(), "and until then the message waits");
    assert_eq!(machine.board.ioapic.deadline(), Some(10_000_000));
    machine.at(10_000_000);
    assert_eq!(machine.board.ioapic.deadline(), Some(20_000_000));
    machine.enable(0, true);
    machine.at(20_000_000);
    assert_eq!(machine.take(0), Some(0x41));
    assert!(machine.board.entry(3).remote_irr());
    machine.line(3, false);
    assert!(machine.end(0));
    assert_eq!(machine.board.ioapic.deadline(), None);
}

#[test]
fn a_level_to_nobody_goes_where_the_guest_then_points_it() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0]);
    machine.board.high(3, 0x0900_0000);
    machine.board.low(3, LEVEL | 0x41);
    machine.line(3, true);
    assert!(!machine.board.entry(3).remote_irr());
    machine.board.high(3, 0);
    machine.at(10_000_000);
    assert_eq!(machine.take(0), Some(0x41));
}

#[test]
fn a_level_that_one_of_two_accepts_is_not_sent_again() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0, 1]);
    machine.board.high(3, 0xFF00_0000);
    machine.board.low(3, LEVEL | 0x41);
    machine.enable(1, false);
    machine.line(3, true);
    assert!(machine.board.entry(3).remote_irr());
    assert_eq!(machine.board.ioapic.deadline(), None);
    assert_eq!(machine.take(0), Some(0x41));
    machine.line(3, false);
    assert!(machine.end(0));
}

#[test]
fn a_refused_level_that_is_withdrawn_is_not_sent_again() {
    let mut machine = Machine::new(MsiFormat::Bits8, &[0]);
    machine.board.low(3, LEVEL | 0x41);
    machine.enable(0, false);
    machine.line(3, true);
    machine.line(3, false);
    machine.enable(0, true);
    assert_eq!(machine.board.ioapic.deadline(), None);
    machine.at(10_000_000);
    assert_eq!(machine.take(0), None);
    machine.line(3, true);
    assert_eq!(machine.take(0), Some(0x41));
}
