//! The long form of `tests/tests/differential.rs`: as many operations as asked for.
//!
//! `cargo run --release --package tests --example differential -- OPERATIONS [SEED] [PROCESSORS]`
//!
//! PROCESSORS is the number for all scripts; without it most have two, some three or four.

use std::env;
use std::time::Instant;

use anyhow::Context;
use tests::differential::{Bench, Interrupted, Tally};

/// Operations of one script.
const SCRIPT: usize = 20_000;

fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1).map(|text| {
        text.parse::<u64>()
            .with_context(|| format!("'{text}' is no number"))
    });
    let wanted = arguments.next().unwrap_or(Ok(100_000))?;
    let first_seed = arguments.next().unwrap_or(Ok(1))?;
    let processors = arguments.next().transpose()?;

    let bench = Bench::new()?;
    let started = Instant::now();
    let mut total = Tally::default();
    let mut executed = 0;
    let mut failures = 0;
    for seed in first_seed.. {
        if executed >= wanted {
            break;
        }
        let processors = match processors {
            Some(count) => u8::try_from(count).context("too many processors")?,
            None => match seed % 20 {
                7 | 14 => 3,
                0 => 4,
                _ => 2,
            },
        };
        let script = SCRIPT.min(usize::try_from(wanted - executed)?.max(100));
        match bench.differ(seed, script, processors) {
            Ok(tally) => {
                executed += tally.operations;
                total.add(&tally);
            }
            Err(error) if error.is::<Interrupted>() => {
                println!("{total}");
                return Err(error);
            }
            Err(error) => {
                failures += 1;
                executed += script as u64;
                println!("{error:#}\n");
            }
        }
        println!(
            "seed {seed}: {executed} operations in {:.0} s, {failures} scripts failed",
            started.elapsed().as_secs_f64()
        );
    }
    println!("{total}");
    if let Some(fault) = total.fault() {
        failures += 1;
        println!("{fault}");
    }
    anyhow::ensure!(failures == 0, "{failures} failed");
    Ok(())
}
