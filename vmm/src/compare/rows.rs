//! The figures of all runs, pair by pair: a row for each figure of a phase.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::figure::{self, Figure};
use super::statistics::Statistics;
use crate::observe::Fields;
use crate::observe::report::ApicKind;

/// Most rows that are kept; a guest may invent any number of phases.
const MOST_ROWS: usize = 1 << 14;

/// A figure of a phase, in every run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The scenario.
    pub scenario: String,
    /// What tells the phase from others of the scenario.
    pub labels: Fields,
    /// The guest's name for the figure, with its unit.
    pub figure: String,
    /// How many rows before it have the same scenario, labels and figure.
    pub repeat: usize,
    /// The figure on the user-space APIC by pair; null where a run has none.
    pub userspace: Vec<Option<f64>>,
    /// The same on KVM's own.
    pub kernel: Vec<Option<f64>>,
    /// The median of those on the user-space APIC.
    pub userspace_median: Option<f64>,
    /// The same on KVM's own.
    pub kernel_median: Option<f64>,
    /// User space divided by kernel in each pair that has both.
    pub ratio: Option<Statistics>,
}

impl Row {
    fn new(figure: Figure, repeat: usize, pairs: usize) -> Self {
        Self {
            scenario: figure.scenario,
            labels: figure.labels,
            figure: figure.name,
            repeat,
            userspace: vec![None; pairs],
            kernel: vec![None; pairs],
            userspace_median: None,
            kernel_median: None,
            ratio: None,
        }
    }

    fn conclude(&mut self) {
        self.userspace_median = statistics(&self.userspace).map(|figures| figures.median);
        self.kernel_median = statistics(&self.kernel).map(|figures| figures.median);
        let pairs = self.userspace.iter().zip(&self.kernel);
        // Of nothing, or of a difference below nothing, a ratio says nothing.
        let positive = |figure: &Option<f64>| figure.filter(|figure| *figure > 0.0);
        let both = pairs.filter_map(|(ours, kernels)| Some((positive(ours)?, positive(kernels)?)));
        self.ratio = Statistics::of(both.map(|(ours, kernels)| ours / kernels));
    }

    /// Whether all runs have the same, on both APICs: then it is the guest's choice rather than a
    /// measurement.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        let both = statistics(&self.userspace).zip(statistics(&self.kernel));
        both.is_some_and(|(ours, kernels)| {
            let ends = [ours.max, kernels.min, kernels.max];
            ends.iter().all(|end| end.total_cmp(&ours.min).is_eq())
        })
    }

    /// What tells it from every other row, in one line.
    #[must_use]
    pub fn name(&self) -> String {
        name(&self.scenario, &self.labels, &self.figure, self.repeat)
    }
}

fn statistics(figures: &[Option<f64>]) -> Option<Statistics> {
    Statistics::of(figures.iter().copied().flatten())
}

fn name(scenario: &str, labels: &Fields, figure: &str, repeat: usize) -> String {
    let line = figure::name(scenario, labels, figure);
    match repeat {
        0 => line,
        repeat => format!("{line} ({})", repeat + 1),
    }
}

/// Rows that grow run by run.
pub(super) struct Rows {
    rows: Vec<Row>,
    /// By name.
    index: HashMap<String, usize>,
    pairs: usize,
    dropped: u64,
}

impl Rows {
    pub(super) fn new(pairs: usize) -> Self {
        Self {
            rows: Vec::new(),
            index: HashMap::new(),
            pairs,
            dropped: 0,
        }
    }

    /// Takes in the figures of one run.
    pub(super) fn add(&mut self, pair: usize, apic: ApicKind, figures: Vec<Figure>) {
        let mut repeats = HashMap::<String, usize>::new();
        for figure in figures {
            let seen = figure::name(&figure.scenario, &figure.labels, &figure.name);
            let seen = repeats.entry(seen).or_default();
            let repeat = *seen;
            *seen += 1;
            let name = name(&figure.scenario, &figure.labels, &figure.name, repeat);
            let value = figure.value;
            let at = match self.index.get(&name) {
                Some(&at) => at,
                None if self.rows.len() < MOST_ROWS => {
                    self.rows.push(Row::new(figure, repeat, self.pairs));
                    self.index.insert(name, self.rows.len() - 1);
                    self.rows.len() - 1
                }
                None => {
                    self.dropped += 1;
                    continue;
                }
            };
            let row = &mut self.rows[at];
            let side = match apic {
                ApicKind::Userspace => &mut row.userspace,
                ApicKind::Kernel => &mut row.kernel,
            };
            side[pair] = Some(value);
        }
    }

