//! Where things are, and the tools that are started there.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The target that the guest, and `vapic` without its standard library, are built for.
pub(crate) const BARE_METAL: &str = "x86_64-unknown-none";

/// The target that the init of the Linux guest is built for: static, as there is no library there.
pub(crate) const STATIC_LINUX: &str = "x86_64-unknown-linux-musl";

/// The workspace's folder.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a member has a workspace")
}

/// Where builds go.
pub(crate) fn target() -> PathBuf {
    // Relative to the workspace, as for cargo, which is started there.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// A program that is started in the workspace.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that started this, with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = program(&cargo);
    command.args(arguments);
    command
}

/// The `vapic` command.
pub(crate) fn vapic_path() -> PathBuf {
    target().join("release").join("vapic")
}

/// What builds the `vapic` command.
pub(crate) fn build_vapic() -> Command {
    cargo(&["build", "--release", "--package", "vmm", "--bin", "vapic"])
}

/// Runs a command that must succeed, its output on ours.
pub(crate) fn must(mut command: Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("{command:?} does not start"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}
