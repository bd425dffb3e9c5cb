//! The port that a guest writes its marker lines to.

use std::sync::Arc;

use super::clock::Tsc;
use super::marker::LineBuffer;
use super::phases::Phases;

/// The marker port of one vCPU.
pub struct MarkerPort {
    line: LineBuffer,
    phases: Arc<Phases>,
}

impl MarkerPort {
    /// A port on which nothing has been written.
    #[must_use]
    pub fn new(phases: Arc<Phases>) -> Self {
        Self {
            line: LineBuffer::new(),
            phases,
        }
    }

    /// The guest writes bytes; `Some` is the status with which it wants to end.
    ///
    /// Bytes after an `exit` line are not read: the machine is off.
    pub fn write(&mut self, bytes: &[u8]) -> Option<u32> {
        bytes.iter().find_map(|&byte| {
            let line = self.line.push(byte)?;
            self.phases.apply(line, Tsc::now())
        })
    }
}
