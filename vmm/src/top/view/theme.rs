//! How things look: with colours, or without where the user wants none.

use ratatui::style::{Color, Modifier, Style};

/// Whether there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::top) enum Theme {
    Colours,
    Plain,
}

impl Theme {
    /// No colours if `NO_COLOR` is set to anything (<https://no-color.org>).
    pub(in crate::top) fn from_environment() -> Self {
        match std::env::var_os("NO_COLOR") {
            Some(value) if !value.is_empty() => Self::Plain,
            _ => Self::Colours,
        }
    }

    fn coloured(self, style: Style, colour: Color) -> Style {
        match self {
            Self::Colours => style.fg(colour),
            Self::Plain => style,
        }
    }

    pub(super) fn title(self) -> Style {
        self.coloured(Style::new(), Color::Cyan)
    }

    pub(super) fn header(self) -> Style {
        self.coloured(Style::new(), Color::DarkGray)
    }

    pub(super) fn total(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What must not be overlooked.
    pub(super) fn notice(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        self.coloured(style, Color::Yellow)
    }

    /// A figure that is this share of the largest one.
    pub(super) fn heat(self, share: f64) -> Style {
        match share {
            share if share <= 0.0 => self.coloured(Style::new(), Color::DarkGray),
            share if share < 0.34 => Style::new(),
            share if share < 0.67 => self.coloured(Style::new(), Color::Yellow),
            _ => self.coloured(Style::new(), Color::LightRed),
        }
    }
}
