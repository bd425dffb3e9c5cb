//! Backtraces of all processors, as an administrator or a watchdog asks for them: NMIs to all
//! others.
//!
//! The kernel looks once a millisecond whether all have answered, which bounds what the latency
//! tells.

use std::fs;

use anyhow::{Context, Result};

use super::{Operation, Place};
use crate::sharers::Sharers;

const CONSOLE_LEVELS: &str = "/proc/sys/kernel/printk";

/// One backtrace of all.
pub(super) struct Backtrace {
    _sharers: Sharers,
    console_levels: String,
}

impl Backtrace {
    pub(super) fn start(place: &Place) -> Result<Self> {
        let sharers = Sharers::start(&place.sharers, false)?;
        let console_levels =
            fs::read_to_string(CONSOLE_LEVELS).context("cannot read the console's log levels")?;
        // The backtraces go to the log, not to the console, which would take seconds.
        fs::write(CONSOLE_LEVELS, "1").context("cannot quiet the console")?;
        Ok(Self {
            _sharers: sharers,
            console_levels,
        })
    }
}

impl Operation for Backtrace {
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        fs::write("/proc/sysrq-trigger", "l").context("the kernel takes no backtraces")
    }
}

impl Drop for Backtrace {
    fn drop(&mut self) {
        // A console that stays quiet loses messages of the kernel, none of ours.
        let _ = fs::write(CONSOLE_LEVELS, &self.console_levels);
    }
}
