//! `LocalApic` against a model that is written to be obvious.
//!
//! Both are told the same; they must answer the same and look the same after every step. The model
//! shares nothing with the crate but what a message is.

#![cfg(not(loom))]

mod apic;
mod input;
mod machine;
mod output;
mod real;
mod registers;
mod sources;
mod timer;
mod wire;

use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngAlgorithm};

use input::{Input, PROCESSORS, Step};
use machine::Model;
use real::Real;

/// Cases that failed once; they are tried before all others.
const SEEDS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/model/proptest-regressions.txt"
);

/// Does one input to both, `nanoseconds` after the last.
fn perform(
    model: &mut Model,
    real: &mut Real,
    processor: usize,
    nanoseconds: u64,
    input: &Input,
) -> Result<(), TestCaseError> {
    model.pass(nanoseconds);
    real.pass(nanoseconds);
    let looks_itself = Real::looks_itself(input);
    if !looks_itself {
        real.look_at_the_clock();
    }
    prop_assert_eq!(
        real.perform(processor, input),
        model.perform(processor, input),
        "left the crate, right the model: {:x?} of {}",
        input,
        processor
    );
    if looks_itself {
        // Not every register depends on the time.
        real.look_at_the_clock();
    }
    prop_assert_eq!(real.face(processor), model.face(processor), "{:x?}", input);
    Ok(())
}

/// Compares all registers, through the door that is open; time stands still.
fn compare_registers(model: &mut Model, real: &mut Real) -> Result<(), TestCaseError> {
    for processor in 0..PROCESSORS {
        for register in 0..0x40 {
            let input = Input::Read { register };
            let step = Step {
                processor,
                nanoseconds: 0,
                input,
            };
            for input in model.inputs(step) {
                let outputs = [
                    real.perform(processor, &input),
                    model.perform(processor, &input),
                ];
                prop_assert_eq!(&outputs[0], &outputs[1], "{:x?} of {}", input, processor);
            }
        }
    }
    Ok(())
}

/// Processors that run, in the modes they are given, with their APICs enabled.
fn start(
    model: &mut Model,
    real: &mut Real,
    x2apic: [bool; PROCESSORS],
) -> Result<(), TestCaseError> {
    for (processor, x2apic) in x2apic.into_iter().enumerate() {
        let bits = if x2apic { 0xFEE0_0C00 } else { 0xFEE0_0800 };
        perform(model, real, processor, 0, &Input::Base(bits))?;
        let step = Step {
            processor,
            nanoseconds: 0,
            input: Input::Write {
                register: apic::SVR,
                value: 0x1FF,
            },
        };
        for input in model.inputs(step) {
            perform(model, real, processor, 0, &input)?;
        }
    }
    Ok(())
}

/// As many as are asked for, as for any property; if none are, more than the default.
fn cases() -> u32 {
    match std::env::var("PROPTEST_CASES") {
        Ok(cases) => cases.parse().expect("PROPTEST_CASES is a number"),
        Err(_) if cfg!(miri) => 5,
        Err(_) => 20_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: if cfg!(miri) {
            None
        } else {
            Some(Box::new(FileFailurePersistence::Direct(SEEDS)))
        },
        // The default is a cipher, which without optimisation takes most of the time.
        rng_algorithm: RngAlgorithm::XorShift,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_crate_and_the_model_agree(
        features in any::<[bool; 3]>(),
        x2apic in any::<[bool; PROCESSORS]>(),
        steps in input::steps(),
    ) {
        let mut model = Model::new(features);
        let mut real = Real::new(features);
        start(&mut model, &mut real, x2apic)?;
        for step in steps {
            let (processor, mut nanoseconds) = (step.processor, step.nanoseconds);
            for input in model.inputs(step) {
                perform(&mut model, &mut real, processor, nanoseconds, &input)?;
                nanoseconds = 0;
            }
        }
        compare_registers(&mut model, &mut real)?;
    }
}
