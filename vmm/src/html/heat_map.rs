//! Who sent to whom: the matrix of the report as a heat map, by orders of magnitude.

use maud::{Markup, html};

use super::colours::Colours;
use super::figure::{Section, Table, figure, nothing};
use super::quantity::{count, percent, short_count};
use crate::observe::report::{Matrix, Report};

/// Most rows and columns; with more vCPUs, each stands for several.
const MOST: usize = 32;
/// Most columns whose cells have their numbers in them.
const MOST_NUMBERED: usize = 10;

/// Deliveries from one row's source to one column's targets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    posted: u64,
    coalesced: u64,
}

impl Cell {
    const fn deliveries(self) -> u64 {
        self.posted.saturating_add(self.coalesced)
    }
}

/// The matrix, folded to a size that can be seen.
#[derive(Debug, PartialEq, Eq)]
struct Folded {
    columns: Vec<String>,
    rows: Vec<(String, Vec<Cell>)>,
}

impl Folded {
    fn new(matrix: &Matrix) -> Self {
        let vcpus = matrix.posted.len();
        let block = vcpus.div_ceil(MOST).max(1);
        let columns: Vec<_> = (0..vcpus)
            .step_by(block)
            .map(|first| match block {
                1 => first.to_string(),
                _ => format!("{first}–{}", (first + block).min(vcpus) - 1),
            })
            .collect();
        let mut rows: Vec<_> = columns
            .iter()
            .map(|name| (format!("vCPU {name}"), vec![Cell::default(); columns.len()]))
            .collect();
        let sources = matrix.posted.iter().zip(&matrix.coalesced_at_post);
        for (source, (posted, coalesced)) in sources.enumerate() {
            let (_, row) = &mut rows[source / block];
            add(row, posted, coalesced, block);
        }
        let mut devices = vec![Cell::default(); columns.len()];
        let of_devices = &matrix.coalesced_at_post_by_devices;
        add(&mut devices, &matrix.posted_by_devices, of_devices, block);
        if devices.iter().any(|cell| cell.deliveries() != 0) {
            rows.push(("devices".to_owned(), devices));
        }
        Self { columns, rows }
    }

    fn colours(&self) -> Colours {
        let cells = self.rows.iter().flat_map(|(_, cells)| cells);
        let numbers = cells.map(|cell| cell.deliveries());
        let numbers = numbers.filter(|&number| number != 0);
        Colours::new(
            numbers.clone().min().unwrap_or(0),
            numbers.max().unwrap_or(0),
        )
    }
}

fn add(row: &mut [Cell], posted: &[u64], coalesced: &[u64], block: usize) {
    for (target, (posted, coalesced)) in posted.iter().zip(coalesced).enumerate() {
        if let Some(cell) = row.get_mut(target / block) {
            cell.posted = cell.posted.saturating_add(*posted);
            cell.coalesced = cell.coalesced.saturating_add(*coalesced);
        }
    }
}

pub(super) fn section(report: &Report) -> Section {
    let folded = Folded::new(&report.matrix);
    let colours = folded.colours();
    let body = if colours.most() == 0 {
        nothing(if report.ipis_observed {
            "No IPI was sent."
        } else {
            "KVM's own APIC delivers IPIs where nobody sees them."
        })
    } else {
        figure(
            "Deliveries from source (row) to target vCPU (column)",
            &html! { (picture(&folded, colours)) (scale(colours)) },
            &numbers(&folded),
        )
    };
    Section {
        id: "matrix",
        heading: "Who sent to whom",
        lead: "Deliveries by source and target, those that found an equal one waiting included. \
               Each step of colour is the same factor."
            .to_owned(),
        body,
    }
}

