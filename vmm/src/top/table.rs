//! One interval as plain text, in the tables of the report.

use super::figure::{age, microseconds, percent, rate};
use super::rates::{Numbered, Rates, VcpuRates, label};
use super::view::matrix::busiest;
use super::view::title;
use crate::control::About;
use crate::observe::report::Columns;

/// Up to this many vCPUs have a row and a column in the matrix.
const MOST_IN_MATRIX: usize = 16;

/// The tables, ending in a newline.
pub(super) fn text(about: &About, rates: &Rates) -> String {
    let head = format!(
        "{}, up {}, over {:.2} s\n",
        title(about, rates.vcpus.len()),
        age(rates.uptime_s),
        rates.interval_s
    );
    let mut sections = vec![head, vcpus(rates), exits(rates)];
    if rates.ipis_observed {
        sections.push(matrix(rates));
    }
    sections.retain(|section| !section.is_empty());
    sections.join("\n")
}

fn vcpus(rates: &Rates) -> String {
    let header = [
        "vCPU",
        "sent/s",
        "NMI/s",
        "INIT+SIPI/s",
        "injected/s",
        "NMI/s",
        "INIT+SIPI/s",
        "exits/s",
        "outside%",
        "asleep%",
        "exit us",
        "to inject us",
        "to EOI us",
    ];
    let mut columns = Columns::new("IPIs and exits by vCPU", 1, header);
    let mut row = |name: String, rates: &VcpuRates| {
        let [sent, injected] = [rates.sent_per_s, rates.injected_per_s];
        columns.row([
            name,
            rate(sent.vector),
            rate(sent.nmi),
            rate(sent.init_and_start_up),
            rate(injected.vector),
            rate(injected.nmi),
            rate(injected.init_and_start_up),
            rate(rates.exits_per_s),
            percent(Some(rates.outside_share)),
            percent(rates.asleep_share),
            microseconds(rates.exit_mean_ns),
            microseconds(rates.send_to_inject_mean_ns),
            microseconds(rates.send_to_end_mean_ns),
        ]);
    };
    row("all".to_owned(), &rates.total);
    for Numbered { vcpu, rates } in &rates.vcpus {
        row(vcpu.to_string(), rates);
    }
    columns.text()
}

fn exits(rates: &Rates) -> String {
    let mut columns = Columns::new("Exits", 1, ["cause", "per s", "mean us", "time%"]);
    for exits in rates.exits.iter().filter(|exits| exits.per_s > 0.0) {
        columns.row([
            label(&exits.cause).to_owned(),
            rate(exits.per_s),
            microseconds(exits.mean_ns),
            percent(Some(exits.outside_share)),
        ]);
    }
    columns.text()
}

fn matrix(rates: &Rates) -> String {
    let all: Vec<usize> = (0..rates.deliveries_per_s.len()).collect();
    let shown = busiest(rates, &all, MOST_IN_MATRIX);
    let title = "Deliveries per second, source (rows) x target (columns)";
    let targets = shown.iter().map(usize::to_string);
    let header = ["from".to_owned()].into_iter().chain(targets);
    let mut columns = Columns::new(title, 1, header);
    for &source in &shown {
        let row = rates.deliveries_per_s.get(source);
        let cells = shown
            .iter()
            .map(|&target| rate(row.and_then(|row| row.get(target)).copied().unwrap_or(0.0)));
        columns.row([source.to_string()].into_iter().chain(cells));
    }
    let devices: f64 = rates.deliveries_from_devices_per_s.iter().sum();
    if devices > 0.0 {
        columns.note(format!("From devices: {} per second.", rate(devices)));
    }
    if shown.len() < all.len() {
        columns.note(format!("The busiest {} of {}.", shown.len(), all.len()));
    }
    columns.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::top::example;
    use crate::top::interval::Interval;

    #[test]
    fn the_tables_say_what_happened() {
        let [earlier, later] = example::snapshots();
        let interval = Interval::between(&earlier, &later).unwrap();
        let text = text(&later.about, &Rates::new(&interval, &later, |_| true));
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        let has = |row: &[&str]| rows.iter().any(|known| known == row);
        assert!(
            text.starts_with("storm, 4 vCPUs, user-space APIC, x2apic, up 0:01:01, over 0.25 s")
        );
        assert!(has(&["APIC", "ICR", "20000", "30.00", "15.0"]), "{text}");
        assert!(has(&["0", "0", "8000", "2020", "0"]), "{text}");
        assert!(!text.contains("APIC SELF IPI"), "{text}");
        assert!(text.ends_with('\n') && !text.contains('\u{1b}'));
    }
}
