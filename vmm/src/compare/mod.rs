//! `vapic compare`: one workload on the user-space Local APIC and on KVM's own, in turn.
//!
//! The figures are the guest's own, since nobody but the guest sees an IPI that KVM delivers. Runs
//! are taken in pairs, one on each APIC, and every ratio is of one pair: what else the host does in
//! that time falls on both. The order within a pair changes from pair to pair (AB BA AB ...), as
//! what drifts one way would else favour the same APIC in all of them.

mod affinity;
mod baseline;
mod child;
mod comparison;
mod figure;
mod rows;
mod statistics;
mod table;
mod turns;
mod workload;

use std::process::ExitCode;

pub use affinity::Affinity;
pub use baseline::{Against, BaselineError, Change};
pub use comparison::{Comparison, RunOutcome, Subject};
pub use figure::Unit;
pub use rows::Row;
pub use statistics::Statistics;
pub use workload::Workload;

use crate::cli::CompareArgs;
use crate::command::Output;
use baseline::Baseline;
use turns::Gathered;

/// `vapic compare`: 0 if every run passed, else 1.
///
/// # Errors
///
/// A baseline or a report file that cannot be used, and a host that starts no process.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let baseline = args.baseline.as_deref().map(Baseline::read).transpose()?;
    let mut output = Output::open(args.report_file.clone())?;
    let gathered = turns::gather(&args.workload, args.runs as usize);
    let mut comparison = match gathered.inspect_err(|_| output.discard())? {
        Gathered::Comparison(comparison) => comparison,
        Gathered::Refused { code, said } => {
            output.discard();
            eprintln!("{said}");
            return Ok(ExitCode::from(code));
        }
    };
    comparison.against = baseline.map(|baseline| baseline.against(&comparison));
    let text = if args.json {
        comparison.to_json()
    } else {
        comparison.to_table()
    };
    if let Err(error) = output.write(&text) {
        // It took long to get.
        Output::Stdout.write(&text)?;
        return Err(error);
    }
    for failure in comparison.failures() {
        eprintln!("vapic: {failure}");
    }
    Ok(ExitCode::from(comparison.exit_code()))
}
