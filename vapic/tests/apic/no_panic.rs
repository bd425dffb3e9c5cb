//! Whatever a guest, the other processors and the clock do: no panic, and the invariants hold.

use proptest::prelude::*;
use vapic::spec::lvt::LvtSource;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
use vapic::{Effect, LocalApic};

use crate::driver::{Machine, register};

const PROCESSORS: u32 = 3;

#[derive(Clone, Debug)]
enum Input {
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
    WriteBase(u64),
    SetCr8(u8),
    Raise(LvtSource),
    Message(InterruptMessage),
    Drain,
    Acknowledge,
    TakeNmi,
    /// The clock, which may jump in both directions.
    Now(u64),
}

/// Register numbers: mostly those that exist.
fn register() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..0x40, 1 => 0u32..0x100]
}

/// Values: mostly those that mean something somewhere.
fn value() -> impl Strategy<Value = u32> {
    prop_oneof![
        any::<u32>(),
        0u32..0x400,
        Just(0x1FF),
        (0u32..32).prop_map(|bit| 1 << bit),
        // A command with a vector.
        (16u32..256, 0u32..8, 0u32..4, any::<bool>()).prop_map(
            |(vector, delivery, shorthand, logical)| {
                vector | delivery << 8 | shorthand << 18 | u32::from(logical) << 11
            }
        ),
    ]
}

fn message() -> impl Strategy<Value = InterruptMessage> {
    let address = prop_oneof![0..PROCESSORS, any::<u32>()];
    let destination = (0..5, address).prop_map(|(kind, address)| match kind {
        0 => Destination::Physical(address),
        1 => Destination::Logical(address),
        2 => Destination::Sender,
        3 => Destination::All,
        _ => Destination::AllButSender,
    });
    (destination, any::<u8>(), any::<u8>(), any::<bool>()).prop_map(
        |(destination, delivery, vector, level)| InterruptMessage {
            destination,
            delivery: DeliveryMode::from_bits(delivery),
            vector,
            trigger: if level { Trigger::Level } else { Trigger::Edge },
        },
    )
}

fn input() -> impl Strategy<Value = Input> {
    let source = prop::sample::select(vec![
        LvtSource::Timer,
        LvtSource::Thermal,
        LvtSource::PerformanceCounter,
        LvtSource::Lint0,
        LvtSource::Lint1,
        LvtSource::Error,
        LvtSource::CorrectedMachineCheck,
    ]);
    let base = prop_oneof![
        any::<u64>(),
        prop::sample::select(vec![0u64, 0xFEE0_0800, 0xFEE0_0C00, 0xFEE0_0400]),
    ];
    let high = prop_oneof![4 => Just(0u64), 1 => any::<u32>().prop_map(u64::from)];
    prop_oneof![
        8 => (register(), value()).prop_map(|(register, value)| Input::WritePage {
            offset: register << 4,
            data: value.to_le_bytes().to_vec(),
        }),
        1 => (any::<u32>(), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(offset, data)| Input::WritePage { offset, data }),
        2 => (prop_oneof![0u32..0x1010, any::<u32>()], 0usize..20)
            .prop_map(|(offset, width)| Input::ReadPage { offset, width }),
        8 => (register(), value(), high).prop_map(|(register, value, high)| Input::WriteMsr {
            msr: 0x800 + register,
            value: high << 32 | u64::from(value),
        }),
        1 => (any::<u32>(), any::<u64>()).prop_map(|(msr, value)| Input::WriteMsr { msr, value }),
        2 => prop_oneof![register().prop_map(|register| 0x800 + register), any::<u32>()]
            .prop_map(|msr| Input::ReadMsr { msr }),
        1 => base.prop_map(Input::WriteBase),
        1 => any::<u8>().prop_map(Input::SetCr8),
        1 => source.prop_map(Input::Raise),
        3 => message().prop_map(Input::Message),
        4 => Just(Input::Drain),
        4 => Just(Input::Acknowledge),
        1 => Just(Input::TakeNmi),
        2 => prop_oneof![any::<u64>(), 0u64..10_000].prop_map(Input::Now),
    ]
}

/// Does one input on one processor.
fn perform(machine: &mut Machine, cpu: usize, input: Input) {
    let now = machine.now;
    let apic = &mut machine.apics[cpu];
    let effect = match input {
        Input::WritePage { offset, data } => apic.write_page(offset, &data, now),
        Input::WriteMsr { msr, value } => apic.write_msr(msr, value, now).unwrap_or(Effect::None),
        Input::WriteBase(base) => apic.write_base(base).unwrap_or(Effect::None),
        Input::Message(message) => Effect::Send(message),
        Input::ReadPage { offset, width } => {
            apic.read_page(offset, &mut vec![0; width], now);
            Effect::None
        }
        Input::ReadMsr { msr } => {
            let _ = apic.read_msr(msr, now);
            Effect::None
        }
        Input::SetCr8(class) => {
            apic.set_cr8(class);
            Effect::None
        }
        Input::Raise(source) => {
            let _ = apic.raise(source);
            Effect::None
        }
        Input::Drain => {
            machine.drain(cpu);
            Effect::None
        }
        Input::Acknowledge => {
            let deliverable = apic.deliverable();
            assert_eq!(apic.acknowledge(), deliverable);
            Effect::None
        }
        Input::TakeNmi => {
            let _ = apic.take_nmi();
            Effect::None
        }
        Input::Now(now) => {
            machine.at(now);
            Effect::None
        }
    };
    machine.perform(cpu, effect);
}

/// What is true of an APIC at any time.
fn check(apic: &LocalApic, now: u64) {
    let class = apic.processor_priority() >> 4;
    assert!(class >= apic.cr8());
    assert!(
        apic.requests().iter().all(|vector| vector >= 16),
        "never a request below 16"
    );
    if let Some(vector) = apic.in_service() {
        assert!(vector >= 16 && vector >> 4 <= class);
    }
    if let Some(vector) = apic.deliverable() {
        assert!(vector >> 4 > class);
        assert_eq!(apic.requests().iter().max(), Some(vector));
        assert!(!apic.held_by_task_priority());
    }
    assert!(apic.nmis() <= 2);
    assert_eq!(apic.identity().mode, apic.mode());
    let mut advanced = apic.clone();
    advanced.advance(now);
    assert!(
        advanced
            .deadline()
            .is_none_or(|deadline| deadline > now || now == u64::MAX)
    );
}

proptest! {
    #[test]
    fn nothing_panics_and_the_invariants_hold(
        inputs in prop::collection::vec((0..PROCESSORS as usize, input()), 1..200),
    ) {
        let mut machine = Machine::at_power_up(PROCESSORS);
        for cpu in 0..PROCESSORS as usize {
            machine.write(cpu, register::SVR, 0x1FF);
        }
        for (cpu, input) in inputs {
            perform(&mut machine, cpu, input);
            check(&machine.apics[cpu], machine.now);
        }
    }
}
