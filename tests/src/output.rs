//! What a run of the command left behind, and the judgements that many tests pass on it.

use std::ffi::OsString;
use std::fmt;

use crate::Report;

/// Characters shown of each end of a long stream.
const MOST_SHOWN: usize = 1500;

/// What a run left behind.
pub struct Output {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// What it was started with.
    pub arguments: Vec<OsString>,
}

impl Output {
    /// That the run passed, and its JSON report, which must be all of standard output.
    ///
    /// # Panics
    ///
    /// If it did not.
    #[must_use]
    pub fn passed(&self) -> Report {
        let report = self.report();
        assert_eq!(self.code, Some(0), "{self:?}");
        assert_eq!(report.status(), "passed", "{self:?}");
        report
    }

    /// The JSON report, which must be all of standard output: one document on one line.
    ///
    /// # Panics
    ///
    /// If it is not.
    #[must_use]
    pub fn report(&self) -> Report {
        self.did_not_panic();
        assert!(
            self.stdout.ends_with("}\n") && self.stdout.lines().count() == 1,
            "one JSON document on one line: {self:?}"
        );
        Report::parse(&self.stdout)
    }

    /// That it refused with this exit code and one line on standard error, and did nothing else.
    ///
    /// The line says what is wrong and what to do: it holds all of `words`.
    ///
    /// # Panics
    ///
    /// If it did not.
    pub fn refused(&self, code: i32, words: &[&str]) {
        self.did_not_panic();
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "one line: {self:?}");
        assert!(
            self.stderr.starts_with("vapic: ") && self.stderr.ends_with('\n'),
            "{self:?}"
        );
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in {self:?}");
        }
    }

    /// That nothing in it panicked: its exit code is one of its own, and no message says so.
    ///
    /// # Panics
    ///
    /// If something did.
    pub fn did_not_panic(&self) {
        assert!(matches!(self.code, Some(0..=2)), "{self:?}");
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

impl fmt::Debug for Output {
    /// The message of a failed test: the streams as they are, without their middle if it is long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "vapic {:?} ended with {:?}", self.arguments, self.code)?;
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            let characters: Vec<char> = text.chars().collect();
            write!(f, "{name}: ")?;
            match characters.split_at_checked(MOST_SHOWN) {
                Some((start, rest)) if rest.len() > MOST_SHOWN => {
                    let end = &rest[rest.len() - MOST_SHOWN..];
                    let (start, end): (String, String) =
                        (start.iter().collect(), end.iter().collect());
                    writeln!(f, "{start} [...] {end}")?;
                }
                _ => writeln!(f, "{text}")?,
            }
        }
        Ok(())
    }
}
