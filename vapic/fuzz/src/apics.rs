//! Several APICs, the messages between them, and clocks that jump.

use arbitrary::{Arbitrary, Unstructured};

use crate::input::{Input, Model, to_the_end};
use crate::machine::Machine;

#[derive(Arbitrary, Debug)]
struct List {
    model: Model,
    #[arbitrary(with = to_the_end)]
    inputs: Vec<(u8, Input)>,
}

/// Does the list that the bytes stand for.
///
/// # Panics
///
/// If a promise is broken.
pub fn run(data: &[u8]) {
    let Ok(list) = List::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let mut machine = Machine::new(list.model);
    for (cpu, input) in list.inputs {
        machine.perform(cpu, input);
    }
}
