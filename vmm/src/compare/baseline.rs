//! An earlier comparison, and how this one differs from it.

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::comparison::{Comparison, KIND, SCHEMA};
use super::figure::Unit;
use super::rows::Row;
use super::statistics::Statistics;

/// Far more than a comparison has that this program writes.
const MOST_BYTES: u64 = 1 << 30;

/// A baseline that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// There is nothing to read.
    #[error("cannot read the baseline {path:?}: give a file that `vapic compare --json` wrote")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error(
        "the baseline {path:?} is no comparison: give a file that `vapic compare --json` wrote"
    )]
    NoComparison {
        /// The path.
        path: PathBuf,
    },
    /// It is of a program that is newer than this one.
    #[error(
        "the baseline {path:?} has schema {schema}, and this program knows {SCHEMA}: make it again \
         with this program"
    )]
    Schema {
        /// The path.
        path: PathBuf,
        /// Its schema.
        schema: u32,
    },
}

/// An earlier comparison.
#[derive(Debug)]
pub(super) struct Baseline {
    path: PathBuf,
    then: Comparison,
}

/// A comparison beside an earlier one.
#[derive(Clone, Debug, Serialize)]
pub struct Against {
    /// The file of the earlier one.
    pub file: String,
    /// What else was different, one sentence each.
    pub differences: Vec<String>,
    /// The rows that both have, with a ratio.
    pub changes: Vec<Change>,
    /// Names of rows that only this one has with a ratio.
    pub only_now: Vec<String>,
    /// Names of rows that only the earlier one has with a ratio.
    pub only_then: Vec<String>,
}

/// A row now and then.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Its name: scenario, labels and figure.
    pub name: String,
    /// User space divided by kernel, now.
    pub ratio_now: Statistics,
    /// The same then.
    pub ratio_then: Statistics,
    /// The medians of the ratios, now divided by then.
    pub ratio_change: f64,
    /// Whether the spreads of the ratios have nothing in common; null if one of them is of a single
    /// pair, which has no spread.
    pub apart: Option<bool>,
    /// The medians on the user-space APIC, now divided by then, where both are above 0; times are
    /// divided as times, whatever TSC counted them.
    pub userspace_change: Option<f64>,
    /// The same on KVM's own, which tells how far the hosts differ.
    pub kernel_change: Option<f64>,
}

/// What every comparison says of itself, whatever its schema.
#[derive(Deserialize)]
struct Mark {
    kind: String,
    schema: u32,
}

impl Baseline {
    /// Reads it, and makes sure that it is one.
    pub(super) fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = read(path).map_err(|source| BaselineError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &[u8]) -> Result<Self, BaselineError> {
        let path = path.to_owned();
        match serde_json::from_slice(text) {
            Ok(Mark { kind, schema }) if kind == KIND && schema > SCHEMA => {
                Err(BaselineError::Schema { path, schema })
            }
            Ok(Mark { kind, .. }) if kind == KIND => match serde_json::from_slice(text) {
                Ok(then) => Ok(Self { path, then }),
                Err(_) => Err(BaselineError::NoComparison { path }),
            },
            _ => Err(BaselineError::NoComparison { path }),
        }
    }

    /// How `now` differs from it.
    pub(super) fn against(&self, now: &Comparison) -> Against {
        let then = &self.then;
        let ratios = |comparison: &Comparison| {
            let rows = comparison.rows.iter().filter(|row| row.ratio.is_some());
            rows.map(Row::name).collect::<Vec<_>>()
        };
        let (names_now, names_then) = (ratios(now), ratios(then));
        let missing = |of: &[String], others: &[String]| {
            let others: HashSet<&String> = others.iter().collect();
            let missing = of.iter().filter(|name| !others.contains(name));
            missing.cloned().collect()
        };
        let earlier: HashMap<_, _> = then.rows.iter().map(|row| (row.name(), row)).collect();
        let changes = now.rows.iter().filter_map(|row| {
            let earlier = earlier.get(&row.name())?;
            Change::new(row, earlier, [now.tsc_khz, then.tsc_khz])
        });
        Against {
            file: self.path.display().to_string(),
            differences: differences(now, then),
            changes: changes.collect(),
            only_now: missing(&names_now, &names_then),
            only_then: missing(&names_then, &names_now),
        }
    }
}

impl Change {
    fn new(now: &Row, then: &Row, [khz_now, khz_then]: [u64; 2]) -> Option<Self> {
        let (ratio_now, ratio_then) = (now.ratio?, then.ratio?);
        let unit = Unit::of(&now.figure);
        let change = |now: Option<f64>, then: Option<f64>| {
            let figure = |value, khz| unit.microseconds(value, khz).unwrap_or(value);
            let (now, then) = (figure(now?, khz_now), figure(then?, khz_then));
            let change = now / then;
            (now > 0.0 && then > 0.0 && change.is_finite()).then_some(change)
        };
        Some(Self {
            name: now.name(),
            ratio_change: change_of(ratio_now.median, ratio_then.median)?,
            apart: (ratio_now.count > 1 && ratio_then.count > 1)
                .then(|| !ratio_now.overlaps(&ratio_then)),
            userspace_change: change(now.userspace_median, then.userspace_median),
            kernel_change: change(now.kernel_median, then.kernel_median),
            ratio_now,
            ratio_then,
        })
    }
}

fn change_of(now: f64, then: f64) -> Option<f64> {
    let change = now / then;
    change.is_finite().then_some(change)
}

/// Only a regular file has an end that is certain to come.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = Vec::new();
    File::open(path)?.take(MOST_BYTES).read_to_end(&mut text)?;
    Ok(text)
}

/// What of the surroundings is different: then the figures may differ because of that.
fn differences(now: &Comparison, then: &Comparison) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, now: &dyn Display, then: &dyn Display| {
        let (now, then) = (now.to_string(), then.to_string());
        if now != then {
            differences.push(format!("{what}: {} now, {} then", named(now), named(then)));
        }
    };
    let (host, earlier) = (&now.host, &then.host);
    compare("host CPU", &host.cpu_model, &earlier.cpu_model);
    compare("host CPUs", &host.cpus, &earlier.cpus);
    compare("host kernel", &host.kernel, &earlier.kernel);
    compare("host virtualized", &host.virtualized, &earlier.virtualized);
    let allowed = |comparison: &Comparison| comparison.affinity.allowed_cpus.clone();
    compare("CPUs allowed", &allowed(now), &allowed(then));
    compare("TSC kHz", &now.tsc_khz, &then.tsc_khz);
    compare("version", &now.version, &then.version);
    let (subject, earlier) = (&now.subject, &then.subject);
    compare("scenario", &subject.scenario, &earlier.scenario);
    compare("kernel", &subject.kernel, &earlier.kernel);
    compare("APIC mode", &subject.apic_mode, &earlier.apic_mode);
    compare("vCPUs", &subject.cpus, &earlier.cpus);
    let memory = |bytes| bytes >> 20;
    compare(
        "guest MiB",
        &memory(subject.memory_bytes),
        &memory(earlier.memory_bytes),
    );
    let typed = |arguments: &[String]| arguments.join(" ");
    compare(
        "options",
        &typed(&subject.arguments),
        &typed(&earlier.arguments),
    );
    differences
}

fn named(value: String) -> String {
    match value.as_str() {
        "" => "none".to_owned(),
        _ => value,
    }
}

#[cfg(test)]
mod tests;
