//! What a developer runs: `cargo xtask demo`, `test`, `soak`, `lab` and `bench`, one file each.

mod bench;
mod counted;
mod demo;
mod lab;
mod logged;
mod oracles;
mod setup;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer tasks of vapic.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Set up what is missing, build, and show the report of a run with four vCPUs.
    Demo,
    /// Set up what is missing and run every test; the last line is `N passed, N failed`.
    Test(test::Args),
    /// Run the oracles for hours, and show what each of them did.
    Soak(soak::Args),
    /// Measure, and print the figures beside the goals.
    Bench(bench::Args),
    /// Run a command inside an emulated machine whose Debian kernel has upstream KVM.
    Lab(lab::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Demo => demo::run(),
        Task::Test(args) => test::run(&args),
        Task::Soak(args) => soak::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Lab(args) => lab::run(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
