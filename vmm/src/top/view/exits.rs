//! The panel of exits by cause: how often, at what cost, and how much of the time.

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::{Theme, titled};
use crate::top::figure::{microseconds, percent, rate};
use crate::top::keys::Controls;
use crate::top::rates::{CauseRates, Rates, label};

pub(super) fn draw(
    frame: &mut Frame<'_>,
    area: Rect,
    rates: &Rates,
    theme: Theme,
    controls: &Controls,
) {
    let (_, selected) = controls.filter.vcpus(rates.deliveries_per_s.len());
    let title = if selected {
        "exits of these vCPUs"
    } else {
        "exits"
    };
    let area = titled(frame, area, title, theme);
    let causes = rates.exits.iter().map(|exits| exits.cause.as_str());
    let (shown, selected) = controls.filter.causes(causes);
    let right = |text: String| Cell::new(Line::raw(text).right_aligned());
    let row = |exits: &CauseRates| {
        Row::new([
            Cell::new(label(&exits.cause).to_owned()),
            right(rate(exits.per_s)),
            right(microseconds(exits.mean_ns)),
            right(percent(Some(exits.outside_share))),
        ])
    };
    let header = ["per s", "mean us", "time%"].map(|name| right(name.to_owned()));
    let header = Row::new([Cell::new("cause")].into_iter().chain(header));
    let mut rows = vec![header.style(theme.header())];
    let listed = rates.exits.iter().zip(shown);
    // What does not occur is shown only where it was asked for.
    let listed = listed.filter(|(exits, shown)| *shown && (selected || exits.per_s > 0.0));
    rows.extend(listed.map(|(exits, _)| row(exits)));
    let widths = [16, 7, 8, 6].map(Constraint::Length);
    frame.render_widget(Table::new(rows, widths), area);
}
