//! The panel of vCPUs: IPIs by kind, exits, where the time goes, and what an exit and an IPI cost.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::{Theme, titled};
use crate::top::figure::{microseconds, percent, rate};
use crate::top::keys::Controls;
use crate::top::rates::{Numbered, Rates, VcpuRates};

/// Width from which there is room for more columns.
const WIDE: u16 = 110;
/// Title, two lines of header, and the line of all.
const BESIDES_ROWS: u16 = 4;

/// A column: its two lines of header, its width, whether it needs a wide screen, and its figure.
type Column = (
    &'static str,
    &'static str,
    u16,
    bool,
    fn(&VcpuRates) -> String,
);

const COLUMNS: [Column; 14] = [
    ("sent/s", "vector", 6, false, |r| rate(r.sent_per_s.vector)),
    ("", "NMI", 5, false, |r| rate(r.sent_per_s.nmi)),
    ("", "INIT", 5, false, |r| {
        rate(r.sent_per_s.init_and_start_up)
    }),
    ("recv/s", "vector", 7, false, |r| {
        rate(r.injected_per_s.vector)
    }),
    ("", "NMI", 5, false, |r| rate(r.injected_per_s.nmi)),
    ("", "INIT", 5, false, |r| {
        rate(r.injected_per_s.init_and_start_up)
    }),
    ("", "local", 5, true, |r| rate(r.local_injected_per_s)),
    ("", "exits/s", 7, false, |r| rate(r.exits_per_s)),
    ("", "guest%", 6, true, |r| percent(r.guest_share())),
    ("", "out%", 5, false, |r| percent(Some(r.outside_share))),
    ("", "sleep%", 6, false, |r| percent(r.asleep_share)),
    ("exit", "us", 6, false, |r| microseconds(r.exit_mean_ns)),
    ("inject", "us", 6, false, |r| {
        microseconds(r.send_to_inject_mean_ns)
    }),
    ("EOI", "us", 6, true, |r| {
        microseconds(r.send_to_end_mean_ns)
    }),
];

/// Lines that the panel needs to show all of `vcpus`.
pub(super) fn lines(vcpus: usize) -> u16 {
    u16::try_from(vcpus)
        .unwrap_or(u16::MAX)
        .saturating_add(BESIDES_ROWS)
}

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    rates: &Rates,
    theme: Theme,
    controls: &mut Controls,
) {
    let shown = usize::from(area.height.saturating_sub(BESIDES_ROWS));
    let all = rates.vcpus.len();
    controls.scroll_within(all, shown);
    let first = controls.scrolled;
    let title = match rates.vcpus.get(first..).and_then(|rest| rest.get(..shown)) {
        // All of them are seen.
        None => "vCPUs".to_owned(),
        Some(rows) if rows.len() == all => "vCPUs".to_owned(),
        Some(rows) => format!("vCPUs, {} to {} of {all}", first + 1, first + rows.len()),
    };
    let area = titled(frame, area, &title, theme);

    let columns: Vec<&Column> = COLUMNS
        .iter()
        .filter(|(.., wide, _)| !wide || area.width >= WIDE)
        .collect();
    let right = |text: String| Cell::new(Line::raw(text).right_aligned());
    let header = |line: fn(&Column) -> &'static str, name: &'static str| {
        let cells = columns.iter().map(|column| right(line(column).to_owned()));
        Row::new([Cell::new(name)].into_iter().chain(cells)).style(theme.header())
    };
    let row = |name: String, rates: &VcpuRates| {
        let cells = columns.iter().map(|(.., figure)| right(figure(rates)));
        Row::new([Cell::new(name)].into_iter().chain(cells))
    };
    let mut rows = vec![
        header(|column| column.0, ""),
        header(|column| column.1, "vCPU"),
        row("all".to_owned(), &rates.total).style(theme.total()),
    ];
    let seen = rates.vcpus.iter().skip(first).take(shown);
    rows.extend(seen.map(|Numbered { vcpu, rates }| row(vcpu.to_string(), rates)));
    let widths = columns.iter().map(|column| column.2);
    let widths = [4].into_iter().chain(widths).map(Constraint::Length);
    frame.render_widget(Table::new(rows, widths), area);
}
