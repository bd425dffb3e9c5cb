//! What is run on both APICs: options of `vapic run`, kept as they were typed.

use std::ffi::OsString;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::cli::RunArgs;

/// The options of `vapic run` that say what a guest does and with what. All others are not taken
/// here: whose APIC and which report are for the comparison to say, and files that a run writes
/// would be written over by the next.
const OPTIONS: [&str; 11] = [
    "kernel",
    "linux",
    "initramfs",
    "scenario",
    "cpus",
    "memory",
    "apic_mode",
    "seconds",
    "timeout",
    "iterations",
    "cmdline",
];

/// Options for `vapic run`, checked and as they were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    arguments: Vec<OsString>,
}

impl Workload {
    /// The options, each in one word.
    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

fn options() -> Vec<Arg> {
    let run = RunArgs::augment_args(Command::new("run"));
    let options = run.get_arguments();
    options
        .filter(|option| OPTIONS.contains(&option.get_id().as_str()))
        .cloned()
        .collect()
}

impl Args for Workload {
    fn augment_args(command: Command) -> Command {
        command.args(options())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Workload {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut arguments = Vec::new();
        for option in options() {
            let id = option.get_id().as_str();
            let Some(long) = option.get_long() else {
                continue;
            };
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let mut argument = OsString::from(format!("--{long}"));
            if option.get_action().takes_values() {
                for value in matches.get_raw(id).into_iter().flatten() {
                    argument.push("=");
                    argument.push(value);
                }
            }
            arguments.push(argument);
        }
        Ok(Self { arguments })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{self, Cli};

    fn compare(words: &[&str]) -> Result<Vec<OsString>, String> {
        let words = ["vapic", "compare"].iter().chain(words);
        let cli = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        let Some(cli::Command::Compare(args)) = cli.command else {
            panic!("compare was asked for")
        };
        Ok(args.workload.arguments().to_vec())
    }

    #[test]
    fn every_option_is_one_of_run() {
        assert_eq!(options().len(), OPTIONS.len());
    }

    #[test]
    fn what_was_typed_is_handed_on() {
        let typed = [
            "--scenario",
            "self",
            "--runs",
            "2",
            "--cmdline=-x y",
            "--cpus",
            "1",
        ];
        assert_eq!(
            compare(&typed),
            Ok(["--scenario=self", "--cpus=1", "--cmdline=-x y"]
                .map(OsString::from)
                .to_vec())
        );
        let linux = ["--linux", "--kernel", "vmlinuz"];
        assert_eq!(
            compare(&linux),
            Ok(["--kernel=vmlinuz", "--linux"].map(OsString::from).to_vec())
        );
        assert_eq!(compare(&[]), Ok(Vec::new()));
    }

    #[test]
    fn what_run_refuses_is_refused() {
        for wrong in [
            &["--cpus", "0"][..],
            &["--scenario", "dance"],
            &["--linux"],
            &["--apic", "kernel"],
            &["--report", "json"],
            &["--runs", "0"],
        ] {
            assert!(compare(wrong).is_err(), "{wrong:?}");
        }
    }
}
