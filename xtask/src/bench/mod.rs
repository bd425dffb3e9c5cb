//! `cargo xtask bench`: the figures beside the goals.
//!
//! - instructions of the register model, counted by callgrind;
//! - its times, by criterion;
//! - the whole way on KVM, as ratios in one run.

mod instructions;
mod machine;
mod quotient;
mod time;
mod whole_way;

use std::process::ExitCode;

use comfy_table::{Table, presets};

use crate::setup;

/// Options of `cargo xtask bench`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Fewer rounds: figures in a minute or two, with more spread.
    #[arg(long)]
    quick: bool,
    /// Only these parts; all if none is named.
    #[arg(value_enum)]
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    /// Instructions of the register model.
    Instructions,
    /// Times of the register model.
    Time,
    /// Round trips and shootdowns on KVM.
    WholeWay,
}

/// Measures everything; a goal that is missed is shown, and is no failure.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    setup::guest_targets()?;
    let wanted = |part| args.parts.is_empty() || args.parts.contains(&part);
    println!("{}", machine::describe());
    if wanted(Part::Instructions) {
        instructions::run()?;
    }
    if wanted(Part::Time) {
        time::run(args.quick)?;
    }
    if wanted(Part::WholeWay) {
        whole_way::run(args.quick)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A table with these headings, for a pipe as for a terminal.
fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    table
}
