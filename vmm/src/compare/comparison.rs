//! A comparison: what was run, every run's outcome, and the rows made of their figures.

use serde::{Deserialize, Serialize};

use super::affinity::Affinity;
use super::baseline::Against;
use super::rows::Row;
use crate::observe::report::{ApicKind, Host, Status};

/// Number of the JSON's schema. Units are in the names, and a figure's is in the guest's name for
/// it; a name that has been released keeps its meaning.
pub(super) const SCHEMA: u32 = 1;

/// What the JSON calls itself, so that no other file is taken for a comparison.
pub(super) const KIND: &str = "vapic-compare";

/// All of a comparison.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// That it is one: always the same word.
    pub kind: String,
    /// Number of the schema.
    pub schema: u32,
    /// Version of this program.
    pub version: String,
    /// What was run.
    pub subject: Subject,
    /// The machine below.
    pub host: Host,
    /// Its processors that the runs could use.
    pub affinity: Affinity,
    /// Its load average over a minute before the first run: what else it had to do.
    #[serde(default)]
    pub host_load: Option<f64>,
    /// Rate of the TSC that the guest counted cycles of.
    pub tsc_khz: u64,
    /// Pairs of runs that were asked for.
    pub pairs: usize,
    /// From the start of the first run to the end of the last.
    pub duration_ns: u64,
    /// Whether the user ended it before the last run.
    pub interrupted: bool,
    /// The runs in their order.
    pub runs: Vec<RunOutcome>,
    /// The figures of the runs that passed.
    pub rows: Vec<Row>,
    /// Figures that were too many to keep.
    pub dropped_figures: u64,
    /// An earlier comparison beside this one.
    #[serde(skip_deserializing)]
    pub against: Option<Against>,
}

/// What was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// The options of `vapic run` that were given.
    pub arguments: Vec<String>,
    /// The scenario; empty for a guest that has none.
    pub scenario: String,
    /// The guest's kernel; empty for the one inside this program.
    pub kernel: String,
    /// The modes that the guest was told to use: `xapic`, `x2apic` or `both`.
    pub apic_mode: String,
    /// Number of vCPUs.
    pub cpus: usize,
    /// Guest memory.
    pub memory_bytes: u64,
}

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// Its pair, from 0.
    pub pair: usize,
    /// Whose APIC it had.
    pub apic: ApicKind,
    /// How it is judged.
    pub status: Status,
    /// What is wrong, one sentence each.
    pub reasons: Vec<String>,
    /// From the first entry into the guest to the end, if it came to that.
    pub duration_ns: Option<u64>,
}

impl Comparison {
    /// As JSON: one object on one line, ending in a newline.
    ///
    /// # Panics
    ///
    /// Never: every map has string keys and no number is infinite.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).expect("a comparison has string keys only");
        json.push('\n');
        json
    }

    /// The runs that did not pass, a line for each reason.
    pub fn failures(&self) -> impl Iterator<Item = String> {
        let runs = self.runs.iter().filter(|run| run.status != Status::Passed);
        runs.flat_map(|run| {
            run.reasons.iter().map(|reason| {
                let (pair, pairs) = (run.pair + 1, self.pairs);
                format!("pair {pair} of {pairs}, {}: {reason}", apic_name(run.apic))
            })
        })
    }

    /// The command's exit code: 0 if every run passed and something can be compared, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let passed = self.runs.iter().all(|run| run.status == Status::Passed);
        u8::from(!passed || self.complete_pairs() == 0)
    }

    /// Pairs of which both runs passed.
    #[must_use]
    pub fn complete_pairs(&self) -> usize {
        let passed = |pair| {
            let runs = self.runs.iter().filter(move |run| run.pair == pair);
            runs.filter(|run| run.status == Status::Passed).count() == 2
        };
        (0..self.pairs).filter(|pair| passed(*pair)).count()
    }
}

/// Whose APIC, for people.
pub(super) const fn apic_name(apic: ApicKind) -> &'static str {
    match apic {
        ApicKind::Userspace => "user-space APIC",
        ApicKind::Kernel => "KVM's own APIC",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A comparison of two pairs that passed.
    pub(in crate::compare) fn comparison(rows: Vec<Row>) -> Comparison {
        let run = |(pair, apic)| RunOutcome {
            pair,
            apic,
            status: Status::Passed,
            reasons: Vec::new(),
            duration_ns: Some(100),
        };
        let (ours, kernels) = (ApicKind::Userspace, ApicKind::Kernel);
        Comparison {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            version: "0.1.0".to_owned(),
            subject: Subject {
                arguments: vec!["--scenario=ping".to_owned()],
                scenario: "ping".to_owned(),
                kernel: String::new(),
                apic_mode: "x2apic".to_owned(),
                cpus: 2,
                memory_bytes: 128 << 20,
            },
            host: Host {
                cpu_model: "Example CPU".to_owned(),
                cpus: 2,
                kernel: "6.18".to_owned(),
                virtualized: false,
            },
            affinity: Affinity {
                allowed_cpus: "0-1".to_owned(),
                online_cpus: "0-1".to_owned(),
                pinned: false,
            },
            host_load: Some(0.25),
            tsc_khz: 1_000_000,
            pairs: 2,
            duration_ns: 1_500_000_000,
            interrupted: false,
            runs: [(0, ours), (0, kernels), (1, kernels), (1, ours)]
                .map(run)
                .to_vec(),
            rows,
            dropped_figures: 0,
            against: None,
        }
    }

    #[test]
    fn the_json_has_these_keys() {
        let rows = crate::compare::rows::tests::rows(&[&[("halt", Some(4.0), Some(2.0))]]);
        let json: serde_json::Value = serde_json::from_str(&comparison(rows).to_json()).unwrap();
        assert_eq!(
            (&json["kind"], &json["schema"]),
            (&KIND.into(), &SCHEMA.into())
        );
        for pointer in [
            "/version",
            "/subject/arguments/0",
            "/subject/scenario",
            "/subject/kernel",
            "/subject/apic_mode",
            "/subject/cpus",
            "/subject/memory_bytes",
            "/host/cpu_model",
            "/affinity/allowed_cpus",
            "/affinity/online_cpus",
            "/affinity/pinned",
            "/host_load",
            "/tsc_khz",
            "/pairs",
            "/duration_ns",
            "/interrupted",
            "/runs/0/pair",
            "/runs/0/apic",
            "/runs/0/status",
            "/runs/0/reasons",
            "/runs/0/duration_ns",
            "/rows/0/scenario",
            "/rows/0/labels/target",
            "/rows/0/figure",
            "/rows/0/repeat",
            "/rows/0/userspace/0",
            "/rows/0/kernel/0",
            "/rows/0/userspace_median",
            "/rows/0/kernel_median",
            "/rows/0/ratio/count",
            "/rows/0/ratio/median",
            "/rows/0/ratio/min",
            "/rows/0/ratio/max",
            "/dropped_figures",
        ] {
            assert!(
                json.pointer(pointer).is_some(),
                "{pointer} is missing in {json}"
            );
        }
    }
}
