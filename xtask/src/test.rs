//! `cargo xtask test`: every check and every test, to the last one whatever fails.

use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::counted::{self, Count, Runner};
use crate::setup;
use crate::workspace::{self, BARE_METAL, cargo};

/// Options of `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Leave out the tests that take minutes.
    #[arg(long)]
    fast: bool,
}

/// One part of the whole.
struct Step {
    name: &'static str,
    kind: Kind,
    command: Command,
}

/// What a step counts as.
#[derive(Clone, Copy)]
enum Kind {
    /// One test: whether the command succeeds.
    Check,
    /// As many tests as its runner says.
    Tests(Runner),
}

/// Runs everything; the last line printed is `N passed, N failed`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    setup::guest_targets()?;
    setup::checkers()?;
    let mut total = Count::default();
    let mut failures = Vec::new();
    for step in steps(args.fast) {
        let Step {
            name,
            kind,
            command,
        } = step;
        println!("\n== {name}");
        let started = Instant::now();
        let mut count = match kind {
            Kind::Tests(runner) => counted::tests(runner, command),
            Kind::Check => check(command),
        };
        println!("   {name}: {:.0} s", started.elapsed().as_secs_f64());
        if !args.fast {
            // Nothing is left out unseen.
            count.failed += std::mem::take(&mut count.skipped);
        }
        if count.failed > 0 {
            failures.push((name, count.failed));
        }
        total += count;
    }
    println!();
    for (name, failed) in &failures {
        println!("failed: {name} ({failed})");
    }
    if args.fast {
        println!(
            "left out by --fast, as they take minutes: {}",
            total.skipped
        );
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

fn check(mut command: Command) -> Count {
    let succeeded = command.status().is_ok_and(|status| status.success());
    Count {
        passed: u64::from(succeeded),
        failed: u64::from(!succeeded),
        skipped: 0,
    }
}

fn steps(fast: bool) -> Vec<Step> {
    let check = |name, command| Step {
        name,
        kind: Kind::Check,
        command,
    };
    let tests = |name, (runner, command)| Step {
        name,
        kind: Kind::Tests(runner),
        command,
    };
    let strict = ["--", "--deny", "warnings"];
    let runner = match setup::has_nextest() {
        true => Runner::Nextest,
        false => Runner::CargoTest,
    };
    let examples = cargo(&["test", "--workspace", "--doc"]);
    let doc = |mut command: Command| {
        command
            .arg("--no-deps")
            .env("RUSTDOCFLAGS", "--deny warnings");
        command
    };
    let bare_metal = |arguments: &[&str]| cargo(&[arguments, &["--target", BARE_METAL]].concat());
    let mut clippy_guest = bare_metal(&["clippy", "--package", "guest"]);
    clippy_guest.args(strict);
    let mut clippy = cargo(&["clippy", "--workspace", "--all-targets"]);
    clippy.args(strict);
    vec![
        check("formatting", cargo(&["fmt", "--all", "--check"])),
        check("clippy", clippy),
        check("clippy of the guest", clippy_guest),
        check(
            "documentation",
            doc(cargo(&["doc", "--workspace", "--exclude", "guest"])),
        ),
        check(
            "documentation of the guest",
            doc(bare_metal(&["doc", "--package", "guest"])),
        ),
        check(
            "vapic without std",
            bare_metal(&["build", "--package", "vapic"]),
        ),
        tests("unit tests", unit(runner, fast)),
        tests(
            "examples in the documentation",
            (Runner::CargoTest, examples),
        ),
        check("release build", workspace::build_vapic()),
        tests("real VMs", real_vms(runner, fast)),
        tests("loom: mailbox", loom("vapic", &["--test", "loom"])),
        tests("loom: kick", loom("vmm", &["--lib", "kick::model"])),
    ]
}

/// A run of these packages' tests, the slow ones included unless `fast`.
fn run_of(runner: Runner, fast: bool, packages: &[&str]) -> Command {
    if runner == Runner::Nextest {
        let mut command = cargo(&["nextest", "run", "--no-fail-fast"]);
        command.args(packages);
        if !fast {
            command.args(["--run-ignored", "all"]);
        }
        return command;
    }
    let mut command = cargo(&["test", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    command.args(packages).arg("--");
    if !fast {
        command.arg("--include-ignored");
    }
    command
}

fn unit(runner: Runner, fast: bool) -> (Runner, Command) {
    (
        runner,
        run_of(runner, fast, &["--workspace", "--exclude", "tests"]),
    )
}

fn real_vms(runner: Runner, fast: bool) -> (Runner, Command) {
    let mut command = run_of(runner, fast, &["--package", "tests"]);
    if runner == Runner::CargoTest {
        // As `.config/nextest.toml` has it: machines that run at once disturb each other.
        command.args(["--test-threads", "1"]);
    }
    command.env("VAPIC_BIN", workspace::vapic_path());
    (runner, command)
}

/// A loom model, in a target folder of its own since all code is built for it anew.
fn loom(package: &str, test: &[&str]) -> (Runner, Command) {
    let mut command = cargo(&["test", "--release", "--package", package]);
    command.args(test);
    command.env("RUSTFLAGS", "--cfg loom");
    command.env("CARGO_TARGET_DIR", workspace::target().join("loom"));
    // It is the optimiser that counts; linking is most of the time otherwise.
    command.env("CARGO_PROFILE_RELEASE_LTO", "off");
    command.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    (Runner::CargoTest, command)
}
