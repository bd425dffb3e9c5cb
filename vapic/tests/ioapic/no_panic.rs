//! Whatever a guest, the devices and the clock do: no panic, and the invariants hold.

use proptest::prelude::*;
use vapic::spec::ioapic::{EOIR, IOREGSEL, IOWIN};
use vapic::spec::msi::MsiFormat;
use vapic::{IoApic, IoApicConfig, Polarity};

const PINS: u8 = 24;

#[derive(Clone, Debug)]
enum Input {
    Write { offset: u32, data: Vec<u8> },
    Read { offset: u32, width: usize },
    Register { index: u8, value: u32 },
    Line { pin: u8, high: bool },
    End(u8),
    Now(u64),
    Reset,
    SaveAndRestore,
}

fn offset() -> impl Strategy<Value = u32> {
    prop_oneof![
        Just(IOREGSEL),
        Just(IOWIN),
        Just(EOIR),
        0u32..0x1000,
        any::<u32>()
    ]
}

/// Few vectors, so that ends meet interrupts.
fn vector() -> impl Strategy<Value = u8> {
    prop_oneof![4 => 0x40u8..0x44, 1 => any::<u8>()]
}

/// Low halves: mostly fixed, often level-triggered.
fn low() -> impl Strategy<Value = u32> {
    let entry = (vector(), 0u32..8, any::<[bool; 4]>());
    prop_oneof![
        4 => entry.prop_map(|(vector, delivery, [level, low, masked, other])| {
            let delivery = if other { delivery } else { 0 };
            u32::from(vector)
                | delivery << 8
                | u32::from(low) << 13
                | u32::from(level) << 15
                | u32::from(masked) << 16
        }),
        1 => any::<u32>(),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let data = prop::collection::vec(any::<u8>(), 0..18);
    // Few pins, so that inputs meet.
    let pin = prop_oneof![8 => 0u8..4, 1 => 0u8..PINS, 1 => any::<u8>()];
    prop_oneof![
        1 => (offset(), data).prop_map(|(offset, data)| Input::Write { offset, data }),
        1 => (offset(), 0usize..18).prop_map(|(offset, width)| Input::Read { offset, width }),
        6 => (0u8..4, low())
            .prop_map(|(pin, value)| Input::Register { index: 0x10 + 2 * pin, value }),
        1 => any::<(u8, u32)>().prop_map(|(index, value)| Input::Register { index, value }),
        8 => (pin, any::<bool>()).prop_map(|(pin, high)| Input::Line { pin, high }),
        6 => vector().prop_map(Input::End),
        1 => prop_oneof![any::<u64>(), 0u64..20_000_000].prop_map(Input::Now),
        1 => Just(Input::SaveAndRestore),
        // Rare, or little else would happen.
        1 => prop::bool::weighted(0.1)
            .prop_map(|reset| if reset { Input::Reset } else { Input::End(0x41) }),
    ]
}

fn config() -> impl Strategy<Value = IoApicConfig> {
    let formats = vec![MsiFormat::Bits8, MsiFormat::Bits15, MsiFormat::Bits32];
    let polarities = vec![Polarity::Ignored, Polarity::Honoured];
    (
        prop::sample::select(formats),
        prop::sample::select(polarities),
    )
        .prop_map(|(format, polarity)| IoApicConfig { format, polarity })
}

/// What is true of an IOAPIC at any time, the lines being `lines`.
fn check(ioapic: &IoApic, config: IoApicConfig, lines: &[bool]) {
    for (pin, line) in (0..PINS).zip(lines) {
        let entry = ioapic.entry(pin).unwrap();
        let asserted = match config.polarity {
            Polarity::Ignored => *line,
            Polarity::Honoured => *line != entry.active_low(),
        };
        assert!(entry.is_level() || !entry.remote_irr());
        assert!(
            !entry.delivery_status() || entry.is_level() && asserted && !entry.remote_irr(),
            "only an asserted level waits"
        );
        if entry.is_level() && entry.sends() && asserted {
            assert!(
                entry.remote_irr() || entry.delivery_status(),
                "no interrupt is forgotten"
            );
        }
        assert_eq!(
            entry.sends(),
            ioapic.message(pin).is_some() && !entry.masked()
        );
    }
    let waits = (0..PINS).any(|pin| ioapic.entry(pin).unwrap().delivery_status());
    assert_eq!(ioapic.deadline().is_some(), waits);
}

proptest! {
    #[test]
    fn nothing_panics_and_the_invariants_hold(
        config in config(),
        // Ends so far on pin 0, which bring its storm brake near.
        ends in prop_oneof![Just(None), (9_990u32..10_000).prop_map(Some)],
        inputs in prop::collection::vec(input(), 1..150),
    ) {
        let mut ioapic = IoApic::new(config);
        let mut lines = [false; PINS as usize];
        if let Some(ends) = ends {
            let mut state = ioapic.save(0);
            state.pins[0].entry = 0xC041;
            state.pins[0].line = true;
            state.pins[0].ends = ends;
            lines[0] = true;
            prop_assert!(ioapic.restore(&state, 0).unwrap().is_empty());
        }
        let mut now = 0;
        for input in inputs {
            let before = ioapic.clone();
            let ends = matches!(input, Input::End(_) | Input::Write { offset: EOIR, .. });
            let sent = match input {
                Input::Write { offset, data } => ioapic.write(offset, &data, now).bits(),
                Input::Read { offset, width } => {
                    ioapic.read(offset, &mut vec![0; width]);
                    0
                }
                Input::Register { index, value } => {
                    let selected = ioapic.write(IOREGSEL, &[index], now);
                    prop_assert!(selected.is_empty());
                    ioapic.write(IOWIN, &value.to_le_bytes(), now).bits()
                }
                Input::Line { pin, high } => {
                    if let Some(line) = lines.get_mut(usize::from(pin)) {
                        *line = high;
                    }
                    ioapic.line(pin, high).bits()
                }
                Input::End(vector) => ioapic.end_of_interrupt(vector, now).bits(),
                Input::Now(time) => {
                    now = time;
                    ioapic.advance(now).bits()
                }
                Input::Reset => {
                    ioapic.reset();
                    lines = [false; PINS as usize];
                    0
                }
                Input::SaveAndRestore => {
                    let state = ioapic.save(now);
                    ioapic = IoApic::new(config);
                    let owed = ioapic.restore(&state, now).unwrap();
                    prop_assert!(owed.is_empty());
                    prop_assert_eq!(ioapic.save(now), state);
                    0
                }
            };
            prop_assert_eq!(sent >> PINS, 0);
            for pin in (0..PINS).filter(|pin| sent >> pin & 1 != 0) {
                let entry = ioapic.entry(pin).unwrap();
                prop_assert!(ioapic.message(pin).is_some());
                prop_assert_eq!(entry.remote_irr(), entry.is_level());
                let in_service = before.entry(pin).unwrap().remote_irr();
                prop_assert!(!in_service || ends, "sent twice without an end");
            }
            check(&ioapic, config, &lines);
        }
    }
}
