//! QEMU's fw_cfg by its two ports (QEMU, docs/specs/fw_cfg.rst): what test kernels ask of the
//! machine. Missing: files, and DMA.

use crate::chipset::Facts;
use crate::layout::FW_CFG_PORT;

const SIGNATURE: u16 = 0x00;
const ID: u16 = 0x01;
const RAM_SIZE: u16 = 0x03;
const CPUS: u16 = 0x05;
const MAX_CPUS: u16 = 0x0F;
const FILES: u16 = 0x19;

/// The interface by ports, without DMA.
const TRADITIONAL: u32 = 1;

/// The device.
#[derive(Clone, Debug)]
pub struct FwCfg {
    facts: Facts,
    selected: Vec<u8>,
    /// Next byte of it to be read.
    place: usize,
}

impl FwCfg {
    /// A device that tells these facts.
    #[must_use]
    pub const fn new(facts: &Facts) -> Self {
        Self {
            facts: *facts,
            selected: Vec::new(),
            place: 0,
        }
    }

    /// The guest writes a port: the selector alone takes anything.
    pub fn write(&mut self, port: u16, data: &[u8]) {
        if let (FW_CFG_PORT, &[low, high]) = (port, data) {
            self.selected = self.item(u16::from_le_bytes([low, high]));
            self.place = 0;
        }
    }

    /// The guest reads a port: the data port gives the item byte by byte, and 0 beyond its end.
    pub fn read(&mut self, port: u16, data: &mut [u8]) {
        if port == FW_CFG_PORT {
            return data.fill(0);
        }
        data.fill_with(|| {
            let byte = self.selected.get(self.place).copied();
            self.place = self.place.saturating_add(1);
            byte.unwrap_or(0)
        });
    }

    fn item(&self, selector: u16) -> Vec<u8> {
        let Facts { vcpus, memory } = self.facts;
        match selector {
            SIGNATURE => b"QEMU".to_vec(),
            ID => TRADITIONAL.to_le_bytes().to_vec(),
            RAM_SIZE => memory.to_le_bytes().to_vec(),
            CPUS | MAX_CPUS => vcpus.to_le_bytes().into_iter().take(2).collect(),
            // Their number, big-endian.
            FILES => vec![0; 4],
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(selector: u16, length: usize) -> Vec<u8> {
        let mut device = FwCfg::new(&Facts {
            vcpus: 4,
            memory: 0x0800_0000,
        });
        device.write(FW_CFG_PORT, &selector.to_le_bytes());
        let mut data = vec![0xAA; length];
        device.read(FW_CFG_PORT + 1, &mut data);
        data
    }

    #[test]
    fn items() {
        assert_eq!(read(SIGNATURE, 4), b"QEMU");
        assert_eq!(read(RAM_SIZE, 8), 0x0800_0000_u64.to_le_bytes());
        assert_eq!(read(CPUS, 2), [4, 0]);
        assert_eq!(read(MAX_CPUS, 4), [4, 0, 0, 0]);
        assert_eq!(read(0x1234, 3), [0; 3]);
    }

    #[test]
    fn a_selector_takes_two_bytes() {
        let mut device = FwCfg::new(&Facts {
            vcpus: 1,
            memory: 0,
        });
        device.write(FW_CFG_PORT, &[0]);
        device.write(FW_CFG_PORT + 1, &[0, 0]);
        let mut data = [0xAA; 2];
        device.read(FW_CFG_PORT + 1, &mut data);
        assert_eq!(data, [0; 2]);
    }
}
