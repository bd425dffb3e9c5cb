//! The keys, all of them and in the last line, and what is typed there.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span, Text};

use super::{Theme, titled};
use crate::top::keys::{Controls, Mode, Prompt, Question};

const KEYS: &str = " q       quit, as does Ctrl-C
 p       pause, and go on
 s       set the interval, in seconds
 f       filter rows by a regular expression: eoi|icr, or vcpu[01]
 c       clear the filter
 x       one panel after the other, or all of them
 arrows  scroll the vCPUs; also j, k, Page Up and Down, Home, End
 ?       this help

sent     writes of the ICR or of SELF IPI; INIT is INIT and start-up
recv     handed to the processor here
out      share of the time outside the guest, dealing with exits
sleep    halted, or waiting for a start-up IPI; the rest is the guest's
exit     mean time outside the guest, and time% by cause
inject   mean time from sending to injection";

pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, theme: Theme) {
    let area = titled(frame, area, "help", theme);
    frame.render_widget(Text::raw(KEYS), area);
}

pub(super) fn draw_foot(frame: &mut Frame<'_>, area: Rect, theme: Theme, controls: &Controls) {
    let line = match &controls.mode {
        Mode::Help => Line::styled("any key goes back", theme.header()),
        Mode::Typing(prompt) => answer(prompt, theme),
        Mode::Watching => keys(controls, theme),
    };
    frame.render_widget(line, area);
}

fn keys(controls: &Controls, theme: Theme) -> Line<'static> {
    let keys = "q quit  p pause  s interval  f filter  x panels  ? help";
    let mut spans = vec![Span::styled(keys, theme.header())];
    if let Some(text) = controls.filter.text() {
        spans.push(Span::styled(format!("   filter: {text}"), theme.notice()));
    }
    Line::from(spans)
}

fn answer(prompt: &Prompt, theme: Theme) -> Line<'_> {
    let question = match prompt.question {
        Question::Filter => "filter (regex): ",
        Question::Interval => "seconds: ",
    };
    let mut spans = vec![
        Span::styled(question, theme.total()),
        Span::raw(prompt.text.as_str()),
        Span::raw("_"),
    ];
    if let Some(error) = &prompt.error {
        spans.push(Span::styled(format!("  {error}"), theme.notice()));
    }
    Line::from(spans)
}
