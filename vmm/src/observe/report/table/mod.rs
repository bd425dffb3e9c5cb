//! The report for people: plain text, no colour, columns as `perf kvm stat` has them.

mod columns;
mod exits;
mod ipis;
mod linux;
mod phases;
mod summary;

use super::Report;

pub(crate) use columns::Columns;

/// Up to this many vCPUs each gets a table of its exits; with more, a line.
const MOST_DETAILED: usize = 8;
/// Up to this many vCPUs have a row and a column in the matrix.
const MOST_IN_MATRIX: usize = 16;
/// Most vectors shown.
const MOST_VECTORS: usize = 32;
/// Most phases shown of one scenario.
const MOST_PHASES: usize = 120;
/// Most failures and results shown.
const MOST_LINES: usize = 20;

impl Report {
    /// The report as a table, ending in a newline.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut sections = vec![summary::summary(self), exits::totals(self)];
        if self.vcpus.len() > MOST_DETAILED {
            sections.push(exits::line_each(self));
        } else if self.vcpus.len() > 1 {
            sections.extend(self.vcpus.iter().map(exits::of_vcpu));
        }
        if self.ipis_observed {
            sections.extend([
                ipis::by_vcpu(self),
                ipis::by_mode(self),
                ipis::by_kind(self),
                ipis::by_vector(self),
                ipis::matrix(self),
                ipis::latencies(self),
                ipis::kicks(self),
                ipis::lost(self),
            ]);
        }
        sections.extend(linux::sections(self));
        sections.extend(phases::by_scenario(self));
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }
}

#[cfg(test)]
mod tests;
