//! The kernel command line: `key=value` separated by spaces.

use core::fmt;

use crate::ipi::{MAX_CPUS, Mode};
use crate::scenario::Scenario;

/// What the run shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// `scenario=`: one scenario, or the tour of all.
    pub(crate) scenario: Scenario,
    /// `mode=`: the APIC modes to run it in, in this order.
    pub(crate) modes: &'static [Mode],
    /// `cpus=`: processors to use, with APIC ids from 0.
    pub(crate) cpus: usize,
    /// `tsc_khz=`: rate of the time-stamp counter.
    pub(crate) tsc_khz: u64,
    /// `seconds=`: how long timed scenarios last, in microseconds.
    pub(crate) duration_us: u64,
    /// `iterations=`: rounds of a measurement, if not the scenario's own choice.
    pub(crate) iterations: Option<u32>,
    /// `fault=stale`: a shootdown announces the new value without remapping.
    pub(crate) stale: bool,
}

/// Why a command line cannot be followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error<'a> {
    /// The value of this key means nothing.
    Value(&'static str, &'a str),
    /// This key must be given.
    Missing(&'static str),
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value("scenario", name) => write!(f, "unknown scenario '{name}'"),
            Self::Value(key, value) => write!(f, "'{value}' is no value for {key}="),
            Self::Missing(key) => write!(f, "{key}= is missing"),
        }
    }
}

const BOTH: &[Mode] = &[Mode::Xapic, Mode::X2apic];

/// Long enough for some thousand interrupts, short enough for a tour.
const DEFAULT_DURATION_US: u64 = 300_000;

/// Longest accepted `seconds=`: a day.
const MAX_SECONDS: u64 = 86_400;

/// Reads a command line; keys that are not ours are left to others.
pub(crate) fn parse(line: &str) -> Result<Options, Error<'_>> {
    let mut options = Options {
        scenario: Scenario::Tour,
        modes: BOTH,
        cpus: 1,
        tsc_khz: 0,
        duration_us: DEFAULT_DURATION_US,
        iterations: None,
        stale: false,
    };
    for word in line.split_ascii_whitespace() {
        let Some((key, value)) = word.split_once('=') else {
            continue;
        };
        match key {
            "scenario" => {
                options.scenario = Scenario::named(value).ok_or(Error::Value("scenario", value))?;
            }
            "mode" => {
                options.modes = match value {
                    "xapic" => &[Mode::Xapic],
                    "x2apic" => &[Mode::X2apic],
                    "both" => BOTH,
                    _ => return Err(Error::Value("mode", value)),
                };
            }
            "cpus" => {
                let cpus = value
                    .parse()
                    .ok()
                    .filter(|cpus| (1..=MAX_CPUS).contains(cpus));
                options.cpus = cpus.ok_or(Error::Value("cpus", value))?;
            }
            "tsc_khz" => {
                let khz = value
                    .parse()
                    .ok()
                    .filter(|khz| (1..=100_000_000).contains(khz));
                options.tsc_khz = khz.ok_or(Error::Value("tsc_khz", value))?;
            }
            "seconds" => {
                options.duration_us = microseconds(value).ok_or(Error::Value("seconds", value))?;
            }
            "iterations" => {
                let count: u32 = value
                    .parse()
                    .map_err(|_| Error::Value("iterations", value))?;
                options.iterations = Some(count).filter(|&count| count != 0);
            }
            "fault" => {
                options.stale = match value {
                    "none" => false,
                    "stale" => true,
                    _ => return Err(Error::Value("fault", value)),
                };
            }
            _ => {}
        }
    }
    if options.tsc_khz == 0 {
        return Err(Error::Missing("tsc_khz"));
    }
    Ok(options)
}

/// Decimal seconds with at most six places.
fn microseconds(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || fraction.len() > 6 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: u64 = whole
        .parse()
        .ok()
        .filter(|&seconds| seconds <= MAX_SECONDS)?;
    let scale = (fraction.len()..6).fold(1, |scale, _| scale * 10);
    Some(seconds * 1_000_000 + fraction.parse::<u64>().ok()? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_tour_of_both_modes() {
        let options = parse("tsc_khz=2600000").unwrap();
        assert_eq!(options.scenario, Scenario::Tour);
        assert_eq!(options.modes, [Mode::Xapic, Mode::X2apic]);
        assert_eq!((options.cpus, options.duration_us), (1, 300_000));
        assert_eq!((options.iterations, options.stale), (None, false));
    }

    #[test]
    fn every_key_is_read() {
        let line = "scenario=shootdown mode=x2apic cpus=4 tsc_khz=1000 seconds=0.5 iterations=7 \
                    fault=stale";
        let options = parse(line).unwrap();
        assert_eq!(options.scenario, Scenario::Shootdown);
        assert_eq!(options.modes, [Mode::X2apic]);
        assert_eq!(
            (options.cpus, options.tsc_khz, options.duration_us),
            (4, 1000, 500_000)
        );
        assert_eq!((options.iterations, options.stale), (Some(7), true));
    }

    #[test]
    fn strangers_are_ignored() {
        assert!(parse("console=ttyS0 quiet tsc_khz=1 =x").is_ok());
    }

    #[test]
    fn iterations_zero_is_the_default() {
        assert_eq!(parse("tsc_khz=1 iterations=0").unwrap().iterations, None);
    }

    #[test]
    fn nonsense_is_named() {
        let message = |line| parse(line).unwrap_err().to_string();
        assert_eq!(
            message("scenario=dance tsc_khz=1"),
            "unknown scenario 'dance'"
        );
        assert_eq!(message("mode=x3apic"), "'x3apic' is no value for mode=");
        assert_eq!(message("cpus=0"), "'0' is no value for cpus=");
        assert_eq!(message("cpus=257"), "'257' is no value for cpus=");
        assert_eq!(
            message("seconds=1.2345678"),
            "'1.2345678' is no value for seconds="
        );
        assert_eq!(message("fault=no"), "'no' is no value for fault=");
        assert_eq!(message("cpus=2"), "tsc_khz= is missing");
    }

    #[test]
    fn seconds_may_have_a_fraction() {
        assert_eq!(microseconds("30"), Some(30_000_000));
        assert_eq!(microseconds("0.3"), Some(300_000));
        assert_eq!(microseconds("1.000001"), Some(1_000_001));
        for wrong in [
            "",
            ".",
            "1.",
            "-1",
            "1.-5",
            "1.+5",
            "1e3",
            "86401",
            "99999999999999999999",
        ] {
            assert_eq!(microseconds(wrong), None, "{wrong}");
        }
    }
}
