//! QEMU's pc-testdev: ports that drive the interrupt lines, a latch, and a piece of memory whose
//! every access exits (QEMU, hw/misc/pc-testdev.c).

use std::fmt;

use crate::layout::{TESTDEV_BYTE_PORT, TESTDEV_LATCH_PORT, TESTDEV_LINE_PORT};

/// Interrupt lines that have a port.
pub const LINES: u16 = 24;

/// Ports of the latch, of its bytes and of the flush each.
pub const LATCH_PORTS: u16 = 4;

/// Bytes of its memory.
pub const MEMORY: u32 = 0x1_0000;

/// The device. A write to its flush port is taken and does nothing: it is to make a hypervisor drop
/// its mapping of a page of RAM, and there is none to drop.
#[derive(Clone)]
pub struct Testdev {
    latch: [u8; 4],
    memory: Box<[u8]>,
}

impl Testdev {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            latch: [0; 4],
            memory: vec![0; MEMORY as usize].into_boxed_slice(),
        }
    }

    /// The guest writes a port; returns the line that this drives, and whether high.
    pub fn write(&mut self, port: u16, data: &[u8]) -> Option<(u8, bool)> {
        if let Some(line) = line(port) {
            return Some((line, data.iter().any(|&byte| byte != 0)));
        }
        if let Some(offset) = latch_offset(port) {
            for (to, from) in self.latch.iter_mut().skip(offset).zip(data) {
                *to = *from;
            }
        }
        None
    }

    /// The guest reads a port; there is more to read than zeros in the latch alone.
    pub fn read(&self, port: u16, data: &mut [u8]) {
        data.fill(0);
        if let Some(offset) = latch_offset(port) {
            for (to, from) in data.iter_mut().zip(self.latch.iter().skip(offset)) {
                *to = *from;
            }
        }
    }

    /// The guest writes its memory; what lies beyond is dropped.
    pub fn write_memory(&mut self, offset: u32, data: &[u8]) {
        for (to, from) in self.memory.iter_mut().skip(offset as usize).zip(data) {
            *to = *from;
        }
    }

    /// The guest reads its memory; what lies beyond is 0.
    pub fn read_memory(&self, offset: u32, data: &mut [u8]) {
        data.fill(0);
        let memory = self.memory.iter().skip(offset as usize);
        for (to, from) in data.iter_mut().zip(memory) {
            *to = *from;
        }
    }
}

impl Default for Testdev {
    fn default() -> Self {
        Self::new()
    }
}

/// The interrupt line that a port drives.
fn line(port: u16) -> Option<u8> {
    let line = port.checked_sub(TESTDEV_LINE_PORT)?;
    u8::try_from(line).ok().filter(|_| line < LINES)
}

/// The byte of the latch that a port accesses.
fn latch_offset(port: u16) -> Option<usize> {
    [TESTDEV_LATCH_PORT, TESTDEV_BYTE_PORT]
        .into_iter()
        .filter_map(|first| port.checked_sub(first))
        .find(|&offset| offset < LATCH_PORTS)
        .map(usize::from)
}

impl fmt::Debug for Testdev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Testdev")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::TESTDEV_FLUSH_PORT;

    fn read<const N: usize>(device: &Testdev, port: u16) -> [u8; N] {
        let mut data = [0xAA; N];
        device.read(port, &mut data);
        data
    }

    #[test]
    fn each_port_drives_its_line() {
        let mut device = Testdev::new();
        for (port, data, driven) in [
            (0, &[1][..], Some((0, true))),
            (23, &[0], Some((23, false))),
            (5, &[0, 1], Some((5, true))),
            (5, &[0, 0, 0, 0], Some((5, false))),
            (24, &[1], None),
        ] {
            assert_eq!(device.write(TESTDEV_LINE_PORT + port, data), driven);
        }
        assert_eq!(device.write(TESTDEV_LINE_PORT - 1, &[1]), None);
        assert_eq!(read(&device, TESTDEV_LINE_PORT), [0]);
    }

    #[test]
    fn the_latch_keeps_what_is_written_at_any_width() {
        let mut device = Testdev::new();
        device.write(TESTDEV_LATCH_PORT, &[0x78, 0x56, 0x34, 0x12]);
        assert_eq!(read(&device, TESTDEV_LATCH_PORT), [0x78, 0x56, 0x34, 0x12]);
        device.write(TESTDEV_LATCH_PORT + 1, &[0xEF, 0xCD]);
        assert_eq!(read(&device, TESTDEV_BYTE_PORT), [0x78, 0xEF, 0xCD, 0x12]);
        device.write(TESTDEV_BYTE_PORT + 3, &[0xAB]);
        assert_eq!(read(&device, TESTDEV_LATCH_PORT + 2), [0xCD, 0xAB]);
        // Ends with the latch.
        device.write(TESTDEV_LATCH_PORT + 3, &[1, 2, 3]);
        assert_eq!(read(&device, TESTDEV_LATCH_PORT + 3), [1, 0]);
        assert_eq!(read(&device, TESTDEV_LATCH_PORT), [0x78]);
    }

    #[test]
    fn a_flush_leaves_the_latch_alone() {
        let mut device = Testdev::new();
        assert_eq!(device.write(TESTDEV_FLUSH_PORT, &[0xFF; 4]), None);
        assert_eq!(read(&device, TESTDEV_LATCH_PORT), [0; 4]);
    }

    #[test]
    fn its_memory_is_memory_and_ends() {
        let mut device = Testdev::new();
        device.write_memory(0xFFE, &[1, 2, 3, 4]);
        let mut data = [0xAA; 3];
        device.read_memory(0xFFF, &mut data);
        assert_eq!(data, [2, 3, 4]);
        device.write_memory(MEMORY - 1, &[5, 6]);
        device.read_memory(MEMORY - 1, &mut data);
        assert_eq!(data, [5, 0, 0]);
        device.write_memory(u32::MAX, &[7]);
        device.read_memory(u32::MAX, &mut data);
        assert_eq!(data, [0; 3]);
    }
}
