//! QEMU's fw_cfg by its two ports (QEMU, docs/specs/fw_cfg.rst): what test kernels ask of the
//! machine. There are no files, and no DMA.

use crate::layout::FW_CFG_PORT;

const SIGNATURE: u16 = 0x00;
const ID: u16 = 0x01;
const RAM_SIZE: u16 = 0x03;
const CPUS: u16 = 0x05;
const MAX_CPUS: u16 = 0x0F;
const FILES: u16 = 0x19;

/// Selector bit 14: the item is to be written; no item can be.
const WRITE: u16 = 1 << 14;

/// Id: the interface by ports, without DMA.
const TRADITIONAL: u64 = 1;

/// The device.
#[derive(Clone, Debug)]
pub struct FwCfg {
    memory: u64,
    vcpus: u16,
    /// The selected item: its bytes in memory's order, as many as it has.
    item: [u8; 8],
    size: usize,
    /// Next byte of it to be read.
    place: usize,
}

impl FwCfg {
    /// A device of a machine with so many bytes of memory and vCPUs.
    #[must_use]
    pub fn new(memory: u64, vcpus: u32) -> Self {
        let mut device = Self {
            memory,
            vcpus: u16::try_from(vcpus).unwrap_or(u16::MAX),
            item: [0; 8],
            size: 0,
            place: 0,
        };
        device.select(SIGNATURE);
        device
    }

    /// The guest writes a port: the selector takes a word, the data port takes nothing.
    pub fn write(&mut self, port: u16, data: &[u8]) {
        if let (FW_CFG_PORT, &[low, high]) = (port, data) {
            self.select(u16::from_le_bytes([low, high]));
        }
    }

    /// The guest reads a port: the data port gives the item byte by byte, and 0 beyond its end.
    pub fn read(&mut self, port: u16, data: &mut [u8]) {
        data.fill(0);
        if port == FW_CFG_PORT {
            return;
        }
        let rest = self.item.iter().take(self.size).skip(self.place);
        for (to, from) in data.iter_mut().zip(rest) {
            *to = *from;
        }
        self.place = self.place.saturating_add(data.len());
    }

    fn select(&mut self, selector: u16) {
        let (value, size) = match selector & !WRITE {
            SIGNATURE => (u32::from_le_bytes(*b"QEMU").into(), 4),
            ID => (TRADITIONAL, 4),
            RAM_SIZE => (self.memory, 8),
            CPUS | MAX_CPUS => (self.vcpus.into(), 2),
            // How many there are.
            FILES => (0, 4),
            _ => (0, 0),
        };
        self.item = value.to_le_bytes();
        self.size = size;
        self.place = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA_PORT: u16 = FW_CFG_PORT + 1;
    const MEMORY: u64 = 0x1_2345_6000;

    fn device() -> FwCfg {
        FwCfg::new(MEMORY, 3)
    }

    fn item<const N: usize>(device: &mut FwCfg, selector: u16) -> [u8; N] {
        device.write(FW_CFG_PORT, &selector.to_le_bytes());
        let mut bytes = [0xAA; N];
        for byte in &mut bytes {
            device.read(DATA_PORT, std::slice::from_mut(byte));
        }
        bytes
    }

    #[test]
    fn it_signs() {
        assert_eq!(&item(&mut device(), SIGNATURE), b"QEMU");
        // Nothing but the traditional interface: bit 1, DMA, is off.
        assert_eq!(item(&mut device(), ID), [1, 0, 0, 0]);
    }

    #[test]
    fn it_tells_the_machine() {
        let device = &mut device();
        assert_eq!(u64::from_le_bytes(item(device, RAM_SIZE)), MEMORY);
        assert_eq!(u16::from_le_bytes(item(device, CPUS)), 3);
        assert_eq!(u16::from_le_bytes(item(device, MAX_CPUS)), 3);
        assert_eq!(u32::from_be_bytes(item(device, FILES)), 0);
    }

    #[test]
    fn beyond_an_item_are_zeros() {
        assert_eq!(item(&mut device(), CPUS), [3, 0, 0, 0]);
        for selector in [0x02, 0x4242, 0x8000, 0xFFFF] {
            assert_eq!(item(&mut device(), selector), [0; 12], "{selector:#x}");
        }
    }

    #[test]
    fn a_selection_starts_anew_and_a_string_of_reads_goes_on() {
        let device = &mut device();
        assert_eq!(&item(device, SIGNATURE), b"QE");
        let mut rest = [0xAA; 3];
        device.read(DATA_PORT, &mut rest);
        assert_eq!(&rest, b"MU\0");
        assert_eq!(&item(device, WRITE | SIGNATURE), b"QE");
    }

    #[test]
    fn writes_select_by_words_and_change_nothing() {
        let device = &mut device();
        assert_eq!(&item(device, SIGNATURE), b"Q");
        device.write(FW_CFG_PORT, &[5]);
        device.write(FW_CFG_PORT, &[5, 0, 0, 0]);
        device.write(FW_CFG_PORT, &[]);
        device.write(DATA_PORT, &[5, 0]);
        let mut byte = [0];
        device.read(DATA_PORT, &mut byte);
        assert_eq!(&byte, b"E");
    }
}
