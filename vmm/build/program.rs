//! A program of this workspace for another target.
//!
//! It is built by a cargo of its own, in a target directory of its own: the one this build holds is
//! locked. It is always optimised, whatever the profile here.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::required;

/// What this build was told about its own target, which is not the program's.
const NOT_FOR_THE_PROGRAM: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    // clippy and the like, which check this crate and must not replace the program's compiler.
    "RUSTC_WORKSPACE_WRAPPER",
];

/// What is built, and for what.
pub(crate) struct Program {
    /// The package.
    pub(crate) package: &'static str,
    /// Its binary.
    pub(crate) binary: &'static str,
    /// The target's triple.
    pub(crate) target: &'static str,
    /// The profile, which is also the name of its folder.
    pub(crate) profile: &'static str,
}

impl Program {
    /// Builds it; `None` if that did not work and cargo has been told why.
    pub(crate) fn build(
        &self,
        workspace: &Path,
        target_dir: &Path,
    ) -> Result<Option<PathBuf>, Box<dyn Error>> {
        let Self {
            package,
            binary,
            target,
            profile,
        } = self;
        if !is_installed(target)? {
            println!(
                "cargo::error=the target {target}, which {package} is built for, is not installed: \
                 run `rustup target add {target}`, or `cargo xtask demo`, which does it"
            );
            return Ok(None);
        }
        let mut cargo = Command::new(required("CARGO")?);
        cargo
            .current_dir(workspace)
            .args(["build", "--package", package, "--profile", profile])
            .args(["--target", target, "--target-dir"])
            .arg(target_dir);
        for name in NOT_FOR_THE_PROGRAM {
            cargo.env_remove(name);
        }
        if !cargo.status()?.success() {
            println!(
                "cargo::error={package} does not build: see the messages of its compiler above"
            );
            return Ok(None);
        }
        let built = target_dir.join(target).join(profile);
        rerun_if_sources_change(&built.join(binary).with_extension("d"))?;
        Ok(Some(built.join(binary)))
    }
}

fn is_installed(target: &str) -> Result<bool, Box<dyn Error>> {
    let printed = Command::new(required("RUSTC")?)
        .args(["--print", "target-libdir", "--target", target])
        .output()?;
    let directory = String::from_utf8(printed.stdout)?;
    Ok(printed.status.success() && Path::new(directory.trim_end()).is_dir())
}

/// Follows the program's dependency file, so that a crate it uses counts as its source.
fn rerun_if_sources_change(dependency_file: &Path) -> Result<(), Box<dyn Error>> {
    let rule = fs::read_to_string(dependency_file)?;
    // One line `output: input input ...`, spaces within a path escaped.
    let inputs = rule.split_once(": ").map_or("", |(_output, inputs)| inputs);
    for input in inputs.trim_end().replace("\\ ", "\0").split(' ') {
        println!("cargo::rerun-if-changed={}", input.replace('\0', " "));
    }
    Ok(())
}
