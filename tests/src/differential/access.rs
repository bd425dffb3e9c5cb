//! Which register an operation reaches, through which door.

use vapic::Mode;
use vapic::spec::icr::{Icr, IcrFormat};
use vapic::spec::lvt::LvtSource;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage};
use vapic::spec::register::{Register, X2APIC_MSR_FIRST};

use super::model::Model;
use super::operation::{Action, Operation};

/// An access that reaches a register, or the place where one could be, in the present mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The register's number: page offset divided by 16, or MSR less 0x800.
    pub index: u32,
    /// The register, if there is one.
    pub register: Option<Register>,
    /// Through which door.
    pub door: Door,
    /// What is written, nothing if it is a read.
    pub written: Option<u64>,
}

/// A door to the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// MSRs.
    Msr,
    /// Memory: first byte within the register's sixteen, and how many.
    Page(u32, u8),
}

impl Access {
    /// Whether the register as a whole is read or written.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        matches!(self.door, Door::Msr | Door::Page(0, 4))
    }

    /// The bits of the register that a value read through this access stands for.
    #[must_use]
    pub fn bits(&self, value: u64) -> u64 {
        match self.door {
            Door::Msr => value,
            Door::Page(first, _) => value.checked_shl(first * 8).unwrap_or(0),
        }
    }
}

impl Model {
    /// The processors to which an operation sends INIT.
    #[must_use]
    pub fn initialised(&self, operation: &Operation) -> Vec<u8> {
        match self.message(operation) {
            Some(message) if message.delivery == DeliveryMode::Init => {
                self.reached(operation.processor, message.destination)
            }
            _ => Vec::new(),
        }
    }

    /// The processors whose APICs an operation's vector can reach. Illegal ones have targets too:
    /// those of KVM.
    #[must_use]
    pub fn reached_by_vector(&self, operation: &Operation) -> Vec<u8> {
        let legal = |icr: Icr| icr.with_vector(icr.vector().max(16));
        let message = self.decoded(operation, legal).filter(|message| {
            matches!(
                message.delivery,
                DeliveryMode::Fixed | DeliveryMode::LowestPriority
            )
        });
        message.map_or_else(Vec::new, |message| {
            self.reached(operation.processor, message.destination)
        })
    }

    /// What an operation sends, if it does.
    fn message(&self, operation: &Operation) -> Option<InterruptMessage> {
        self.decoded(operation, |icr| icr)
    }

    fn decoded(
        &self,
        operation: &Operation,
        change: impl FnOnce(Icr) -> Icr,
    ) -> Option<InterruptMessage> {
        let format = match self.access(operation)?.door {
            Door::Msr => IcrFormat::X2apic,
            Door::Page(..) => IcrFormat::Xapic,
        };
        change(self.command(operation)?).decode(format).ok()
    }

    /// The processors that a destination reaches, were it not for arbitration.
    fn reached(&self, sender: u8, destination: Destination) -> Vec<u8> {
        let reaches = |&processor: &u8| match destination {
            Destination::Sender => processor == sender,
            Destination::AllButSender if processor == sender => false,
            _ => self.apic(processor).identity().matches(destination),
        };
        (0..self.count()).filter(reaches).collect()
    }

    /// The register that an operation reaches, if it does.
    #[must_use]
    pub fn access(&self, operation: &Operation) -> Option<Access> {
        let apic = self.apic(operation.processor);
        let msr = |msr: u32, written| {
            let index = msr.checked_sub(X2APIC_MSR_FIRST).filter(|&i| i < 0x100)?;
            (apic.mode() == Mode::X2apic).then_some(Access {
                index,
                register: Register::from_index(index),
                door: Door::Msr,
                written,
            })
        };
        let page = |address: u32, width, written| {
            let offset = u64::from(address).checked_sub(apic.page()?)?;
            let offset = u32::try_from(offset).ok().filter(|&o| o < 0x1000)?;
            Some(Access {
                index: offset >> 4,
                register: Register::from_offset(offset),
                door: Door::Page(offset & 0xF, width),
                written,
            })
        };
        match operation.action {
            Action::ReadMsr(index) => msr(index, None),
            Action::WriteMsr(index, value) => msr(index, Some(value)),
            Action::ReadPage(address, width) => page(address, width, None),
            Action::WritePage(address, width, value) => {
                let kept = u64::MAX >> (64 - 8 * u32::from(width));
                page(address, width, Some(value & kept))
            }
            Action::ExchangePage(address, value) => page(address, 4, Some(value.into())),
            _ => None,
        }
    }

    /// The ICR as an operation makes it, if it sends.
    #[must_use]
    pub fn command(&self, operation: &Operation) -> Option<Icr> {
        let access = self.access(operation).filter(Access::is_whole)?;
        match (access.register?, access.door, access.written?) {
            (Register::InterruptCommand, Door::Msr, value) => {
                (value & Icr::X2APIC_RESERVED == 0).then(|| Icr::from_bits(value))
            }
            (Register::InterruptCommand, Door::Page(..), low) => Some(Icr::from_xapic(
                u32::try_from(low & 0xFFFF_FFFF).expect("masked"),
                self.register(operation.processor, 0x31),
            )),
            _ => None,
        }
    }
}

/// The number of an entry of the local vector table.
#[must_use]
pub const fn lvt_index(source: LvtSource) -> u32 {
    match source {
        LvtSource::CorrectedMachineCheck => 0x2F,
        LvtSource::Timer => 0x32,
        LvtSource::Thermal => 0x33,
        LvtSource::PerformanceCounter => 0x34,
        LvtSource::Lint0 => 0x35,
        LvtSource::Lint1 => 0x36,
        LvtSource::Error => 0x37,
    }
}
