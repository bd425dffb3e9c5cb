//! The analysis for people, in the columns of the report.

use super::slowest::{Story, StoryTarget};
use super::stages::{NAMES, StageSpread};
use super::{Analysis, FateCount, Traffic};
use crate::observe::report::columns::{Columns, microseconds, sum};

/// Most lines of a table that grows with vCPUs or vectors.
const MOST_LINES: usize = 16;
/// Most targets of one IPI whose way is shown.
const MOST_TARGETS: usize = 8;

impl Analysis {
    /// As text, ending in a newline; sections without content are left out.
    #[must_use]
    pub fn to_table(&self) -> String {
        let mut sections = vec![
            self.stages(),
            traffic(
                "Senders, busiest first",
                ["sender", "IPIs", "deliveries"],
                &self.senders,
                false,
            ),
            traffic(
                "Victims, most interrupted first",
                ["vCPU", "sent to it", "injected"],
                &self.victims,
                true,
            ),
            self.fates(),
            self.shootdowns(),
            self.slowest(),
        ];
        sections.retain(|section| !section.is_empty());
        sections.join("\n")
    }

    fn stages(&self) -> String {
        let header = StageSpread::COLUMNS;
        let mut columns = Columns::new("Stages of a delivery that was injected", 1, header);
        for stage in self.stages.0.iter().filter(|stage| stage.count != 0) {
            let name = [stage.stage.to_owned(), stage.count.to_string()];
            columns.row(name.into_iter().chain(stage.times_ns().map(microseconds)));
        }
        columns.text()
    }

    fn fates(&self) -> String {
        let header = ["kind", "vector", "became", "count"];
        let mut columns = Columns::new("What became of deliveries", 3, header);
        let mut fates: Vec<&FateCount> = self.fates.iter().collect();
        fates.sort_by_key(|fate| std::cmp::Reverse(fate.count));
        for fate in fates.iter().take(MOST_LINES) {
            columns.row([
                fate.kind.to_owned(),
                fate.vector
                    .map_or_else(String::new, |vector| format!("{vector:#04x}")),
                fate.fate.replace('_', " "),
                fate.count.to_string(),
            ]);
        }
        note_rest(&mut columns, fates.len());
        columns.text()
    }

    fn shootdowns(&self) -> String {
        let header = [
            "targets",
            "groups",
            "IPIs",
            "sender p50",
            "all ended p50",
            "p99",
        ];
        let title = "Shootdowns: IPIs of one sender on one vector, by number of targets";
        let mut columns = Columns::new(title, 0, header);
        for cost in self.shootdowns.iter().take(MOST_LINES) {
            columns.row([
                cost.targets.to_string(),
                cost.groups.to_string(),
                cost.ipis.to_string(),
                microseconds(cost.sender_p50_ns),
                microseconds(cost.all_ended_p50_ns),
                microseconds(cost.all_ended_p99_ns),
            ]);
        }
        note_rest(&mut columns, self.shootdowns.len());
        columns.text()
    }

    fn slowest(&self) -> String {
        let mut header = vec!["IPI", "sent at", "whole", "target", "kick", "became"];
        header.extend(NAMES);
        let title = "The slowest IPIs, from the sender's exit to the last end";
        let mut columns = Columns::new(title, 1, header);
        for story in &self.slowest {
            let shown = story.targets.iter().take(MOST_TARGETS).enumerate();
            shown.for_each(|(index, target)| columns.row(line(story, target, index == 0)));
            if story.targets.len() > MOST_TARGETS {
                let more = story.targets.len() - MOST_TARGETS;
                columns.row([String::new(), format!("and {more} more targets")]);
            }
        }
        columns.text()
    }
}

fn line(story: &Story, target: &StoryTarget, first: bool) -> Vec<String> {
    let sender = name(story.sender);
    let mut cells = if first {
        vec![
            format!("{sender} {} {:#04x}", story.delivery, story.vector),
            sum(story.sent_ns),
            microseconds(story.whole_ns),
        ]
    } else {
        vec![String::new(); 3]
    };
    cells.extend([
        name(Some(target.vcpu)),
        target.kick.unwrap_or("-").to_owned(),
        target.fate.replace('_', " "),
    ]);
    let stage = |ticks: Option<u64>| ticks.map_or_else(|| "-".to_owned(), microseconds);
    cells.extend(target.stages_ns.map(stage));
    cells
}

fn traffic(title: &str, header: [&str; 3], traffic: &[Traffic], served: bool) -> String {
    let served_header = served.then_some("in service");
    let mut columns = Columns::new(title, 1, header.into_iter().chain(served_header));
    for of in traffic.iter().take(MOST_LINES) {
        let counts = [
            name(of.vcpu),
            of.ipis.to_string(),
            of.deliveries.to_string(),
        ];
        columns.row(
            counts
                .into_iter()
                .chain(served.then(|| sum(of.in_service_ns))),
        );
    }
    note_rest(&mut columns, traffic.len());
    columns.text()
}

fn name(vcpu: Option<usize>) -> String {
    vcpu.map_or_else(|| "devices".to_owned(), |vcpu| format!("vCPU {vcpu}"))
}

fn note_rest(columns: &mut Columns, all: usize) {
    if all > MOST_LINES {
        columns.note(format!(
            "The first {MOST_LINES} of {all}; the JSON report has all."
        ));
    }
}
