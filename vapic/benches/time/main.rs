//! Time that the rows of the work list take, by criterion, and what a second sending thread adds.
//!
//! ```text
//! cargo bench -p vapic --bench time
//! ```
//!
//! A row that consumes what it is given (an acknowledge, an EOI) is timed within its life cycle.
//! Criterion prints a line a row, takes its usual arguments, and leaves its estimates in ns as JSON
//! under `target/criterion`. The second threads are in `scaling.rs`, with a format of their own.

mod scaling;
#[path = "../work/mod.rs"]
#[expect(
    dead_code,
    reason = "goals are for instructions, and so are what goes before and after"
)]
mod work;

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use work::{Work, list, stages};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for row in list().iter().filter(|row| is_repeatable(row)) {
        time(&mut criterion, row);
    }
    criterion.final_summary();
    scaling::run(std::env::args().any(|argument| argument == "--bench"));
}

/// Whether the stage may be run again and again with nothing in between.
fn is_repeatable(row: &Work) -> bool {
    [row.before, row.after]
        .map(|stage| std::ptr::fn_addr_eq(stage, stages::nothing as stages::Stage))
        == [true, true]
}

fn time(criterion: &mut Criterion, row: &Work) {
    let mut machine = black_box(Box::new((row.machine)()));
    let stage = black_box(row.stage);
    let mut group = criterion.benchmark_group("work");
    group.throughput(Throughput::Elements(row.units.into()));
    group.bench_function(row.name, |bencher| bencher.iter(|| stage(&mut machine)));
}
