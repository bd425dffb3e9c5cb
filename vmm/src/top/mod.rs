//! `vapic top`: the rates of a running VM's IPIs and exits, live on a terminal or for a pipe.
//!
//! It asks the VM's control socket for its counters ([`crate::control`]) and shows what they grew
//! by. `interval` and `rates` are the arithmetic, `keys` and `view` the screen without a terminal,
//! `terminal` the loop around them.

#[cfg(test)]
mod example;
mod figure;
mod filter;
mod interval;
mod keys;
mod rates;
mod source;
mod table;
mod terminal;
mod view;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::Context;

use crate::cli::TopArgs;
use crate::control::snapshot::{SCHEMA, Snapshot};
use interval::Interval;
use rates::Rates;
use source::{Look, Source};

/// What is said when the VM is gone.
const ENDED: &str = "vapic: the VM has ended";

/// Why nothing can be shown; each is for the user to change.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// Nobody listens there.
    #[error("no VM at {path:?}: start one with vapic run --control {path:?}")]
    Nobody {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Another program listens there.
    #[error("what listens there is no VM of vapic: give the path of vapic run --control")]
    NotOurs,
    /// Another version listens there.
    #[error("the VM speaks schema {schema} and this program {SCHEMA}: use the vapic that runs it")]
    OtherSchema {
        /// Its schema.
        schema: u32,
    },
    /// The live view was asked for where there is no screen.
    #[error("standard output is no terminal: give --once for tables, or --raw for JSON lines")]
    NoTerminal,
}

/// `vapic top`.
///
/// # Errors
///
/// [`TopError`], and what the host refuses.
pub fn run(args: &TopArgs) -> anyhow::Result<ExitCode> {
    let source = Source::new(&args.socket);
    if args.raw {
        return lines(source, args);
    }
    if args.once {
        return once(source, args);
    }
    if !io::stdout().is_terminal() {
        return Err(TopError::NoTerminal.into());
    }
    terminal::watch(source, args.interval)
}

/// One interval as tables.
fn once(mut source: Source, args: &TopArgs) -> anyhow::Result<ExitCode> {
    let Some(earlier) = patient(&mut source)? else {
        return Ok(ended());
    };
    thread::sleep(args.interval);
    let Some(later) = patient(&mut source)? else {
        return Ok(ended());
    };
    let Some(interval) = Interval::between(&earlier, &later) else {
        return Ok(ended());
    };
    let rates = Rates::new(&interval, &later, |_| true);
    print(&table::text(&later.about, &rates))?;
    Ok(ExitCode::SUCCESS)
}

/// A line for each interval.
fn lines(mut source: Source, args: &TopArgs) -> anyhow::Result<ExitCode> {
    let mut earlier: Option<Snapshot> = None;
    let mut left = args.count.unwrap_or(u64::MAX);
    while left > 0 {
        let Some(later) = patient(&mut source)? else {
            return Ok(ended());
        };
        let interval = earlier
            .as_ref()
            .and_then(|earlier| Interval::between(earlier, &later));
        if let Some(interval) = interval {
            let rates = Rates::new(&interval, &later, |_| true);
            if !print(&(serde_json::to_string(&rates)? + "\n"))? {
                return Ok(ExitCode::SUCCESS);
            }
            left -= 1;
        }
        earlier = Some(later);
        if left > 0 {
            thread::sleep(args.interval);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The counters, however long they take; `None` once the VM has ended.
fn patient(source: &mut Source) -> Result<Option<Snapshot>, TopError> {
    loop {
        match source.look()? {
            Look::Counters(snapshot) => return Ok(Some(*snapshot)),
            Look::NoAnswer => {}
            Look::Ended => return Ok(None),
        }
    }
}

/// Says that the VM has ended, where it does not get among what is printed.
fn ended() -> ExitCode {
    eprintln!("{ENDED}");
    ExitCode::SUCCESS
}

/// Writes to standard output; `false` if its reader has seen enough.
fn print(text: &str) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other
            .map(|()| true)
            .context("cannot write to standard output"),
    }
}
