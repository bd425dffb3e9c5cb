//! Builds the guests that the crate carries and tells it where they are: the bare-metal guest in
//! `GUEST_ELF`, and an initramfs with the init of a Linux guest in `INITRAMFS`.

mod initramfs;
mod program;

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use program::Program;

/// The bare-metal guest.
const GUEST: Program = Program {
    package: "guest",
    binary: "guest",
    target: "x86_64-unknown-none",
    profile: "release",
};

/// Process 1 of a Linux guest.
const LINUX_INIT: Program = Program {
    package: "linux-init",
    binary: "init",
    target: "x86_64-unknown-linux-musl",
    profile: "init",
};

fn main() -> Result<(), Box<dyn Error>> {
    let output = PathBuf::from(required("OUT_DIR")?);
    let workspace = PathBuf::from(required("CARGO_MANIFEST_DIR")?)
        .join("..")
        .canonicalize()?;
    for input in ["Cargo.toml", "Cargo.lock", "guest", "vmm/build"] {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    if env::var_os("CARGO_CFG_LOOM").is_some() {
        // Loom checks protocols between threads; nothing boots.
        let empty = output.join("no-guest");
        fs::write(&empty, [])?;
        tell("GUEST_ELF", &empty);
        tell("INITRAMFS", &empty);
        return Ok(());
    }
    let target_dir = output.join("guest");
    let Some(guest) = GUEST.build(&workspace, &target_dir)? else {
        return Ok(());
    };
    let Some(init) = LINUX_INIT.build(&workspace, &target_dir)? else {
        return Ok(());
    };
    let initramfs = output.join("initramfs.cpio");
    fs::write(&initramfs, initramfs::pack(&fs::read(init)?)?)?;
    tell("GUEST_ELF", &guest);
    tell("INITRAMFS", &initramfs);
    Ok(())
}

fn tell(variable: &str, path: &Path) {
    println!("cargo::rustc-env={variable}={}", path.display());
}

fn required(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: run this with cargo"))
}
