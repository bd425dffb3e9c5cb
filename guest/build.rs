//! Links the bare-metal guest at its fixed address.
//!
//! The target's own default is a position-independent executable, which a loader that follows
//! program headers cannot relocate; as a fixed-address one every relocation is resolved here.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=guest.ld");
    if env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("none") {
        let directory = env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory");
        println!("cargo::rustc-link-arg-bins=--script={directory}/guest.ld");
        println!("cargo::rustc-link-arg-bins=--no-pie");
    }
}
