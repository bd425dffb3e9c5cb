//! What a fresh machine lacks: installed, or named with the way to get it.

use std::env;
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

/// Makes sure that a nightly Rust with Miri is here.
pub(crate) fn miri() -> anyhow::Result<()> {
    let nightly = |arguments: &[&str]| {
        let mut command = program("rustup");
        command.args(["run", "nightly"]).args(arguments);
        command
    };
    if !answers(nightly(&["rustc", "--version"])) {
        // Not every nightly comes with every component.
        let mut install = vec!["toolchain", "install", "nightly", "--allow-downgrade"];
        install.extend(["--profile", "minimal", "--component", "miri,rust-src"]);
        return rustup(&install);
    }
    // A component that is here already is left as it is.
    rustup(&[
        "component",
        "add",
        "--toolchain",
        "nightly",
        "miri",
        "rust-src",
    ])
}

/// Makes sure that the lines which tests reach can be counted.
pub(crate) fn coverage() -> anyhow::Result<()> {
    subcommand("llvm-cov", "cargo-llvm-cov")?;
    // Where rustup has no say, the tool names what it wants.
    match answers(rustup_version()) {
        true => rustup(&["component", "add", "llvm-tools"]),
        false => Ok(()),
    }
}

/// Makes sure that the fuzzer can be built: it is in C++, and libstdc++ comes with the compiler.
pub(crate) fn fuzzer() -> anyhow::Result<()> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut version = program(&compiler);
    version.arg("--version");
    if !answers(version) {
        bail!("there is no C++ compiler '{compiler}' for the fuzzer: apt install g++");
    }
    subcommand("fuzz", "cargo-fuzz")
}

/// Makes sure that cargo has a subcommand, which a package of crates.io brings.
fn subcommand(name: &str, package: &str) -> anyhow::Result<()> {
    if answers(cargo(&[name, "--version"])) {
        return Ok(());
    }
    must(cargo(&["install", "--locked", package]))
        .with_context(|| format!("{package} is not installed: cargo install --locked {package}"))
}

/// Whether cargo-nextest is here; without it the tests run under `cargo test`.
pub(crate) fn has_nextest() -> bool {
    answers(cargo(&["nextest", "--version"]))
}

fn answers(mut command: Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

fn rustup(arguments: &[&str]) -> anyhow::Result<()> {
    if !answers(rustup_version()) {
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

fn rustup_version() -> Command {
    let mut command = program("rustup");
    command.arg("--version");
    command
}
