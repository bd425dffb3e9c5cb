//! `membarrier`: every other processor that runs the process passes a memory barrier.

#![expect(unsafe_code, reason = "membarrier")]

use std::io;

use anyhow::{Context, Result};

use super::{Operation, Place};
use crate::sharers::Sharers;

/// One command, for which the process is registered.
pub(super) struct Membarrier {
    command: libc::c_int,
    _sharers: Sharers,
}

impl Membarrier {
    /// Expedited, on the processors that run this process.
    pub(super) fn private(place: &Place) -> Result<Self> {
        let register = libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;
        Self::start(register, libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED, place)
    }

    /// Expedited, on the processors that run any registered process: here only this one.
    pub(super) fn global(place: &Place) -> Result<Self> {
        let register = libc::MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED;
        Self::start(register, libc::MEMBARRIER_CMD_GLOBAL_EXPEDITED, place)
    }

    fn start(register: libc::c_int, command: libc::c_int, place: &Place) -> Result<Self> {
        let sharers = Sharers::start(&place.sharers, false)?;
        membarrier(register).context("membarrier does not register")?;
        Ok(Self {
            command,
            _sharers: sharers,
        })
    }
}

impl Operation for Membarrier {
    fn prepare(&mut self) -> Result<()> {
        Ok(())
    }

    fn perform(&mut self) -> Result<()> {
        membarrier(self.command).context("membarrier fails")
    }
}

fn membarrier(command: libc::c_int) -> io::Result<()> {
    // SAFETY: a barrier or a registration; no memory is named.
    match unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
