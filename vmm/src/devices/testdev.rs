//! QEMU's pc-testdev: ports that drive the interrupt lines, a latch, and a piece of memory whose
//! every access exits (QEMU, hw/misc/pc-testdev.c).

use crate::layout::{TESTDEV_BYTE_PORT, TESTDEV_LATCH_PORT, TESTDEV_LINE_PORT};

/// Interrupt lines that have a port.
pub const LINES: u16 = 24;

/// Bytes of its memory.
pub const MEMORY: u32 = 0x1_0000;

/// The device.
#[derive(Clone, Debug)]
pub struct Testdev {
    latch: u32,
    memory: Box<[u8]>,
}

impl Testdev {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            latch: 0,
            memory: vec![0; MEMORY as usize].into_boxed_slice(),
        }
    }

    /// The guest writes a port; returns the line that this drives, and whether high.
    pub fn write(&mut self, port: u16, data: &[u8]) -> Option<(u8, bool)> {
        if let Some(line) = port.checked_sub(TESTDEV_LINE_PORT) {
            let high = data.iter().any(|&byte| byte != 0);
            let line = u8::try_from(line)
                .ok()
                .filter(|&line| u16::from(line) < LINES)?;
            return Some((line, high));
        }
        if let Some(offset) = latch_offset(port) {
            let mut bytes = self.latch.to_le_bytes();
            for (to, from) in bytes.iter_mut().skip(offset).zip(data) {
                *to = *from;
            }
            self.latch = u32::from_le_bytes(bytes);
        }
        None
    }

    /// The guest reads a port.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = latch_offset(port) {
            let bytes = self.latch.to_le_bytes();
            for (to, from) in data.iter_mut().zip(bytes.iter().skip(offset)) {
                *to = *from;
            }
        }
    }

    /// The guest writes its memory.
    pub fn write_memory(&mut self, offset: u32, data: &[u8]) {
        for (to, from) in self.memory.iter_mut().skip(offset as usize).zip(data) {
            *to = *from;
        }
    }

    /// The guest reads its memory.
    pub fn read_memory(&self, offset: u32, data: &mut [u8]) {
        for (to, from) in data
            .iter_mut()
            .zip(self.memory.iter().skip(offset as usize))
        {
            *to = *from;
        }
    }
}

/// The byte of the latch that a port accesses.
fn latch_offset(port: u16) -> Option<usize> {
    [TESTDEV_LATCH_PORT, TESTDEV_BYTE_PORT]
        .into_iter()
        .filter_map(|first| port.checked_sub(first))
        .find(|&offset| offset < 4)
        .map(usize::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_for_each_line() {
        let mut device = Testdev::new();
        assert_eq!(device.write(TESTDEV_LINE_PORT + 14, &[1]), Some((14, true)));
        assert_eq!(
            device.write(TESTDEV_LINE_PORT + 23, &[0, 0, 0, 0]),
            Some((23, false))
        );
        assert_eq!(device.write(TESTDEV_LINE_PORT + 24, &[1]), None);
    }

    #[test]
    fn the_latch_takes_any_width() {
        let mut device = Testdev::new();
        device.write(TESTDEV_LATCH_PORT, &[1, 2, 3, 4]);
        device.write(TESTDEV_LATCH_PORT + 3, &[9, 9]);
        let mut data = [0xAA; 2];
        device.read(TESTDEV_BYTE_PORT + 2, &mut data);
        assert_eq!(data, [3, 9]);
    }

    #[test]
    fn the_memory_keeps_what_fits() {
        let mut device = Testdev::new();
        device.write_memory(0xFFFE, &[1, 2, 3, 4]);
        let mut data = [0; 4];
        device.read_memory(0xFFFE, &mut data);
        assert_eq!(data, [1, 2, 0, 0]);
    }
}
