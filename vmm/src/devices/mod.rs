//! The machine's devices: pure state machines but for the console. An access takes the time; lines
//! and deadlines are asked for afterwards. `crate::chipset` joins them to the machine.

mod acpi_pm;
mod cmos;
mod console;
pub mod debug_exit;
mod fw_cfg;
mod pic;
mod pit;
pub mod pm_timer;
pub mod power;
mod serial;
pub mod testdev;

pub use acpi_pm::AcpiPm;
pub use cmos::Cmos;
pub use console::Console;
pub use fw_cfg::FwCfg;
pub use pic::Pic;
pub use pit::Pit;
pub use power::PowerRequest;
pub use serial::SerialPort;
pub use testdev::Testdev;

use crate::layout;

/// Registers of a 16550.
const SERIAL_PORTS: u16 = 8;

/// The device behind a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The serial port's register with this offset.
    Serial(u8),
    /// The guest's marker lines.
    Marker,
    /// A device of the chipset.
    Chipset(Device),
    /// Nothing: reads as all ones, writes are dropped.
    Empty,
}

/// A device of the chipset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The 8259 pair.
    Pic,
    /// The 8254, and port 0x61.
    Pit,
    /// The clock and its memory.
    Cmos,
    /// The PM1 registers.
    AcpiPm,
    /// The PM timer, from this byte on.
    PmTimer(u16),
    /// fw_cfg.
    FwCfg,
    /// The debug exit.
    DebugExit,
    /// The test device.
    Testdev,
    /// What may reset.
    Reset,
}

impl Port {
    /// The device at a port number.
    #[must_use]
    pub fn at(port: u16) -> Self {
        match port.checked_sub(layout::SERIAL_PORT) {
            Some(offset) if offset < SERIAL_PORTS => Self::Serial(offset.to_le_bytes()[0]),
            _ if port == layout::MARKER_PORT => Self::Marker,
            _ => Device::at(port).map_or(Self::Empty, Self::Chipset),
        }
    }

    /// Its registers are of a byte each: the bus makes one access a byte of a wider one, at the ports
    /// that follow.
    #[must_use]
    pub const fn is_byte_wide(self) -> bool {
        matches!(
            self,
            Self::Serial(_) | Self::Chipset(Device::Pic | Device::Pit | Device::Cmos)
        )
    }

    /// It takes any number of bytes that come to it one by one as it takes one.
    #[must_use]
    pub const fn is_stream(self) -> bool {
        self.is_byte_wide() || matches!(self, Self::Marker | Self::Chipset(Device::FwCfg))
    }
}

impl Device {
    fn at(port: u16) -> Option<Self> {
        let within = |first: u16, count: u16| port.checked_sub(first).filter(|&at| at < count);
        let is = |first, count| within(first, count).is_some();
        Some(match port {
            _ if is(layout::PIC_MASTER_PORT, 2)
                || is(layout::PIC_SLAVE_PORT, 2)
                || is(layout::ELCR_PORT, 2) =>
            {
                Self::Pic
            }
            layout::SYSTEM_CONTROL_PORT => Self::Pit,
            _ if is(layout::PIT_PORT, 4) => Self::Pit,
            _ if is(layout::RTC_PORT, 2) => Self::Cmos,
            _ if is(layout::PM1_EVENT_PORT, 4) || is(layout::PM1_CONTROL_PORT, 2) => Self::AcpiPm,
            _ if is(layout::PM_TIMER_PORT, 4) => Self::PmTimer(port - layout::PM_TIMER_PORT),
            _ if is(layout::FW_CFG_PORT, 2) => Self::FwCfg,
            _ if is(layout::DEBUG_EXIT_PORT, debug_exit::PORTS) => Self::DebugExit,
            _ if is(layout::TESTDEV_LINE_PORT, testdev::LINES)
                || is(layout::TESTDEV_LATCH_PORT, testdev::LATCH_PORTS)
                || is(layout::TESTDEV_FLUSH_PORT, testdev::LATCH_PORTS)
                || is(layout::TESTDEV_BYTE_PORT, testdev::LATCH_PORTS) =>
            {
                Self::Testdev
            }
            layout::RESET_PORT | layout::KEYBOARD_COMMAND_PORT | layout::FAST_RESET_PORT => {
                Self::Reset
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_have_their_devices() {
        let chipset = Port::Chipset;
        for (port, device) in [
            (0x1F, Port::Empty),
            (0x21, chipset(Device::Pic)),
            (0x43, chipset(Device::Pit)),
            (0x44, Port::Empty),
            (0x61, chipset(Device::Pit)),
            (0x64, chipset(Device::Reset)),
            (0x71, chipset(Device::Cmos)),
            (0x92, chipset(Device::Reset)),
            (0xA1, chipset(Device::Pic)),
            (0xEB, chipset(Device::Testdev)),
            (0xF4, chipset(Device::DebugExit)),
            (0x3F7, Port::Empty),
            (0x3F8, Port::Serial(0)),
            (0x3FF, Port::Serial(7)),
            (0x400, Port::Empty),
            (0x4D1, chipset(Device::Pic)),
            (0x511, chipset(Device::FwCfg)),
            (0x605, chipset(Device::AcpiPm)),
            (0x60A, chipset(Device::PmTimer(2))),
            (0x700, Port::Marker),
            (0xCF9, chipset(Device::Reset)),
            (0x2017, chipset(Device::Testdev)),
            (0x2018, Port::Empty),
            (0, Port::Empty),
            (0xFFFF, Port::Empty),
        ] {
            assert_eq!(Port::at(port), device, "{port:#x}");
        }
    }
}
