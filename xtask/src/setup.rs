//! What a fresh machine lacks: installed, or named with the way to get it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

use crate::workspace::{BARE_METAL, STATIC_LINUX, cargo, must, program};

/// Makes sure that the guests can be built, each for its target.
pub(crate) fn guest_targets() -> anyhow::Result<()> {
    for target in [BARE_METAL, STATIC_LINUX] {
        let mut rustc = program("rustc");
        let output = rustc
            .args(["--print", "target-libdir", "--target", target])
            .output()
            .context("there is no rustc: install Rust, see https://rustup.rs")?;
        let folder = String::from_utf8_lossy(&output.stdout);
        if !(output.status.success() && Path::new(folder.trim_end()).is_dir()) {
            rustup(&["target", "add", target])?;
        }
    }
    Ok(())
}

/// Makes sure that the code can be formatted and checked.
pub(crate) fn checkers() -> anyhow::Result<()> {
    for (subcommand, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if !answers(cargo(&[subcommand, "--version"])) {
            rustup(&["component", "add", component])?;
        }
    }
    Ok(())
}

/// Whether cargo-nextest is here; without it the tests run under `cargo test`.
pub(crate) fn has_nextest() -> bool {
    answers(cargo(&["nextest", "--version"]))
}

fn answers(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn rustup(arguments: &[&str]) -> anyhow::Result<()> {
    let mut version = program("rustup");
    version.arg("--version");
    if !answers(version) {
        let what = arguments.last().unwrap_or(&"");
        bail!(
            "{what} is not installed, and there is no rustup to install it: get rustup from \
             https://rustup.rs, or {what} from where your Rust came from"
        );
    }
    let mut command = program("rustup");
    command.args(arguments);
    must(command)
}
