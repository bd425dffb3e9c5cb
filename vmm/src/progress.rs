//! Progress of long work: on standard error if that is a terminal, else nothing at all.
//!
//! What is shown is taken away again when the work ends, or fails; a program that reads standard
//! error never sees any of it.

use std::borrow::Cow;
use std::io::{IsTerminal, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Between two looks at the clock: whole seconds are shown, and what is measured beside it is to be
/// disturbed little.
const TICK: Duration = Duration::from_secs(1);

const BAR: &str = "{msg} [{bar:24}] {pos} of {len}, {elapsed}, {eta} left";
const SPINNER: &str = "{spinner} {msg}, {elapsed}";

/// A bar for work of `len` steps: steps done, time since the start, and what may be left of it.
pub fn bar(len: u64, what: impl Into<Cow<'static, str>>) -> ProgressBar {
    styled(Some(len), BAR, what.into())
}

/// For work whose length is not known: time since the start.
pub fn spinner(what: impl Into<Cow<'static, str>>) -> ProgressBar {
    styled(None, SPINNER, what.into())
}

fn styled(len: Option<u64>, template: &str, what: Cow<'static, str>) -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(template).expect("the templates are constants");
    let progress = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr())
        .with_finish(ProgressFinish::AndClear)
        .with_style(style.progress_chars("=> ").tick_chars("|/-\\ "))
        .with_message(what);
    progress.enable_steady_tick(TICK);
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_understood() {
        // The tests' standard error may be a terminal or not; neither may panic.
        let bar = bar(2, "bar");
        bar.inc(1);
        bar.finish_and_clear();
        spinner("spinner").finish_and_clear();
        for template in [BAR, SPINNER] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
