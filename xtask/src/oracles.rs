//! What proves `vapic`, as commands that `test` runs bounded and `soak` long.

use std::process::Command;
use std::time::Duration;

use crate::counted::Runner;
use crate::logged::Figures;
use crate::workspace::{self, cargo, program};

/// Lines of `vapic` that its tests must reach, in percent; vm-superio, the best of the rust-vmm
/// crates, asks as much of its own.
const COVERAGE: &str = "96";

/// The targets of `vapic/fuzz`.
pub(crate) const FUZZ_TARGETS: [&str; 3] = ["apics", "snapshot", "msi_ioapic"];

/// What the fuzzer did.
pub(crate) const FUZZ_FIGURES: Figures = Figures::All(&["DONE ", "Done ", "SUMMARY: "]);

/// A workspace of its own, which the fuzzer's flags stay in.
const FUZZ_FOLDER: &str = "vapic/fuzz";

/// How much of it runs under Miri, a thousand times slower than on the processor.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interpreted {
    /// What threads share, and what else takes an interpreter no minutes; a case of each property.
    Bounded,
    /// All tests, with so many cases of each property.
    All { cases: u32 },
}

/// The tests of `vapic` under Miri.
pub(crate) fn miri(interpreted: Interpreted) -> (Runner, Command) {
    let (tests, without, cases): (&[_], &[_], _) = match interpreted {
        Interpreted::Bounded => (
            &["fabric", "msi", "words"],
            // A table over many destinations.
            &["the_tables_answer"],
            1,
        ),
        Interpreted::All { cases } => (&["*"], &[], cases),
    };
    let mut command = program("rustup");
    // It names the cargo that started this, which has no Miri.
    command.env_remove("CARGO");
    command.args(["run", "nightly", "cargo", "miri", "test"]);
    command.args(["--package", "vapic", "--lib", "--no-fail-fast"]);
    for test in tests {
        command.args(["--test", test]);
    }
    command.arg("--");
    for test in without {
        command.args(["--skip", test]);
    }
    let properties = [
        ("PROPTEST_CASES", cases.to_string()),
        // The interpreter has no files to keep failures in, and little time for a cipher.
        ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1".to_owned()),
        ("PROPTEST_RNG_ALGORITHM", "xs".to_owned()),
    ];
    let forwarded = properties.map(|(name, value)| {
        command.env(name, value);
        format!("-Zmiri-env-forward={name}")
    });
    command.env("MIRIFLAGS", forwarded.join(" "));
    (Runner::CargoTest, command)
}

/// The lines of `vapic` that its tests reach, file by file, and whether they are enough.
pub(crate) fn coverage() -> Command {
    let mut command = cargo(&["llvm-cov", "--package", "vapic", "--lib", "--tests"]);
    command.args(["--fail-under-lines", COVERAGE]);
    // More cases reach no more lines.
    command.env("PROPTEST_CASES", "256");
    command
}

/// What `cargo publish` would upload, built from that alone.
pub(crate) fn package() -> Command {
    // Whether all is committed is not what this asks.
    cargo(&["package", "--package", "vapic", "--allow-dirty"])
}

/// The fuzz targets without the fuzzer: the committed corpus, and lists of pseudo-random bytes.
pub(crate) fn replay() -> (Runner, Command) {
    let mut command = cargo(&["test", "--locked", "--no-default-features"]);
    command.args(["--manifest-path", "vapic/fuzz/Cargo.toml"]);
    command.env("CARGO_TARGET_DIR", fuzz_target_folder());
    (Runner::CargoTest, command)
}

/// The fuzzer on one target, from the committed corpus on; what is new goes to the build folder.
pub(crate) fn fuzz(target: &str, duration: Duration) -> anyhow::Result<Command> {
    let found = fuzz_target_folder().join("corpus").join(target);
    std::fs::create_dir_all(&found)?;
    let mut command = cargo(&["fuzz", "run", "--fuzz-dir", FUZZ_FOLDER]);
    // Sanitizers look for what unsafe code does, of which there is none, and need nightly Rust.
    command.args(["--sanitizer", "none", target]);
    command.arg(found).arg(
        workspace::root()
            .join(FUZZ_FOLDER)
            .join("corpus")
            .join(target),
    );
    command.arg("--");
    command.arg(format!("-max_total_time={}", duration.as_secs().max(1)));
    // One list takes well below a millisecond.
    command.arg("-timeout=30");
    command.env("CARGO_TARGET_DIR", fuzz_target_folder());
    Ok(command)
}

fn fuzz_target_folder() -> std::path::PathBuf {
    workspace::target().join("fuzz")
}

/// A loom model, in a target folder of its own since all code is built for it anew.
pub(crate) fn loom(package: &str, test: &[&str]) -> (Runner, Command) {
    let mut command = cargo(&["test", "--profile", "loom", "--package", package]);
    command.args(test);
    command.env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    (Runner::CargoTest, command)
}
