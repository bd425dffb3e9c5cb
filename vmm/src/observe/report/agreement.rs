//! Whether a Linux guest counted what was injected into it: rows of /proc/interrupts against
//! injections by vector, in each phase and on each vCPU.
//!
//! The guest reads its rows before and after each mark, and marks again until the two are equal: then
//! both of us count the same time, and the counts must be equal.

use serde::Serialize;

use crate::linux::vectors::VectorMap;
use crate::observe::{Count, Derived, Fields, Kind, Phase, Snapshot, Value};

/// The rows that count IPIs, by the guest's key and the name in /proc/interrupts.
const ROWS: [(&str, &str); 4] = [("res", "RES"), ("cal", "CAL"), ("nmi", NMI), ("iwi", "IWI")];
const NMI: &str = "NMI";

/// The scenario of the result that tells the kernel's release, and its key.
const LINUX: &str = "linux";
const RELEASE: &str = "release";

/// How the two counts of a row compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// On every vCPU the same.
    Equal,
    /// They differ.
    Different,
    /// The guest did not tell the row, or not in a way that makes sense.
    Untold,
}

/// One row of /proc/interrupts in one phase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowAgreement {
    /// Its name in /proc/interrupts.
    pub row: &'static str,
    /// What the guest counted, by vCPU.
    pub guest: Vec<u64>,
    /// What was injected, by vCPU.
    pub injected: Vec<u64>,
    /// How they compare.
    pub verdict: Verdict,
}

/// The release of the guest's kernel among its results, if it is a Linux with our init.
pub(super) fn release<'a>(
    mut results: impl Iterator<Item = (&'a str, &'a Fields)>,
) -> Option<String> {
    let release = results.find_map(|(scenario, fields)| {
        let release = fields.get(RELEASE);
        release.filter(|_| scenario == LINUX)
    });
    release.map(ToString::to_string)
}

/// What is needed to compare: the kernel's vectors.
#[derive(Debug)]
pub(super) struct Comparison {
    map: &'static VectorMap,
}

impl Comparison {
    /// `None` unless the guest said that it is a Linux whose vectors are known.
    pub(super) fn new(results: &[Derived]) -> Option<Self> {
        let results = results.iter();
        let results = results.map(|result| (result.scenario.as_str(), &result.results));
        let map = VectorMap::of_release(&release(results)?)?;
        Some(Self { map })
    }

    /// The rows of a phase; none if it measures nothing.
    pub(super) fn of_phase(&self, phase: &Phase) -> Vec<RowAgreement> {
        if phase.results.get(super::MEDIAN).is_none() {
            return Vec::new();
        }
        let vcpus: Vec<_> = phase.settled().collect();
        let compare = |(key, row)| {
            let guest = phase.results.get(key).and_then(list);
            let injected = vcpus.iter().map(|vcpu| self.injected(vcpu, row));
            RowAgreement::new(row, guest, injected.collect())
        };
        ROWS.map(compare).into()
    }

    fn injected(&self, vcpu: &Snapshot, row: &'static str) -> u64 {
        if row == NMI {
            return vcpu.get(Count::Injected(Kind::Nmi));
        }
        let vectors = self.map.counted_in(row).map(|vector| vector.number);
        vectors
            .map(|vector| {
                vcpu.get(Count::InjectedVector(vector)) + vcpu.get(Count::LocalVector(vector))
            })
            .sum()
    }
}

impl RowAgreement {
    fn new(row: &'static str, guest: Option<Vec<u64>>, injected: Vec<u64>) -> Self {
        let verdict = match &guest {
            None => Verdict::Untold,
            Some(guest) if *guest == injected => Verdict::Equal,
            Some(_) => Verdict::Different,
        };
        Self {
            row,
            guest: guest.unwrap_or_default(),
            injected,
            verdict,
        }
    }
}

/// The numbers of a list with commas; one alone is a number to the parser of markers.
pub(super) fn list(value: &Value) -> Option<Vec<u64>> {
    value
        .to_string()
        .split(',')
        .map(|number| number.parse().ok())
        .collect()
}

/// Whether a result of a phase is one of the guest's rows, which tables leave to the comparison.
pub(crate) fn is_row(key: &str) -> bool {
    ["tlb", "loc"].contains(&key) || ROWS.iter().any(|&(known, _)| known == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_equal_or_different_or_not_told() {
        for (guest, injected, verdict) in [
            (Some(&[0, 7][..]), &[0, 7][..], Verdict::Equal),
            (Some(&[0, 7]), &[0, 8], Verdict::Different),
            (Some(&[0, 7]), &[0, 6], Verdict::Different),
            (Some(&[0, 7]), &[0], Verdict::Different),
            (None, &[0, 0], Verdict::Untold),
        ] {
            let guest = guest.map(<[u64]>::to_vec);
            let row = RowAgreement::new("RES", guest, injected.to_vec());
            assert_eq!(row.verdict, verdict, "{row:?}");
        }
    }

    #[test]
    fn a_list_may_be_one_number() {
        assert_eq!(list(&Value::Whole(3)), Some(vec![3]));
        assert_eq!(list(&Value::Text("3,0,9".into())), Some(vec![3, 0, 9]));
        assert_eq!(list(&Value::Text("3,-1".into())), None);
    }
}
