//! The panel of who sends to whom.

use std::cmp::Reverse;

use ratatui::Frame;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table};

use super::{Theme, titled};
use crate::top::figure::rate;
use crate::top::rates::{Numbered, Rates};

/// Columns of a figure, and before the first.
const FIGURE: u16 = 5;
const SOURCE: u16 = 4;
/// Title, header and the line of devices.
const BESIDES_ROWS: u16 = 3;

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, rates: &Rates, theme: Theme) {
    let vcpus: Vec<usize> = rates
        .vcpus
        .iter()
        .map(|Numbered { vcpu, .. }| *vcpu)
        .collect();
    let columns = area.width.saturating_sub(SOURCE) / (FIGURE + 1);
    let lines = area.height.saturating_sub(BESIDES_ROWS);
    let shown = busiest(rates, &vcpus, usize::from(columns.min(lines)));
    let title = if shown.len() == vcpus.len() {
        "deliveries/s, source x target".to_owned()
    } else {
        format!("deliveries/s, busiest {} of {}", shown.len(), vcpus.len())
    };
    let area = titled(frame, area, &title, theme);

    let devices = &rates.deliveries_from_devices_per_s;
    let sources = shown
        .iter()
        .filter_map(|&source| rates.deliveries_per_s.get(source));
    let figures = sources.chain([devices]).flatten();
    let most = figures.copied().fold(0.0, f64::max);
    let figure = |row: &[f64], target: usize| {
        let value = row.get(target).copied().unwrap_or(0.0);
        let share = if most > 0.0 { value / most } else { 0.0 };
        Cell::new(Line::raw(rate(value)).right_aligned()).style(theme.heat(share))
    };
    let line = |name: String, row: &[f64]| {
        let figures = shown.iter().map(|&target| figure(row, target));
        Row::new([Cell::new(name)].into_iter().chain(figures))
    };
    let targets = shown
        .iter()
        .map(|target| Cell::new(Line::raw(target.to_string()).right_aligned()));
    let header = Row::new([Cell::new("from")].into_iter().chain(targets));
    let mut rows = vec![header.style(theme.header())];
    for &source in &shown {
        let row = rates.deliveries_per_s.get(source);
        rows.push(line(source.to_string(), row.map_or(&[], Vec::as_slice)));
    }
    if devices.iter().any(|&rate| rate > 0.0) {
        rows.push(line("dev".to_owned(), devices));
    }
    let figures = shown.iter().map(|_| FIGURE);
    let widths = [SOURCE].into_iter().chain(figures).map(Constraint::Length);
    frame.render_widget(Table::new(rows, widths), area);
}

/// Those of `vcpus` that send and receive most, at most `most`, in the order of their numbers.
pub(in crate::top) fn busiest(rates: &Rates, vcpus: &[usize], most: usize) -> Vec<usize> {
    let matrix = &rates.deliveries_per_s;
    let traffic = |vcpu: usize| -> f64 {
        let sent: f64 = matrix.get(vcpu).into_iter().flatten().sum();
        let received: f64 = matrix.iter().filter_map(|row| row.get(vcpu)).sum();
        sent + received
    };
    let mut order: Vec<(u64, usize)> = vcpus
        .iter()
        // Positive floats are ordered as their bits are.
        .map(|&vcpu| (traffic(vcpu).to_bits(), vcpu))
        .collect();
    order.sort_by_key(|&(traffic, vcpu)| (Reverse(traffic), vcpu));
    let mut busiest: Vec<usize> = order.into_iter().take(most).map(|(_, vcpu)| vcpu).collect();
    busiest.sort_unstable();
    busiest
}
