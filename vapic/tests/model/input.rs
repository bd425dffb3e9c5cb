//! What happens to a machine, and lists of it for the property.

use proptest::prelude::*;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use crate::apic;

pub(crate) const PROCESSORS: usize = 3;
/// Neighbours, and one whose ID xAPIC mode cannot show.
pub(crate) const IDS: [u32; PROCESSORS] = [0, 1, 0x112];

/// Something that happens to one processor, or that it does.
#[derive(Clone, Debug)]
pub(crate) enum Input {
    WritePage {
        offset: u32,
        data: Vec<u8>,
    },
    ReadPage {
        offset: u32,
        width: usize,
    },
    WriteMsr {
        msr: u32,
        value: u64,
    },
    ReadMsr {
        msr: u32,
    },
    /// Through whichever door is open.
    Write {
        register: u32,
        value: u32,
    },
    Read {
        register: u32,
    },
    /// The ICR, in xAPIC mode its high half first.
    Command {
        destination: u32,
        low: u32,
    },
    Base(u64),
    Cr8(u8),
    /// A local source by the number of its entry.
    Fire(u32),
    Pin(usize, bool),
    /// From a device.
    Message(InterruptMessage),
    Drain,
    Acknowledge,
    TakeNmi,
    TakeSmi,
    EndExtInt,
    WriteDeadline(u64),
    ReadDeadline,
    Wait,
}

/// An input to a processor, after some time.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) processor: usize,
    pub(crate) nanoseconds: u64,
    pub(crate) input: Input,
}

/// Vectors that meet each other, in all words of a set and on either side of legal.
fn vector() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => prop::sample::select(vec![0x31u32, 0x3F, 0x40, 0x41, 0x7F, 0x91, 0xC1, 0xFE, 0xFF]),
        1 => 0u32..0x20,
        1 => 0u32..0x100,
    ]
}

fn register() -> impl Strategy<Value = u32> {
    prop_oneof![
        8 => prop::sample::select(vec![
            0x02u32, 0x08, 0x0B, 0x0B, 0x0B, 0x0D, 0x0E, 0x0F, 0x28, 0x28, 0x2F, 0x30, 0x32, 0x32,
            0x33, 0x34, 0x35, 0x35, 0x36, 0x37, 0x37, 0x38, 0x38, 0x3E, 0x3F,
        ]),
        3 => 0u32..0x40,
        1 => 0u32..0x100,
    ]
}

/// Values that mean something in some register.
fn value() -> impl Strategy<Value = u32> {
    let entry =
        (vector(), 0u32..8, 0u32..16, 0u32..4).prop_map(|(vector, delivery, bits, mode)| {
            vector | delivery << 8 | bits << 13 | if bits == 0 { mode << 17 } else { 0 }
        });
    let plain = (vector(), 0u32..8).prop_map(|(vector, high)| vector | (high & 4) << 13);
    prop_oneof![
        4 => plain,
        3 => entry,
        3 => prop::sample::select(vec![0u32, 0x1FF, 0x1FF, 0xFF, 0x11FF, 0x3FF, 0xB]),
        2 => 0u32..0x400,
        1 => (0u32..32).prop_map(|bit| 1 << bit),
        1 => (0u32..256).prop_map(|top| top << 24),
        1 => any::<u32>(),
    ]
}

fn command() -> impl Strategy<Value = u32> {
    let fields = (vector(), 0u32..8, 0u32..2, 0u32..4, 0u32..4);
    prop_oneof![
        3 => vector(),
        6 => fields.prop_map(|(vector, delivery, logical, level, shorthand)| {
            vector | delivery << 8 | logical << 11 | level << 14 | shorthand << 18
        }),
        1 => any::<u32>(),
    ]
}

fn address() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => prop::sample::select(vec![0u32, 1, 0x12, 0x112, 0xFF, u32::MAX, 3, 0x11_0004, 0xF1]),
        2 => (0u32..8).prop_map(|address| address << 24),
        1 => 0u32..256,
        1 => any::<u32>(),
    ]
}

