//! A command whose output is too much to show: it goes to a file, and its figures are shown.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::workspace;

/// How often a command is looked after.
const PULSE: Duration = Duration::from_millis(200);

/// How much of the end of a file the last lines are looked for in, in bytes.
const TAIL: u64 = 8 << 10;

/// Which lines of an output are worth showing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Figures {
    /// All that have one of these in them.
    All(&'static [&'static str]),
    /// The last that has this in it.
    Last(&'static str),
}

/// Runs a command to its end and prints its figures, or the last lines of its output if it failed; each `progress`, if any, the line that it has come to.
///
/// # Errors
///
/// The file cannot be written, or the command does not start.
pub(crate) fn run(
    name: &str,
    mut command: Command,
    figures: Figures,
    progress: Option<Duration>,
) -> anyhow::Result<Outcome> {
    let folder = workspace::target().join("logs");
    let path = folder.join(format!("{}.log", name.replace(": ", " ").replace(' ', "-")));
    let open = || {
        fs::create_dir_all(&folder)?;
        let file = File::create(&path)?;
        Ok::<_, std::io::Error>((file.try_clone()?, file))
    };
    let (out, err) = open().with_context(|| format!("cannot write {}", path.display()))?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .with_context(|| format!("{command:?} does not start"))?;
    let mut next = progress;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let passed = started.elapsed();
        if let (Some(due), Some(progress)) = (next, progress)
            && passed >= due
        {
            let line = last_lines(&path, 1)?;
            println!("   {name}: {:.0} min: {line}", passed.as_secs_f64() / 60.0);
            next = Some(passed + progress);
        }
        thread::sleep(PULSE);
    };
    let outcome = Outcome {
        succeeded: status.success(),
        figures: figures.of(BufReader::new(File::open(&path)?)),
        took: started.elapsed(),
    };
    if outcome.succeeded {
        for figure in &outcome.figures {
            println!("   {figure}");
        }
    } else {
        println!("{}", last_lines(&path, 40)?);
        println!("   {name}: {status}, all of it in {}", path.display());
    }
    Ok(outcome)
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Whether its exit code says so.
    pub(crate) succeeded: bool,
    /// The lines that were asked for.
    pub(crate) figures: Vec<String>,
    /// How long it took.
    pub(crate) took: Duration,
}

impl Figures {
    fn of(self, mut from: impl BufRead) -> Vec<String> {
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line);
            match self {
                Self::All(marks) if marks.iter().any(|mark| text.contains(mark)) => {
                    lines.push(text.trim().to_owned());
                }
                Self::Last(mark) if text.contains(mark) => lines = vec![text.trim().to_owned()],
                _ => {}
            }
            line.clear();
        }
        lines
    }
}

/// As many last lines as there are in the end of a file.
fn last_lines(path: &Path, count: usize) -> anyhow::Result<String> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(TAIL)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let lines: Vec<&str> = end.lines().collect();
    Ok(lines[lines.len().saturating_sub(count)..].join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(name: &str, script: &str) -> Outcome {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        run(name, command, Figures::All(&["DONE ", "total"]), None).expect("sh starts")
    }

    #[test]
    fn figures_are_the_lines_with_a_mark() {
        let script = "echo '#1 NEW cov: 1'; echo '#2 DONE cov: 7' >&2; echo ' total 3'";
        let outcome = sh("logged test figures", script);
        assert!(outcome.succeeded);
        assert_eq!(outcome.figures, ["#2 DONE cov: 7", "total 3"]);
    }

    #[test]
    fn the_last_figure_is_the_last_of_its_kind() {
        let output = "1 operations\n2 operations\nseed 3\n";
        let last = Figures::Last("operations").of(output.as_bytes());
        assert_eq!(last, ["2 operations"]);
        assert_eq!(Figures::Last("cov").of(output.as_bytes()), [""; 0]);
    }

    #[test]
    fn a_command_that_fails_is_one_that_failed() {
        assert!(!sh("logged test failure", "echo 'DONE '; exit 1").succeeded);
        let nowhere = Command::new("/nowhere/command");
        assert!(run("logged test start", nowhere, Figures::Last(""), None).is_err());
    }
}
