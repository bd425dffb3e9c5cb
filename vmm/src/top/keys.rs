//! What keys do, as `kvm_stat` has them: a state and its changes, without a terminal.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::filter::Filter;
use crate::cli::parse_interval;

/// Longest text that can be typed.
const LONGEST: usize = 200;

/// What the user has set.
#[derive(Clone, Debug)]
pub(super) struct Controls {
    pub(super) interval: Duration,
    pub(super) filter: Filter,
    pub(super) paused: bool,
    pub(super) panels: Panels,
    /// vCPUs that are scrolled past.
    pub(super) scrolled: usize,
    pub(super) mode: Mode,
}

/// What keys are taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Commands.
    Watching,
    /// Any ends the help.
    Help,
    /// An answer.
    Typing(Prompt),
}

/// A question that is being answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    pub(super) question: Question,
    pub(super) text: String,
    /// Why the last answer would not do.
    pub(super) error: Option<String>,
}

/// What the user is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    Filter,
    Interval,
}

/// The panels that are shown; one key goes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Panels {
    All,
    Vcpus,
    Exits,
    Matrix,
}

impl Panels {
    const fn next(self) -> Self {
        match self {
            Self::All => Self::Vcpus,
            Self::Vcpus => Self::Exits,
            Self::Exits => Self::Matrix,
            Self::Matrix => Self::All,
        }
    }
}

/// What a key means for the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// To go on.
    Stay,
    /// To measure anew, for the interval or the pause has changed.
    Restart,
    /// To end.
    Quit,
}

