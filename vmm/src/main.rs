//! The `vapic` command: parse, do, exit.
//!
//! Exit code 0: done, and the guest is content. 1: something failed at run time, or the guest
//! failed. 2: what the user typed or gave is wrong. Errors are one line on standard error.

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use vmm::boot::BootError;
use vmm::cli::{Cli, Command};
use vmm::command;
use vmm::compare::{self, BaselineError};
use vmm::control::SocketError;
use vmm::memory::MemoryError;
use vmm::top;
use vmm::trace::{NoReplay, TraceError};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let result = match cli.command {
        None => command::run(&cli.run),
        Some(Command::Run(args)) => command::run(&args),
        Some(Command::Report(args)) => command::report(&args),
        Some(Command::Export(args)) => command::export(&args),
        Some(Command::Replay(args)) => command::replay(&args),
        Some(Command::Compare(args)) => compare::run(&args),
        Some(Command::Top(args)) => top::run(&args),
        Some(Command::Decode(args)) => command::decode(&args),
        Some(Command::Probe(args)) => command::probe(&args),
    };
    result.unwrap_or_else(|error| {
        eprintln!("vapic: {error:#}");
        let from_user = error.is::<BootError>()
            || error.is::<MemoryError>()
            || error.is::<BaselineError>()
            || error.is::<SocketError>()
            || error.is::<top::TopError>()
            || error.is::<command::InputError>()
            || error.is::<TraceError>()
            || error.is::<NoReplay>();
        ExitCode::from(if from_user { 2 } else { 1 })
    })
}

/// Help and the version as they are; what is wrong with the arguments in one line.
fn refuse(error: &clap::Error) -> ExitCode {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let sentences = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:"));
    let words: Vec<_> = sentences.filter(|line| !line.is_empty()).collect();
    let text = words.join(" ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let text = text
        .trim_end_matches("For more information, try '--help'.")
        .trim_end();
    eprintln!("vapic: {text}; see vapic --help");
    ExitCode::from(2)
}
