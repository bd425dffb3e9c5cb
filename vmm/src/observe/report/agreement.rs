//! Whether a Linux guest counted what was injected into it: rows of /proc/interrupts against
//! injections by vector, in each phase and on each vCPU.
//!
//! The guest reads its rows before and after each mark, and marks again until the two are equal: then
//! both of us count the same time, and the counts must be equal. A guest that is never quiet gives up
//! and reads just inside the phase's two marks; what is injected between a mark and its reading is
//! then in our count alone. It tells how much it counted there as the *edge*: an excess of ours within
//! the edge is explained by it, and anything else is a difference.

use serde::Serialize;

use crate::linux::vectors::VectorMap;
use crate::observe::{Count, Derived, Fields, Kind, Phase, Snapshot, Value};

/// The rows that count IPIs, by the guest's key and the name in /proc/interrupts.
const ROWS: [(&str, &str); 4] = [("res", "RES"), ("cal", "CAL"), ("iwi", "IWI"), ("nmi", NMI)];
const NMI: &str = "NMI";

/// The scenario of the result that holds an edge.
const EDGE: &str = "edge";
/// The label by which an edge names its workload.
const WORKLOAD: &str = "workload";
/// The scenario of the result that tells the kernel's release, and its key.
const LINUX: &str = "linux";
const RELEASE: &str = "release";

/// How the two counts of a row compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// On every vCPU the same.
    Equal,
    /// Ours are higher by no more than the guest counted at the phase's edges.
    Edge,
    /// They differ.
    Different,
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
    /// What the guest counted at the phase's edges, by vCPU.
    pub edge: Vec<u64>,
    /// How they compare.
    pub verdict: Verdict,
}

/// What is needed to compare: the kernel's vectors, and the edges of all phases.
#[derive(Debug)]
pub(super) struct Comparison<'a> {
    map: &'static VectorMap,
    edges: Vec<&'a Fields>,
}

impl<'a> Comparison<'a> {
    /// `None` unless the guest said that it is a Linux whose vectors are known.
    pub(super) fn new(results: &'a [Derived]) -> Option<Self> {
        let of = |scenario| {
            results
                .iter()
                .filter(move |result| result.scenario == scenario)
        };
        let release = of(LINUX).find_map(|result| result.results.get(RELEASE))?;
        Some(Self {
            map: VectorMap::of_release(&release.to_string())?,
            edges: of(EDGE).map(|result| &result.results).collect(),
        })
    }

    /// The rows that the guest told in this phase.
    pub(super) fn of_phase(&self, phase: &Phase) -> Vec<RowAgreement> {
        let vcpus: Vec<_> = phase.vcpus().collect();
        let edge = self.edges.iter().find(|edge| is_of(edge, phase));
        ROWS.into_iter()
            .filter_map(|(key, row)| {
                let guest = list(phase.results.get(key)?)?;
                let edge = edge.and_then(|edge| list(edge.get(key)?));
                let injected = vcpus.iter().map(|vcpu| self.injected(vcpu, row)).collect();
                Some(RowAgreement::new(row, guest, injected, edge))
            })
            .collect()
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
    fn new(row: &'static str, guest: Vec<u64>, injected: Vec<u64>, edge: Option<Vec<u64>>) -> Self {
        let edge = edge.unwrap_or_else(|| vec![0; guest.len()]);
        let verdict = if guest == injected {
            Verdict::Equal
        } else if guest.len() == injected.len() && is_within(&guest, &injected, &edge) {
            Verdict::Edge
        } else {
            Verdict::Different
        };
        Self {
            row,
            guest,
            injected,
            edge,
            verdict,
        }
    }
}

fn is_within(guest: &[u64], injected: &[u64], edge: &[u64]) -> bool {
    let edge = edge.iter().copied().chain(std::iter::repeat(0));
    let mut counts = guest.iter().zip(injected).zip(edge);
    counts.all(|((guest, injected), edge)| {
        injected
            .checked_sub(*guest)
            .is_some_and(|excess| excess <= edge)
    })
}

/// Whether an edge is this phase's: it names the workload and has all of its labels.
fn is_of(edge: &Fields, phase: &Phase) -> bool {
    edge.get(WORKLOAD) == Some(&Value::Text(phase.scenario.clone()))
        && phase
            .labels
            .iter()
            .all(|(key, value)| edge.get(key) == Some(value))
}

/// The numbers of a list with commas; one alone is a number to the parser of markers.
fn list(value: &Value) -> Option<Vec<u64>> {
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

    fn verdict(guest: &[u64], injected: &[u64], edge: Option<&[u64]>) -> Verdict {
        let edge = edge.map(<[u64]>::to_vec);
        RowAgreement::new("RES", guest.to_vec(), injected.to_vec(), edge).verdict
    }

    #[test]
    fn counts_are_equal_or_explained_by_the_edge_or_different() {
        assert_eq!(verdict(&[0, 7], &[0, 7], None), Verdict::Equal);
        assert_eq!(verdict(&[0, 7], &[0, 8], Some(&[0, 1])), Verdict::Edge);
        for (guest, injected, edge) in [
            (&[0, 7][..], &[0, 8][..], None),
            (&[0, 7], &[0, 9], Some(&[0, 1][..])),
            (&[0, 7], &[1, 7], Some(&[0, 1])),
            (&[0, 7], &[0, 6], Some(&[0, 9])),
            (&[0, 7], &[0], None),
        ] {
            assert_eq!(verdict(guest, injected, edge), Verdict::Different);
        }
    }

    #[test]
    fn a_list_may_be_one_number() {
        assert_eq!(list(&Value::Whole(3)), Some(vec![3]));
        assert_eq!(list(&Value::Text("3,0,9".into())), Some(vec![3, 0, 9]));
        assert_eq!(list(&Value::Text("3,-1".into())), None);
    }
}