impl Controls {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            filter: Filter::default(),
            paused: false,
            panels: Panels::All,
            scrolled: 0,
            mode: Mode::Watching,
        }
    }

    /// Takes a key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Outcome {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && key.code == KeyCode::Char('c') {
            return Outcome::Quit;
        }
        match &mut self.mode {
            Mode::Help if key.code == KeyCode::Char('q') => Outcome::Quit,
            Mode::Help => {
                self.mode = Mode::Watching;
                Outcome::Stay
            }
            Mode::Typing(_) => self.typed(key.code, control),
            Mode::Watching if control => Outcome::Stay,
            Mode::Watching => self.command(key.code),
        }
    }

    fn command(&mut self, key: KeyCode) -> Outcome {
        match key {
            KeyCode::Char('q') => return Outcome::Quit,
            KeyCode::Char('p' | ' ') => {
                self.paused = !self.paused;
                return Outcome::Restart;
            }
            KeyCode::Char('s') => self.ask(Question::Interval),
            KeyCode::Char('f') => self.ask(Question::Filter),
            KeyCode::Char('c') => self.filter = Filter::default(),
            KeyCode::Char('x') => self.panels = self.panels.next(),
            KeyCode::Char('?' | 'h') => self.mode = Mode::Help,
            KeyCode::Down | KeyCode::Char('j') => self.scrolled = self.scrolled.saturating_add(1),
            KeyCode::Up | KeyCode::Char('k') => self.scrolled = self.scrolled.saturating_sub(1),
            KeyCode::PageDown => self.scrolled = self.scrolled.saturating_add(10),
            KeyCode::PageUp => self.scrolled = self.scrolled.saturating_sub(10),
            KeyCode::Home => self.scrolled = 0,
            KeyCode::End => self.scrolled = usize::MAX,
            _ => {}
        }
        Outcome::Stay
    }

    fn ask(&mut self, question: Question) {
        let text = match question {
            Question::Filter => self.filter.text().unwrap_or_default().to_owned(),
            Question::Interval => String::new(),
        };
        self.mode = Mode::Typing(Prompt {
            question,
            text,
            error: None,
        });
    }

    fn typed(&mut self, key: KeyCode, control: bool) -> Outcome {
        let Mode::Typing(prompt) = &mut self.mode else {
            return Outcome::Stay;
        };
        match key {
            KeyCode::Enter => return self.answered(),
            KeyCode::Esc => self.mode = Mode::Watching,
            KeyCode::Backspace => {
                prompt.text.pop();
            }
            KeyCode::Char('u') if control => prompt.text.clear(),
            KeyCode::Char(character) if !control && prompt.text.len() < LONGEST => {
                prompt.text.push(character);
            }
            _ => {}
        }
        Outcome::Stay
    }

    fn answered(&mut self) -> Outcome {
        let Mode::Typing(prompt) = &mut self.mode else {
            return Outcome::Stay;
        };
        let (taken, outcome) = match prompt.question {
            Question::Filter => {
                let filter = Filter::new(&prompt.text);
                (filter.map(|filter| self.filter = filter), Outcome::Stay)
            }
            // No answer leaves the interval as it is.
            Question::Interval if prompt.text.is_empty() => (Ok(()), Outcome::Stay),
            Question::Interval => {
                let interval = parse_interval(&prompt.text);
                (interval.map(|set| self.interval = set), Outcome::Restart)
            }
        };
        match taken {
            Ok(()) => {
                self.mode = Mode::Watching;
                outcome
            }
            Err(error) => {
                prompt.error = Some(error);
                Outcome::Stay
            }
        }
    }

    /// Keeps the scrolled position within `rows` of which `shown` are seen at once.
    pub(super) fn scroll_within(&mut self, rows: usize, shown: usize) {
        self.scrolled = self.scrolled.min(rows.saturating_sub(shown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn controls() -> Controls {
        Controls::new(Duration::from_millis(250))
    }

    fn press(controls: &mut Controls, code: KeyCode) -> Outcome {
        controls.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    /// Types a line as a user does, `\n` being Enter; returns what the last key meant.
    fn type_text(controls: &mut Controls, text: &str) -> Outcome {
        let mut outcome = Outcome::Stay;
        for character in text.chars() {
            outcome = match character {
                '\n' => press(controls, KeyCode::Enter),
                other => press(controls, KeyCode::Char(other)),
            };
        }
        outcome
    }

    #[test]
    fn two_keys_end_it_and_one_of_them_at_any_time() {
        assert_eq!(press(&mut controls(), KeyCode::Char('q')), Outcome::Quit);
        for before in ["", "?", "f", "sq"] {
            let mut controls = controls();
            assert_eq!(type_text(&mut controls, before), Outcome::Stay);
            let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
            assert_eq!(controls.key(interrupt), Outcome::Quit, "after {before:?}");
        }
    }

    #[test]
    fn a_pause_ends_with_a_fresh_measurement() {
        let mut controls = controls();
        press(&mut controls, KeyCode::Char('p'));
        assert!(controls.paused);
        assert_eq!(press(&mut controls, KeyCode::Char(' ')), Outcome::Restart);
        assert!(!controls.paused);
    }

    #[test]
    fn an_interval_is_asked_for_until_it_will_do() {
        let mut controls = controls();
        assert_eq!(type_text(&mut controls, "s0\n"), Outcome::Stay);
        let Mode::Typing(prompt) = &controls.mode else {
            panic!("it is still asked for")
        };
        assert!(prompt.error.as_ref().unwrap().contains("0.1 to 3600"));
        assert_eq!(type_text(&mut controls, ".5\n"), Outcome::Restart);
        assert_eq!(controls.interval, Duration::from_millis(500));
        assert_eq!(controls.mode, Mode::Watching);
        assert_eq!(type_text(&mut controls, "s\n"), Outcome::Stay);
        assert_eq!(controls.interval, Duration::from_millis(500));
    }

    #[test]
    fn a_filter_can_be_set_changed_left_and_cleared() {
        let mut controls = controls();
        type_text(&mut controls, "feoi(\n");
        assert!(matches!(&controls.mode, Mode::Typing(prompt) if prompt.error.is_some()));
        press(&mut controls, KeyCode::Backspace);
        type_text(&mut controls, "\n");
        assert_eq!(controls.filter.text(), Some("eoi"));
        type_text(&mut controls, "f|icr");
        press(&mut controls, KeyCode::Esc);
        assert_eq!(controls.filter.text(), Some("eoi"));
        type_text(&mut controls, "c");
        assert_eq!(controls.filter.text(), None);
    }

    #[test]
    fn one_key_goes_round_the_panels() {
        let mut controls = controls();
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(controls.panels);
            type_text(&mut controls, "x");
        }
        assert_eq!(controls.panels, Panels::All);
        assert_eq!(
            seen,
            [Panels::All, Panels::Vcpus, Panels::Exits, Panels::Matrix]
        );
    }

    #[test]
    fn help_goes_away_with_any_key_which_does_nothing_else_unless_it_quits() {
        let mut controls = controls();
        type_text(&mut controls, "?");
        assert_eq!(controls.mode, Mode::Help);
        assert_eq!(type_text(&mut controls, "p"), Outcome::Stay);
        assert_eq!(controls.mode, Mode::Watching);
        assert!(!controls.paused);
        type_text(&mut controls, "?");
        assert_eq!(type_text(&mut controls, "q"), Outcome::Quit);
    }

    #[test]
    fn scrolling_stays_within_the_rows() {
        let mut controls = controls();
        press(&mut controls, KeyCode::Up);
        assert_eq!(controls.scrolled, 0);
        press(&mut controls, KeyCode::End);
        controls.scroll_within(64, 10);
        assert_eq!(controls.scrolled, 54);
        press(&mut controls, KeyCode::PageUp);
        assert_eq!(controls.scrolled, 44);
        controls.scroll_within(8, 10);
        assert_eq!(controls.scrolled, 0);
    }

    #[test]
    fn what_is_typed_has_an_end() {
        let mut controls = controls();
        type_text(&mut controls, "f");
        type_text(&mut controls, &"é".repeat(500));
        assert!(matches!(&controls.mode, Mode::Typing(prompt) if prompt.text.len() <= LONGEST + 1));
    }
}
