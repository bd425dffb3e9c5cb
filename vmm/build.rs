//! Builds the bare-metal guest and tells the crate where it is, in `GUEST_ELF`.
//!
//! The guest is a package of this workspace for another target, so it is built by a cargo of its
//! own, in a target directory of its own: the one this build holds is locked. It is always
//! optimised, whatever the profile here.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "x86_64-unknown-none";

/// What this build was told about its own target, which is not the guest's.
const NOT_FOR_THE_GUEST: &[&str] = &[
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_TARGET_DIR",
    // clippy and the like, which check this crate and must not replace the guest's compiler.
    "RUSTC_WORKSPACE_WRAPPER",
];

fn main() -> Result<(), Box<dyn Error>> {
    let output = PathBuf::from(required("OUT_DIR")?);
    if env::var_os("CARGO_CFG_LOOM").is_some() {
        // Loom checks protocols between threads; nothing boots.
        let empty = output.join("no-guest");
        fs::write(&empty, [])?;
        println!("cargo::rerun-if-changed=build.rs");
        println!("cargo::rustc-env=GUEST_ELF={}", empty.display());
        return Ok(());
    }
    let workspace = PathBuf::from(required("CARGO_MANIFEST_DIR")?)
        .join("..")
        .canonicalize()?;
    for input in ["Cargo.toml", "Cargo.lock", "guest", "vmm/build.rs"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    if !target_is_installed()? {
        println!(
            "cargo::error=the target {TARGET}, which the guest is built for, is not installed: \
             run `rustup target add {TARGET}`, or `cargo xtask demo`, which does it"
        );
        return Ok(());
    }
    let target_dir = output.join("guest");
    if !build(&workspace, &target_dir)? {
        println!("cargo::error=the guest does not build: see the messages of its compiler above");
        return Ok(());
    }
    let built = target_dir.join(TARGET).join("release");
    rerun_if_sources_change(&built.join("guest.d"))?;
    println!(
        "cargo::rustc-env=GUEST_ELF={}",
        built.join("guest").display()
    );
    Ok(())
}

fn required(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: run this with cargo"))
}

fn target_is_installed() -> Result<bool, Box<dyn Error>> {
    let printed = Command::new(required("RUSTC")?)
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()?;
    let directory = String::from_utf8(printed.stdout)?;
    Ok(printed.status.success() && Path::new(directory.trim_end()).is_dir())
}

fn build(workspace: &Path, target_dir: &Path) -> Result<bool, Box<dyn Error>> {
    let mut cargo = Command::new(required("CARGO")?);
    cargo
        .current_dir(workspace)
        .args([
            "build",
            "--package",
            "guest",
            "--release",
            "--target",
            TARGET,
            "--target-dir",
        ])
        .arg(target_dir);
    for name in NOT_FOR_THE_GUEST {
        cargo.env_remove(name);
    }
    Ok(cargo.status()?.success())
}

/// Follows the guest's dependency file, so that a crate it uses counts as its source.
fn rerun_if_sources_change(dependency_file: &Path) -> Result<(), Box<dyn Error>> {
    let rule = fs::read_to_string(dependency_file)?;
    // One line `output: input input ...`, spaces within a path escaped.
    let inputs = rule.split_once(": ").map_or("", |(_output, inputs)| inputs);
    for input in inputs.trim_end().replace("\\ ", "\0").split(' ') {
        println!("cargo::rerun-if-changed={}", input.replace('\0', " "));
    }
    Ok(())
}