    /// The rows in the order of their first appearance, and how many figures were too many.
    pub(super) fn conclude(mut self) -> (Vec<Row>, u64) {
        self.rows.iter_mut().for_each(Row::conclude);
        (self.rows, self.dropped)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::observe::Value;

    pub(in crate::compare) fn figure(target: &str, value: f64) -> Figure {
        let label = ("target".to_owned(), Value::Text(target.to_owned()));
        Figure {
            scenario: "ping".to_owned(),
            labels: [label].into_iter().collect(),
            name: "cycles_median".to_owned(),
            value,
        }
    }

    /// A target with its figures in user space and in the kernel.
    type Line<'a> = (&'a str, Option<f64>, Option<f64>);

    /// The rows of pairs.
    pub(in crate::compare) fn rows(pairs: &[&[Line<'_>]]) -> Vec<Row> {
        let mut rows = Rows::new(pairs.len());
        for (pair, lines) in pairs.iter().enumerate() {
            let side = |of: fn(&Line<'_>) -> Option<f64>| {
                let figures = lines.iter();
                figures
                    .filter_map(|line| Some(figure(line.0, of(line)?)))
                    .collect()
            };
            rows.add(pair, ApicKind::Userspace, side(|line| line.1));
            rows.add(pair, ApicKind::Kernel, side(|line| line.2));
        }
        rows.conclude().0
    }

    #[test]
    fn ratios_are_of_pairs() {
        // The host is twice as slow in the second pair, which the ratio does not see.
        let rows = rows(&[
            &[("halt", Some(30.0), Some(10.0))],
            &[("halt", Some(60.0), Some(20.0))],
            &[("halt", Some(20.0), Some(10.0))],
        ]);
        let [row] = &rows[..] else {
            panic!("one row: {rows:?}")
        };
        assert_eq!(row.userspace_median, Some(30.0));
        assert_eq!(row.kernel_median, Some(10.0));
        let ratio = Statistics {
            count: 3,
            median: 3.0,
            min: 2.0,
            max: 3.0,
        };
        assert_eq!(row.ratio, Some(ratio));
    }

    #[test]
    fn a_run_without_a_figure_leaves_the_others() {
        let rows = rows(&[
            &[("halt", Some(4.0), None), ("ring3", None, Some(5.0))],
            &[("halt", Some(6.0), Some(2.0))],
        ]);
        assert_eq!(rows[0].userspace, [Some(4.0), Some(6.0)]);
        assert_eq!(rows[0].kernel, [None, Some(2.0)]);
        assert_eq!(
            rows[0].ratio.map(|ratio| (ratio.count, ratio.median)),
            Some((1, 3.0))
        );
        assert_eq!(rows[1].name(), "ping target=ring3 cycles_median");
        assert_eq!(
            (rows[1].userspace_median, rows[1].kernel_median),
            (None, Some(5.0))
        );
        assert_eq!(rows[1].ratio, None);
    }

    #[test]
    fn equal_phases_are_told_apart_by_their_order() {
        let rows = rows(&[&[
            ("halt", Some(1.0), Some(1.0)),
            ("halt", Some(9.0), Some(3.0)),
        ]]);
        let ratios: Vec<_> = rows
            .iter()
            .map(|row| row.ratio.map(|ratio| ratio.median))
            .collect();
        assert_eq!(ratios, [Some(1.0), Some(3.0)]);
        assert_eq!(rows[1].name(), "ping target=halt cycles_median (2)");
    }

    #[test]
    fn nothing_and_less_have_no_ratio() {
        let rows = rows(&[&[
            ("halt", Some(3.0), Some(0.0)),
            ("ring3", Some(-3.0), Some(-1.0)),
        ]]);
        assert!(rows.iter().all(|row| row.ratio.is_none()), "{rows:?}");
    }

    #[test]
    fn what_no_run_changes_is_a_constant() {
        let rows = rows(&[
            &[("a", Some(2.0), Some(2.0)), ("b", Some(2.0), None)],
            &[("a", Some(2.0), Some(2.0)), ("c", Some(1.0), Some(2.0))],
        ]);
        let constant: Vec<_> = rows.iter().map(Row::is_constant).collect();
        assert_eq!(constant, [true, false, false]);
    }

    #[test]
    fn a_guest_cannot_make_rows_without_end() {
        let many = |count| {
            (0..count)
                .map(|number| figure(&number.to_string(), 1.0))
                .collect()
        };
        let mut rows = Rows::new(1);
        rows.add(0, ApicKind::Userspace, many(MOST_ROWS + 3));
        rows.add(0, ApicKind::Kernel, many(1));
        let (rows, dropped) = rows.conclude();
        assert_eq!((rows.len(), dropped), (MOST_ROWS, 3));
        assert!(rows[0].ratio.is_some());
    }
}
