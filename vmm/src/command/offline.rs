//! The commands that work on a trace alone.

use std::process::ExitCode;

use super::output::Output;
use crate::cli::{ReplayArgs, ReportArgs};
use crate::trace::{Account, Replay, Trace};

/// `vapic report`.
///
/// # Errors
///
/// A file that is no trace, or a damaged one.
pub fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let mut output = Output::open(args.report_file.clone())?;
    let trace = Trace::open(&args.trace).inspect_err(|_| output.discard())?;
    let account = Account::of(&trace).inspect_err(|_| output.discard())?;
    let report = account.report(&trace);
    output.write(&if args.json {
        report.to_json()
    } else {
        report.to_table()
    })?;
    Ok(ExitCode::SUCCESS)
}

/// `vapic replay`.
///
/// # Errors
///
/// A file that is no trace, a damaged one, or one that cannot be replayed.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let trace = Trace::open(&args.trace)?;
    let replay = Replay::of(&trace)?;
    Output::Stdout.write(&format!("{replay}\n"))?;
    Ok(ExitCode::from(u8::from(!replay.is_identical())))
}
