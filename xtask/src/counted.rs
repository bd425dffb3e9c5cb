//! A command whose output is passed on as it comes, and whose tests are counted from it.

use std::io::{BufRead, BufReader, Read, Write};
use std::ops::AddAssign;
use std::process::{Command, Stdio};
use std::thread;

/// How many tests there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Those that passed.
    pub(crate) passed: u64,
    /// Those that did not, for whatever reason.
    pub(crate) failed: u64,
    /// Those that were left out.
    pub(crate) skipped: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// What runs tests, hence how its closing lines read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `cargo test`: a line for each program.
    CargoTest,
    /// cargo-nextest: one line. It shows the output of a failed test, with that program's own line.
    Nextest,
}

/// Runs a test runner; a failure that no test accounts for is one more failed test, and so is a
/// runner that ran none.
pub(crate) fn tests(runner: Runner, command: Command) -> Count {
    tests_shown_on(runner, command, std::io::stdout(), std::io::stderr())
}

fn tests_shown_on(
    runner: Runner,
    mut command: Command,
    out: impl Write + Send,
    err: impl Write,
) -> Count {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            eprintln!("{command:?} does not start: {error}");
            return Count {
                failed: 1,
                ..Count::default()
            };
        }
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut count = thread::scope(|scope| {
        let out = scope.spawn(|| pass_on(runner, stdout, out));
        let mut count = pass_on(runner, stderr, err);
        count += out.join().expect("no panic");
        count
    });
    let succeeded = child.wait().is_ok_and(|status| status.success());
    if count.failed == 0 && (!succeeded || count.passed == 0) {
        count.failed = 1;
    }
    count
}

/// Copies a stream line by line and sums up the runners' closing lines in it.
fn pass_on(runner: Runner, from: Option<impl Read>, mut to: impl Write) -> Count {
    let mut count = Count::default();
    let Some(from) = from else { return count };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
        // Where nobody looks, the tests go on all the same.
        let _ = to.write_all(&line).and_then(|()| to.flush());
        count += runner
            .closing_line(&String::from_utf8_lossy(&line))
            .unwrap_or_default();
        line.clear();
    }
    count
}

impl Runner {
    /// What a closing line says; `None` for any other line.
    fn closing_line(self, line: &str) -> Option<Count> {
        let line = line.trim_end();
        match self {
            Self::CargoTest => {
                let result = line.strip_prefix("test result: ")?;
                let (_verdict, numbers) = result.split_once(". ")?;
                Some(Count {
                    passed: number_before(numbers, "passed")?,
                    failed: number_before(numbers, "failed")?,
                    skipped: number_before(numbers, "ignored")?,
                })
            }
            Self::Nextest => {
                let (_time, numbers) = line
                    .trim_start()
                    .strip_prefix("Summary [")?
                    .split_once(']')?;
                let (run, numbers) = numbers.split_once(" run: ")?;
                // `57 tests`, or `20/57 tests` if the run was broken off.
                let mut all = run.split([' ', '/']).filter_map(|word| word.parse().ok());
                let passed = number_before(numbers, "passed").unwrap_or(0);
                Some(Count {
                    passed,
                    failed: all
                        .next_back()
                        .and_then(|all: u64| all.checked_sub(passed))?,
                    skipped: number_before(numbers, "skipped").unwrap_or(0),
                })
            }
        }
    }
}

/// The number in front of a word, as in `3 passed`.
fn number_before(text: &str, word: &str) -> Option<u64> {
    let words: Vec<_> = text
        .split([' ', ',', ';', '(', ')'])
        .filter(|word| !word.is_empty())
        .collect();
    let pairs = words.windows(2);
    pairs
        .filter(|pair| pair[1] == word)
        .find_map(|pair| pair[0].parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::sink;

    use super::*;

    fn count(passed: u64, failed: u64, skipped: u64) -> Option<Count> {
        Some(Count {
            passed,
            failed,
            skipped,
        })
    }

    #[test]
    fn closing_lines_of_cargo_test() {
        let line = "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; \
                    finished in 0.00s\n";
        assert_eq!(Runner::CargoTest.closing_line(line), count(5, 0, 1));
        let line = "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Runner::CargoTest.closing_line(line), count(0, 2, 0));
    }

    #[test]
    fn closing_lines_of_nextest() {
        for (line, expected) in [
            (
                "     Summary [  20.393s] 57 tests run: 57 passed, 1 skipped\n",
                count(57, 0, 1),
            ),
            (
                "Summary [   0.1s] 1 test run: 1 passed, 0 skipped",
                count(1, 0, 0),
            ),
            (
                "Summary [   2.1s] 9 tests run: 6 passed (1 slow), 2 failed, 1 timed out, 0 skipped",
                count(6, 3, 0),
            ),
            (
                "Summary [   2.1s] 20/57 tests run: 19 passed, 1 failed, 3 skipped",
                count(19, 38, 3),
            ),
            (
                "Summary [   2.1s] 4 tests run: 0 passed, 4 failed, 0 skipped",
                count(0, 4, 0),
            ),
        ] {
            assert_eq!(Runner::Nextest.closing_line(line), expected, "{line}");
        }
    }

    #[test]
    fn other_lines() {
        for line in [
            "",
            "3 passed",
            "test a ... ok",
            "Summary",
            "test result: ok",
            "running 3 tests",
        ] {
            assert_eq!(Runner::CargoTest.closing_line(line), None, "{line}");
            assert_eq!(Runner::Nextest.closing_line(line), None, "{line}");
        }
    }

    #[test]
    fn the_output_of_a_failed_test_is_not_counted() {
        let shown =
            "test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Runner::Nextest.closing_line(shown), None);
    }

    #[test]
    fn a_runner_that_fails_or_runs_nothing_is_a_failed_test() {
        let sh = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            tests_shown_on(Runner::Nextest, command, sink(), sink())
        };
        let summary = "echo 'Summary [ 1s] 2 tests run: 2 passed, 0 skipped' >&2";
        assert_eq!(Some(sh(summary)), count(2, 0, 0));
        assert_eq!(Some(sh(&format!("{summary}; exit 1"))), count(2, 1, 0));
        assert_eq!(Some(sh("true")), count(0, 1, 0));
        let nowhere = Command::new("/nowhere/runner");
        assert_eq!(
            Some(tests_shown_on(Runner::Nextest, nowhere, sink(), sink())),
            count(0, 1, 0)
        );
    }
}
