//! The devices of the machine beside its processors and its console: joined to the interrupt lines
//! and to the time.
//!
//! A device is a pure state machine (`crate::devices`): an access takes the time, and its outputs
//! are asked for afterwards. This is what asks.

mod delivery;
mod lines;

use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

pub use delivery::{Delivery, Routes};
pub use lines::{INTR_TARGET, Intr};

use crate::deadline_timer::DeadlineTimer;
use crate::devices::{
    AcpiPm, Cmos, Device, FwCfg, Pit, PowerRequest, Testdev, debug_exit, pm_timer, power, testdev,
};
use crate::layout;
use crate::machine::Ending;
use crate::observe::{Clock, Tsc};
use lines::Lines;

/// ISA interrupt of the 8254.
const TIMER_IRQ: u8 = 0;

/// Shortest time for which the timer is armed: a guest may ask for interrupts at a rate that would
/// load the event loop for nothing, since those that are due meanwhile become one. No guest keeps
/// time by a faster 8254.
const SHORTEST_WAIT_NS: u64 = 100_000;

/// What the devices tell a guest of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Number of vCPUs.
    pub vcpus: u32,
    /// Bytes of RAM.
    pub memory: u64,
}

/// The devices, and their wires.
pub struct Chipset {
    lines: Lines,
    pit: Pit,
    cmos: Cmos,
    acpi_pm: AcpiPm,
    fw_cfg: FwCfg,
    testdev: Testdev,
    clock: Clock,
    timer: DeadlineTimer,
}

impl Chipset {
    /// The devices after power-up, whose time is that of `clock`.
    ///
    /// # Errors
    ///
    /// No timer could be had.
    pub fn new(
        delivery: Delivery,
        intr: Arc<Intr>,
        clock: Clock,
        facts: &Facts,
    ) -> io::Result<Self> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(Self {
            lines: Lines::new(delivery, intr, clock),
            pit: Pit::new(),
            cmos: Cmos::new(
                now.map_or(0, |time| time.as_secs()),
                facts.memory,
                facts.vcpus,
            ),
            acpi_pm: AcpiPm::new(),
            fw_cfg: FwCfg::new(facts.memory, facts.vcpus),
            testdev: Testdev::new(),
            clock,
            timer: DeadlineTimer::new(SHORTEST_WAIT_NS)?,
        })
    }

    /// The guest reads a port of `device`: of those with registers of a byte, as often as there are
    /// bytes.
    pub fn read(&mut self, device: Device, port: u16, data: &mut [u8], now: Tsc) {
        let time = self.clock.time(now);
        match device {
            Device::Pic => data.fill_with(|| self.lines.read_pic(port)),
            Device::Pit => data.fill_with(|| self.pit.read(port, time)),
            Device::Cmos => data.fill_with(|| self.cmos.read(port, time)),
            Device::AcpiPm => self.acpi_pm.read(port, data),
            Device::PmTimer(offset) => pm_timer::read(offset, data, time),
            Device::FwCfg => self.fw_cfg.read(port, data),
            Device::Testdev => self.testdev.read(port, data),
            Device::DebugExit => data.fill(0),
            Device::Reset => data.fill(power::read(port)),
        }
    }

    /// The guest writes a port of `device`; returns how that ends the machine, if it does.
    pub fn write(&mut self, device: Device, port: u16, data: &[u8], now: Tsc) -> Option<Ending> {
        let time = self.clock.time(now);
        match device {
            Device::Pic => {
                for &byte in data {
                    self.lines.write_pic(port, byte);
                }
            }
            Device::Pit => {
                for &byte in data {
                    self.pit.write(port, byte, time);
                }
                self.advance(now);
            }
            Device::Cmos => {
                for &byte in data {
                    self.cmos.write(port, byte, time);
                }
            }
            Device::AcpiPm => return self.acpi_pm.write(port, data).map(Ending::from),
            Device::PmTimer(_) => {}
            Device::FwCfg => self.fw_cfg.write(port, data),
            Device::Testdev => {
                if let Some((line, high)) = self.testdev.write(port, data) {
                    self.lines.set(line, high, now);
                    self.arm(now);
                }
            }
            Device::DebugExit => return Some(Ending::DebugExit(debug_exit::code(data))),
            Device::Reset => return power::write(port, data).map(Ending::from),
        }
        None
    }

    /// The guest reads memory that is no RAM.
    pub fn read_memory(&mut self, address: u64, data: &mut [u8]) {
        match Memory::at(address) {
            Some(Memory::IoApic(offset)) => self.lines.read_ioapic(offset, data),
            Some(Memory::Testdev(offset)) => self.testdev.read_memory(offset, data),
            None => data.fill(0xFF),
        }
    }

    /// The guest writes memory that is no RAM.
    pub fn write_memory(&mut self, address: u64, data: &[u8], now: Tsc) {
        match Memory::at(address) {
            Some(Memory::IoApic(offset)) => {
                self.lines.write_ioapic(offset, data, now);
                self.arm(now);
            }
            Some(Memory::Testdev(offset)) => self.testdev.write_memory(offset, data),
            None => {}
        }
    }

    /// A Local APIC broadcasts the end of a level-triggered interrupt.
    pub fn end_of_interrupt(&mut self, vector: u8, now: Tsc) {
        self.lines.end_of_interrupt(vector, now);
        self.arm(now);
    }

    /// A Local APIC has refused a level-triggered interrupt.
    pub fn refused(&mut self, vector: u8, now: Tsc) {
        self.lines.refused(vector, now);
        self.arm(now);
    }

    /// The processor acknowledges the 8259's interrupt; returns the vector that it gives.
    pub fn acknowledge_pic(&mut self) -> u8 {
        self.lines.acknowledge()
    }

    /// The serial port asks for an interrupt.
    pub fn serial_interrupt(&mut self, now: Tsc) {
        self.lines.edge(layout::SERIAL_IRQ, now);
    }

    /// Readable once something of the devices is due; then [`Self::advance`].
    #[must_use]
    pub fn timer(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Tsc) {
        if self.pit.advance(self.clock.time(now)) {
            self.lines.edge(TIMER_IRQ, now);
        }
        self.lines.advance(now);
        self.timer.expired();
        self.arm(now);
    }

    /// Arms the timer for what comes next.
    fn arm(&mut self, now: Tsc) {
        let next = [self.pit.deadline(), self.lines.deadline()];
        if let Some(next) = next.into_iter().flatten().min() {
            self.timer.arm(next, self.clock.time(now));
        }
    }
}

/// A device in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Memory {
    /// The IOAPIC's registers.
    IoApic(u32),
    /// The test device's memory.
    Testdev(u32),
}

impl Memory {
    fn at(address: u64) -> Option<Self> {
        let within = |start: u64, size: u32| {
            let offset = u32::try_from(address.checked_sub(start)?).ok()?;
            (offset < size).then_some(offset)
        };
        within(layout::IOAPIC, 0x1000)
            .map(Self::IoApic)
            .or_else(|| within(layout::TESTDEV_MEMORY, testdev::MEMORY).map(Self::Testdev))
    }
}

impl From<PowerRequest> for Ending {
    fn from(request: PowerRequest) -> Self {
        match request {
            PowerRequest::PowerOff => Self::PowerOff,
            PowerRequest::Reset => Self::Reset,
        }
    }
}

impl fmt::Debug for Chipset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chipset")
    }
}
