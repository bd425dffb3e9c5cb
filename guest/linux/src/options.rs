//! What the kernel command line asks for: words that begin with `vapic.`.
//!
//! The kernel takes a word with a dot for a parameter of a module and leaves it alone.
//!
//! | word | meaning | default |
//! |---|---|---|
//! | `vapic.only=munmap,futex_wake` | these workloads; `none` boots and switches off | all |
//! | `vapic.sharers=1,3` | so many threads beside the one that acts | 1 to all others; beyond 4, powers of 2 and all others |
//! | `vapic.pages=1,33,512` | so many pages, where it matters | 1, 33 and 512 |
//! | `vapic.iterations=200` | repetitions of each operation | 10 |
//! | `vapic.complaints=fail` | a line of the log that complains about APICs or timers fails the run | it is printed |

use std::fmt;
use std::str::FromStr;

use crate::workload::Workload;

const PREFIX: &str = "vapic.";

/// What shall be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// Which workloads.
    pub(crate) only: Vec<Workload>,
    /// How many threads share, if not the default of this machine.
    sharers: Option<Vec<usize>>,
    /// How many pages.
    pub(crate) pages: Vec<usize>,
    /// How often each operation is done.
    pub(crate) iterations: usize,
    /// Whether it is a failure that the kernel complains.
    pub(crate) complaints_fail: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            only: Workload::ALL.to_vec(),
            sharers: None,
            // One page; the most that Linux drops one by one; one whole page table.
            pages: vec![1, 33, 512],
            // Where vCPUs share host processors, a shootdown waits for a time slice of each target.
            iterations: 10,
            complaints_fail: false,
        }
    }
}

/// Most repetitions, and most pages: beyond them nothing new is learned.
const MOST: usize = 1_000_000;

/// A word that cannot be followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invalid {
    word: String,
    wanted: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { word, wanted } = self;
        write!(f, "'{word}' on the command line: give {wanted}")
    }
}

impl std::error::Error for Invalid {}

impl Options {
    /// Reads a command line; words that are not ours are left to others.
    pub(crate) fn parse(line: &str) -> Result<Self, Invalid> {
        let mut options = Self::default();
        for word in line.split_whitespace() {
            let Some(ours) = word.strip_prefix(PREFIX) else {
                continue;
            };
            let invalid = |wanted: String| Invalid {
                word: word.to_owned(),
                wanted,
            };
            let (key, value) = ours.split_once('=').unwrap_or((ours, ""));
            let number = |least| list(value, |number: &usize| (least..=MOST).contains(number));
            match key {
                "only" if value == "none" => options.only = Vec::new(),
                "only" => {
                    options.only = list(value, |_| true).ok_or_else(|| {
                        let names = Workload::ALL.map(Workload::name).join(",");
                        invalid(format!("{PREFIX}only=none, or some of {names}"))
                    })?;
                }
                "sharers" => {
                    options.sharers = Some(number(0).ok_or_else(|| {
                        invalid(format!("{PREFIX}sharers= numbers, such as 1,3"))
                    })?);
                }
                "pages" => {
                    options.pages = number(1).ok_or_else(|| {
                        invalid(format!("{PREFIX}pages= numbers from 1 to {MOST}"))
                    })?;
                }
                "iterations" => {
                    options.iterations = match number(1).as_deref() {
                        Some(&[iterations]) => iterations,
                        _ => {
                            let wanted = format!("{PREFIX}iterations= a number from 1 to {MOST}");
                            return Err(invalid(wanted));
                        }
                    };
                }
                "complaints" if value == "fail" => options.complaints_fail = true,
                "complaints" => return Err(invalid(format!("{PREFIX}complaints=fail"))),
                _ => {
                    let known = ["only", "sharers", "pages", "iterations", "complaints"];
                    let known = known.map(|key| format!("{PREFIX}{key}=")).join(", ");
                    return Err(invalid(format!("one of {known}")));
                }
            }
        }
        Ok(options)
    }

    /// How many threads share, on a machine with so many processors: never more than there are
    /// others.
    pub(crate) fn sharers(&self, cpus: usize) -> Vec<usize> {
        let others = cpus.saturating_sub(1);
        match &self.sharers {
            Some(asked) => asked.iter().copied().filter(|&n| n <= others).collect(),
            // No other processor: what the operation costs where nobody is to be told.
            None if others == 0 => vec![0],
            None if others <= 4 => (1..=others).collect(),
            None => (0..usize::BITS)
                .map(|power| 1 << power)
                .take_while(|&sharers| sharers < others)
                .chain([others])
                .collect(),
        }
    }
}

/// The items of a list, each once: a phase is told from the others by them.
fn list<T: FromStr + PartialEq>(value: &str, accept: impl Fn(&T) -> bool) -> Option<Vec<T>> {
    let mut items = Vec::new();
    for item in value.split(',') {
        let item = item.parse().ok().filter(&accept)?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> String {
        Options::parse(line).expect_err("invalid").to_string()
    }

    #[test]
    fn words_of_others_are_left_alone() {
        let line = "console=ttyS0 quiet vapicx.only=9 nox2apic";
        assert_eq!(Options::parse(line), Ok(Options::default()));
    }

    #[test]
    fn words_are_followed() {
        let line = "vapic.only=munmap,mprotect vapic.pages=1 vapic.iterations=7 vapic.sharers=1,3 \
                    vapic.complaints=fail";
        let options = Options::parse(line).expect("valid");
        assert!(options.complaints_fail && !Options::default().complaints_fail);
        assert_eq!(options.only, [Workload::Munmap, Workload::Mprotect]);
        assert_eq!(
            (options.pages.as_slice(), options.iterations),
            (&[1][..], 7)
        );
        assert_eq!(options.sharers(4), [1, 3]);
        assert_eq!(options.sharers(2), [1]);
        let none = Options::parse("vapic.only=none").expect("valid");
        assert!(none.only.is_empty());
        let twice = Options::parse("vapic.pages=33,1,33").expect("valid");
        assert_eq!(twice.pages, [33, 1]);
    }

    #[test]
    fn every_machine_has_its_sharers() {
        let options = Options::default();
        assert_eq!(options.sharers(1), [0]);
        assert_eq!(options.sharers(2), [1]);
        assert_eq!(options.sharers(4), [1, 2, 3]);
        assert_eq!(options.sharers(8), [1, 2, 4, 7]);
        assert_eq!(options.sharers(9), [1, 2, 4, 8]);
    }

    #[test]
    fn a_wrong_word_is_named_with_the_way_out() {
        assert!(message("vapic.only=munmap,x").contains("some of munmap,mprotect"));
        assert!(message("vapic.iterations=0").contains("a number from 1 to"));
        assert!(message("vapic.iterations=1,2").contains("'vapic.iterations=1,2'"));
        assert!(message("vapic.complaints=no").contains("give vapic.complaints=fail"));
        assert!(message("vapic.pages=").contains("vapic.pages= numbers"));
        assert!(message("vapic.color=red").contains("one of vapic.only=, vapic.sharers="));
    }
}
