//! `cargo xtask test`: every check and every test, to the last one whatever fails.

mod step;

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use step::Step;

use crate::counted::{Count, Runner};
use crate::oracles::Interpreted;
use crate::workspace::{self, BARE_METAL, cargo};
use crate::{oracles, setup};

/// How long the fuzzer has for one target.
const FUZZING: Duration = Duration::from_secs(30);

/// Kernels that are booted in the lab, each in another mode of the APICs.
const LINUX: [(&str, &str); 2] = [("6.1", "x2apic"), ("6.12", "xapic")];

/// A lab with room for a guest, and its time.
const LAB: [&str; 4] = ["--memory", "2048", "--timeout", "300"];

/// One workload for each kind of IPI.
const WORKLOADS: &str = "vapic.only=munmap,membarrier_private,pthread_kill,futex_wake,backtrace_nmi \
                         vapic.pages=1,33 vapic.iterations=5";

/// Options of `cargo xtask test`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Leave out the tests that take minutes.
    #[arg(long)]
    fast: bool,
    /// Only the steps whose names have one of these in them.
    #[arg(value_name = "STEP")]
    only: Vec<String>,
}

/// Runs everything; the last line printed is `N passed, N failed`.
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    setup::guest_targets()?;
    setup::checkers()?;
    let mut total = Count::default();
    let mut failures = Vec::new();
    let mut left_out = Vec::new();
    let mut steps = steps(args.fast)?;
    if !args.only.is_empty() {
        steps.retain(|step| args.only.iter().any(|part| step.name.contains(part)));
    }
    if steps.is_empty() {
        eprintln!("xtask: no step has {:?} in its name", args.only);
        return Ok(ExitCode::from(2));
    }
    for step in steps {
        let name = step.name.clone();
        if args.fast && step.takes_minutes {
            left_out.push(name);
            continue;
        }
        println!("\n== {name}");
        let started = Instant::now();
        let mut count = step.run();
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
            "left out by --fast, as they take minutes: {}, and {} tests",
            left_out.join(", "),
            total.skipped
        );
    }
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(ExitCode::from(u8::from(!failures.is_empty())))
}

fn steps(fast: bool) -> anyhow::Result<Vec<Step>> {
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
    let mut steps = vec![
        Step::check("formatting", cargo(&["fmt", "--all", "--check"])),
        Step::check("clippy", clippy),
        Step::check("clippy of the guest", clippy_guest),
        Step::check(
            "documentation",
            doc(cargo(&["doc", "--workspace", "--exclude", "guest"])),
        ),
        Step::check(
            "documentation of the guest",
            doc(bare_metal(&["doc", "--package", "guest"])),
        ),
        Step::check(
            "vapic without std",
            bare_metal(&["build", "--package", "vapic"]),
        ),
        Step::check("vapic as a package", oracles::package()),
        Step::tests("unit tests", unit(runner, fast)),
        Step::tests(
            "examples in the documentation",
            (Runner::CargoTest, examples),
        ),
        Step::check("release build", workspace::build_vapic()),
        Step::tests("real VMs", real_vms(runner, fast)),
        Step::tests("loom: mailbox", oracles::loom("vapic", &["--test", "loom"])),
        Step::tests(
            "loom: kick",
            oracles::loom("vmm", &["--lib", "kick::model"]),
        ),
        Step::tests("fuzzing: corpus", oracles::replay()),
        Step::check("96 % of the lines of vapic", oracles::coverage())
            .needing(setup::coverage)
            .taking_minutes(),
        Step::tests("vapic under Miri", oracles::miri(Interpreted::Bounded))
            .needing(setup::miri)
            .taking_minutes(),
    ];
    for target in oracles::FUZZ_TARGETS {
        let name = format!("fuzzing: {target}");
        let command = oracles::fuzz(target, FUZZING)?;
        let step = Step::logged(name, oracles::FUZZ_FIGURES, command);
        steps.push(step.needing(setup::fuzzer).taking_minutes());
    }
    for (kernel, mode) in LINUX {
        let name = format!("Linux {kernel} in the lab, {mode}");
        steps.push(Step::check(name, linux_in_lab(kernel, mode)).taking_minutes());
    }
    let quiet = Step::check(
        "Linux in the lab, without complaints",
        linux_without_complaints(),
    );
    steps.push(quiet.taking_minutes());
    Ok(steps)
}

/// An unmodified Linux on the user-space APIC of stock KVM, shooting down TLBs. It fails if the guest
/// does, if a delivery is lost, or if the guest counted other interrupts than were injected.
fn linux_in_lab(kernel: &str, mode: &str) -> Command {
    let image = format!("/kernels/{kernel}/vmlinuz");
    let lab = ["xtask", "lab", "--kernel-version", kernel];
    let run = ["--", "vapic", "run", "--linux", "--kernel", &image];
    let mut command = cargo(&[&lab[..], &LAB, &run, &["--apic-mode", mode]].concat());
    command.args(["--timeout", "180", "--report-file", "/tmp/report"]);
    command.args(["--cmdline", WORKLOADS]);
    command
}

/// Both kernels, each in the mode that it is not in above, where a busy host cannot keep their timers
/// waiting: it fails if either complains about APICs or timers.
///
/// The emulated processor has no invariant TSC, by which a kernel would know that its TSCs agree.
fn linux_without_complaints() -> Command {
    let boots = LINUX
        .iter()
        .zip(LINUX.iter().rev())
        .map(|((kernel, _), (_, mode))| {
            format!(
                "vapic run --linux --kernel /kernels/{kernel}/vmlinuz --apic-mode {mode} --cpus 4 \
             --timeout 100 --report-file /tmp/report --cmdline 'tsc=reliable vapic.complaints=fail \
             vapic.only=none'"
            )
        });
    let boots = boots.collect::<Vec<_>>().join(" && ");
    let lab = ["xtask", "lab", "--cpus", "1"];
    let room = ["--memory", "2048", "--timeout", "600"];
    cargo(&[&lab[..], &room, &["--", "sh", "-c", &boots]].concat())
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
