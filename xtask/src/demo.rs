//! `cargo xtask demo`: from a fresh machine to the report of a run.

use std::process::{Command, ExitCode};

use anyhow::Context;

use crate::{setup, workspace};

/// Builds the command and lets it take its tour; its exit code is ours.
pub(crate) fn run() -> anyhow::Result<ExitCode> {
    setup::guest_targets()?;
    workspace::must(workspace::build_vapic())?;
    let mut vapic = Command::new(workspace::vapic_path());
    vapic.args(["run", "--cpus", "4"]);
    let status = vapic
        .status()
        .with_context(|| format!("{vapic:?} does not start"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}
