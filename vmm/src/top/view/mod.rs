//! The screen: what is drawn where, at whatever size the terminal has.

mod exits;
mod head;
mod help;
pub(super) mod matrix;
mod theme;
mod vcpus;

#[cfg(test)]
mod tests;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::keys::{Controls, Mode, Panels};
use super::rates::Rates;
use crate::control::About;

pub(super) use head::title;
pub(super) use theme::Theme;

/// Smallest screen on which anything can be read.
const SMALLEST: (u16, u16) = (40, 8);
/// Fewest lines that the lower panels have beside a long list of vCPUs.
const LOWER: u16 = 8;
/// Columns of the panel of exits.
const EXITS: u16 = 43;

/// What there is to draw.
pub(super) struct Scene<'a> {
    /// The VM and its number of vCPUs, once it has answered.
    pub(super) about: Option<(&'a About, usize)>,
    /// The last interval, once there is one.
    pub(super) rates: Option<&'a Rates>,
    /// The VM does not answer.
    pub(super) silent: bool,
    pub(super) theme: Theme,
}

/// Draws the scene.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>, controls: &mut Controls) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        frame.render_widget(Line::raw(format!("needs {width}x{height}")), area);
        return;
    }
    let [head, body, foot] = Layout::vertical([
        Constraint::Length(2),
        Constraint::Fill(1),
        Constraint::Length(1),
    ])
    .areas(area);
    head::draw(frame, head, scene, controls);
    match (&controls.mode, scene.rates) {
        (Mode::Help, _) => help::draw(frame, body, scene.theme),
        (_, None) => frame.render_widget(Line::raw("measuring ..."), body),
        (_, Some(rates)) => panels(frame, body, rates, scene.theme, controls),
    }
    help::draw_foot(frame, foot, scene.theme, controls);
}

fn panels(frame: &mut Frame<'_>, area: Rect, rates: &Rates, theme: Theme, controls: &mut Controls) {
    match controls.panels {
        Panels::Vcpus => vcpus::draw(frame, area, rates, theme, controls),
        Panels::Exits => exits::draw(frame, area, rates, theme, controls),
        Panels::Matrix => matrix::draw(frame, area, rates, theme),
        Panels::All => {
            let wanted = vcpus::lines(rates.vcpus.len());
            let most = area.height.saturating_sub(LOWER).max(area.height / 2);
            let [upper, lower] =
                Layout::vertical([Constraint::Length(wanted.min(most)), Constraint::Fill(1)])
                    .areas(area);
            vcpus::draw(frame, upper, rates, theme, controls);
            if !rates.ipis_observed {
                return exits::draw(frame, lower, rates, theme, controls);
            }
            let [left, right] = Layout::horizontal([
                Constraint::Length(EXITS.min(lower.width)),
                Constraint::Fill(1),
            ])
            .spacing(1)
            .areas(lower);
            exits::draw(frame, left, rates, theme, controls);
            matrix::draw(frame, right, rates, theme);
        }
    }
}

/// The part of a panel below its title.
fn titled(frame: &mut Frame<'_>, area: Rect, title: &str, theme: Theme) -> Rect {
    let [line, rest] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    let width = usize::from(line.width);
    let text = format!("{:-<width$}", format!("- {title} "));
    frame.render_widget(Line::styled(text, theme.title()), line);
    rest
}