#[expect(clippy::cast_precision_loss, reason = "places on the screen")]
fn picture(folded: &Folded, colours: Colours) -> Markup {
    let columns = folded.columns.len();
    let (height, widest) = match columns {
        0..=10 => (40, 88),
        11..=16 => (30, 56),
        _ => (20, 32),
    };
    // Every label, or as many as do not touch each other.
    let every = columns.div_ceil(if columns > 16 { 8 } else { 16 });
    let share = 1.0 / columns as f64;
    let whole = height * folded.rows.len() + 24;
    html! {
        div.plot.names style={ "max-width:" (columns * widest + 84) "px" } {
            svg.heat width="100%" height=(whole) role="img"
                aria-label={ "Heat map of deliveries, " (folded.rows.len()) " sources by " (columns)
                    " targets; at most " (count(colours.most())) " in a cell." } {
                g.below {
                    @for (column, name) in folded.columns.iter().enumerate().step_by(every) {
                        text x=(percent((column as f64 + 0.5) * share)) y="14" { (name) }
                    }
                }
                @for (row, (source, cells)) in folded.rows.iter().enumerate() {
                    @let y = 20 + row * height;
                    @if row % every == 0 || row >= columns {
                        g.left { text x="-8" y=(y + height / 2) dy="4" { (source) } }
                    }
                    @for (column, cell) in cells.iter().enumerate() {
                        @let step = colours.step(cell.deliveries());
                        @let class = step.map_or("heat-none".to_owned(), |step| format!("heat{step}"));
                        rect class=(class) x=(percent(column as f64 * share)) y=(y)
                            width=(percent(share)) height=(height) {
                            title { (told(source, &folded.columns[column], *cell)) }
                        }
                        @if columns <= MOST_NUMBERED && step.is_some() {
                            text class={ "number on-" (class) } y=(y + height / 2) dy="4"
                                x=(percent((column as f64 + 0.5) * share)) {
                                (short_count(cell.deliveries()))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn told(source: &str, target: &str, cell: Cell) -> String {
    format!(
        "{source} to vCPU {target}: {} ({} new, {} coalesced)",
        count(cell.deliveries()),
        count(cell.posted),
        count(cell.coalesced)
    )
}

fn scale(colours: Colours) -> Markup {
    html! {
        ul.legend.ramp aria-label="Colours of the heat map" {
            li { span.key.heat-none {} "0" }
            @for (step, least) in colours.steps() {
                li { span class={ "key heat" (step) } {} (short_count(least)) }
            }
            li.most { "to " (short_count(colours.most())) }
        }
    }
}

fn numbers(folded: &Folded) -> Table {
    let columns = folded.columns.iter().map(|name| format!("to {name}"));
    let head = [String::from("source")].into_iter().chain(columns);
    let mut table = Table::new("Deliveries by source and target vCPU", 1, head);
    for (source, cells) in &folded.rows {
        let cells = cells.iter().map(|cell| count(cell.deliveries()));
        table.row([source.clone()].into_iter().chain(cells));
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(vcpus: usize) -> Matrix {
        Matrix {
            posted: vec![vec![1; vcpus]; vcpus],
            coalesced_at_post: vec![vec![2; vcpus]; vcpus],
            posted_by_devices: vec![0; vcpus],
            coalesced_at_post_by_devices: vec![0; vcpus],
        }
    }

    #[test]
    fn many_vcpus_are_folded_and_none_is_forgotten() {
        for (vcpus, columns) in [(0, 0), (1, 1), (32, 32), (33, 17), (255, 32)] {
            let folded = Folded::new(&matrix(vcpus));
            assert_eq!(
                (folded.columns.len(), folded.rows.len()),
                (columns, columns)
            );
            let cells = folded.rows.iter().flat_map(|(_, cells)| cells);
            let sum: u64 = cells.map(|cell| cell.deliveries()).sum();
            assert_eq!(sum, 3 * (vcpus * vcpus) as u64);
        }
        let names = Folded::new(&matrix(255)).columns;
        assert_eq!([&names[0], &names[31]], ["0–7", "248–254"]);
    }

    #[test]
    fn devices_have_a_row_if_they_sent() {
        let mut matrix = matrix(2);
        matrix.posted_by_devices[1] = 5;
        let (name, cells) = Folded::new(&matrix).rows.pop().unwrap();
        assert_eq!((name.as_str(), cells[1].posted), ("devices", 5));
    }
}
