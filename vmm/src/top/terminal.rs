//! The live view's loop: looks at the VM, at the keys and at signals, and leaves the terminal as it
//! found it however it ends.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::interval::Interval;
use super::keys::{Controls, Outcome};
use super::rates::Rates;
use super::source::{Look, Source};
use super::view::{self, Scene, Theme};
use super::{ENDED, TopError};
use crate::control::snapshot::Snapshot;

/// How long a signal may wait to be noticed.
const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// Why the loop ended.
enum End {
    Quit,
    VmEnded,
    Signal(usize),
}

/// Shows the VM until the user, a signal or its end says otherwise.
pub(super) fn watch(mut source: Source, interval: Duration) -> anyhow::Result<ExitCode> {
    let signal = Arc::new(AtomicUsize::new(0));
    // SIGHUP keeps its own way: the terminal is gone, so there is nothing to restore, and reading it
    // would never end.
    for number in [SIGINT, SIGTERM] {
        let value = number.unsigned_abs() as usize;
        signal_hook::flag::register_usize(number, Arc::clone(&signal), value)?;
    }
    // Before the screen is taken, so that what is wrong is said in a line.
    let first = match source.look()? {
        Look::Counters(snapshot) => Some(*snapshot),
        Look::NoAnswer => None,
        Look::Ended => return Ok(super::ended()),
    };
    let end = {
        // It installs a panic hook that restores the terminal.
        let mut terminal = ratatui::try_init().context("cannot set up the terminal")?;
        let _restored = Restored;
        let mut watch = Watch {
            source,
            controls: Controls::new(interval),
            earlier: None,
            shown: None,
            silent: first.is_none(),
            next: Instant::now() + interval,
        };
        watch.take(first);
        watch.run(&mut terminal, &signal)?
    };
    match end {
        End::Quit => {}
        End::VmEnded => println!("{ENDED}"),
        End::Signal(number) => {
            let number = i32::try_from(number).unwrap_or(SIGTERM);
            // As if it had not been caught, so that a shell sees what ended it.
            signal_hook::low_level::emulate_default_handler(number)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Gives the terminal back when dropped.
struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

struct Watch {
    source: Source,
    controls: Controls,
    /// Where the next interval starts.
    earlier: Option<Snapshot>,
    /// The last interval and its end.
    shown: Option<(Option<Interval>, Snapshot)>,
    /// The VM did not answer.
    silent: bool,
    next: Instant,
}

impl Watch {
    fn run(&mut self, terminal: &mut DefaultTerminal, signal: &AtomicUsize) -> anyhow::Result<End> {
        let theme = Theme::from_environment();
        loop {
            let received = signal.load(Ordering::Relaxed);
            if received != 0 {
                return Ok(End::Signal(received));
            }
            if Instant::now() >= self.next && !self.controls.paused && self.look()? {
                return Ok(End::VmEnded);
            }
            self.draw(terminal, theme).context("cannot draw")?;
            if self.keys()? == Outcome::Quit {
                return Ok(End::Quit);
            }
        }
    }

    /// Takes the next snapshot; whether the VM has ended.
    fn look(&mut self) -> Result<bool, TopError> {
        let look = self.source.look()?;
        self.silent = matches!(look, Look::NoAnswer);
        match look {
            Look::Counters(snapshot) => self.take(Some(*snapshot)),
            Look::NoAnswer => {}
            Look::Ended => return Ok(true),
        }
        self.next = Instant::now() + self.controls.interval;
        Ok(false)
    }

    fn take(&mut self, snapshot: Option<Snapshot>) {
        let Some(snapshot) = snapshot else {
            return;
        };
        let earlier = self.earlier.replace(snapshot.clone());
        let interval = earlier.and_then(|earlier| Interval::between(&earlier, &snapshot));
        // After a pause there is none until the next look, and the last one stays.
        if interval.is_some() || self.shown.is_none() {
            self.shown = Some((interval, snapshot));
        }
    }

    fn draw(&mut self, terminal: &mut DefaultTerminal, theme: Theme) -> io::Result<()> {
        let (rates, about) = match &self.shown {
            None => (None, None),
            Some((interval, now)) => {
                let (selected, _) = self.controls.filter.vcpus(now.vcpus.len());
                let selects = |vcpu: usize| selected.get(vcpu).copied().unwrap_or(false);
                let rates = interval
                    .as_ref()
                    .map(|interval| Rates::new(interval, now, selects));
                (rates, Some((&now.about, now.vcpus.len())))
            }
        };
        let scene = Scene {
            about,
            rates: rates.as_ref(),
            silent: self.silent,
            theme,
        };
        terminal.draw(|frame| view::draw(frame, &scene, &mut self.controls))?;
        Ok(())
    }

    /// Waits for the next look, or for something to be typed; a changed size is drawn at once.
    fn keys(&mut self) -> anyhow::Result<Outcome> {
        let now = Instant::now();
        let wait = match self.controls.paused {
            true => LONGEST_WAIT,
            false => self.next.saturating_duration_since(now).min(LONGEST_WAIT),
        };
        if !event::poll(wait).context("cannot read the terminal")? {
            return Ok(Outcome::Stay);
        }
        let Event::Key(key) = event::read().context("cannot read the terminal")? else {
            return Ok(Outcome::Stay);
        };
        if key.kind == KeyEventKind::Release {
            return Ok(Outcome::Stay);
        }
        let outcome = self.controls.key(key);
        if outcome == Outcome::Restart {
            self.earlier = None;
            self.next = now;
        }
        Ok(outcome)
    }
}