fn message() -> impl Strategy<Value = InterruptMessage> {
    let delivery = prop_oneof![3 => Just(0u8), 2 => 0u8..8];
    (0..5, address(), delivery, vector(), any::<bool>()).prop_map(
        |(kind, address, delivery, vector, level)| InterruptMessage {
            destination: match kind {
                0 => Destination::Logical(address),
                1 => Destination::All,
                2 => Destination::AllButSender,
                3 => Destination::Sender,
                _ => Destination::Physical(address),
            },
            delivery: DeliveryMode::from_bits(delivery),
            vector: vector.to_le_bytes()[0],
            trigger: if level { Trigger::Level } else { Trigger::Edge },
        },
    )
}

fn base() -> impl Strategy<Value = u64> {
    prop_oneof![
        3 => Just(0xFEE0_0800u64),
        3 => Just(0xFEE0_0C00),
        2 => Just(0xFEE0_0100),
        1 => Just(0xFEE0_0400),
        1 => Just(0x3000_0900),
        1 => (0u32..64).prop_map(|bit| 0xFEE0_0800 | 1 << bit),
    ]
}

/// Writes to the entries whose sources go on by themselves: the timer, LINT0, errors.
fn entry() -> impl Strategy<Value = Input> {
    let masked = prop::sample::select(vec![0u32, 0, 1 << 16]);
    let timer = (vector(), 0u32..3, masked.clone()).prop_map(|(vector, mode, masked)| {
        let value = vector | mode << 17 | masked;
        (apic::LVT_TIMER, value)
    });
    let lint0 = (vector(), masked.clone())
        .prop_map(|(vector, masked)| (apic::LVT_LINT0, vector | 1 << 15 | masked));
    let error = (vector(), masked).prop_map(|(vector, masked)| (apic::LVT_ERROR, vector | masked));
    prop_oneof![3 => timer, 2 => lint0, 1 => error]
        .prop_map(|(register, value)| Input::Write { register, value })
}

fn input() -> impl Strategy<Value = Input> {
    let source = prop::sample::select(vec![apic::LVT_CMCI, apic::LVT_THERMAL, apic::LVT_PMC]);
    let high = prop_oneof![8 => Just(0u64), 1 => any::<u32>().prop_map(u64::from)];
    prop_oneof![
        16 => (register(), value()).prop_map(|(register, value)| Input::Write { register, value }),
        4 => entry(),
        3 => register().prop_map(|register| Input::Read { register }),
        6 => (address(), command())
            .prop_map(|(destination, low)| Input::Command { destination, low }),
        1 => (0u32..0x1000, prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(offset, data)| Input::WritePage { offset, data }),
        1 => (0u32..0x1000, 0usize..17)
            .prop_map(|(offset, width)| Input::ReadPage { offset, width }),
        2 => (register(), value(), high).prop_map(|(register, value, high)| Input::WriteMsr {
            msr: 0x800 + register,
            value: high << 32 | u64::from(value),
        }),
        1 => (0x7F0u32..0x910).prop_map(|msr| Input::ReadMsr { msr }),
        2 => base().prop_map(Input::Base),
        2 => any::<u8>().prop_map(|class| Input::Cr8(class & 0x17)),
        1 => source.prop_map(Input::Fire),
        3 => (0usize..2, any::<bool>()).prop_map(|(pin, asserted)| Input::Pin(pin, asserted)),
        6 => message().prop_map(Input::Message),
        9 => Just(Input::Drain),
        8 => Just(Input::Acknowledge),
        1 => Just(Input::TakeNmi),
        1 => Just(Input::TakeSmi),
        1 => Just(Input::EndExtInt),
        2 => (0u64..40_000).prop_map(Input::WriteDeadline),
        1 => Just(Input::ReadDeadline),
        2 => Just(Input::Wait),
    ]
}

/// A list of steps, mostly of one processor, so that things come together.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let processor = prop_oneof![3 => Just(0), 1 => 0..PROCESSORS];
    let nanoseconds = prop_oneof![6 => Just(0u64), 2 => 0u64..600, 1 => 0u64..1 << 40];
    let step = (processor, nanoseconds, input()).prop_map(|(processor, nanoseconds, input)| Step {
        processor,
        nanoseconds,
        input,
    });
    prop::collection::vec(step, 1..50)
}
