//! From a message's destination to the APICs it reaches (SDM 3A, APIC §6.2 and §12.10).
//!
//! The sender's mode was applied when the message was decoded; here each receiver's own mode and
//! model decide whether it matches, so xAPIC and x2APIC processors may live in one VM.
//!
//! [`Identity::matches`] is the rule. The [`Map`] answers the same question from tables, so that the
//! cost of a send grows with its targets and not with the processors of the VM.

mod map;

pub(crate) use map::Map;

use crate::mode::Mode;
use crate::spec::message::Destination;

/// How an xAPIC-mode receiver reads a logical address: its destination format register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogicalModel {
    /// Eight APICs, one bit each.
    Flat,
    /// Fifteen clusters of four APICs.
    Cluster,
    /// Any other format: nothing but a broadcast matches.
    Unknown,
}

/// How others address an APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its mode; a disabled APIC receives nothing.
    pub mode: Mode,
    /// Its 32-bit ID.
    pub x2apic_id: u32,
    /// Its xAPIC ID, which the guest may change.
    pub xapic_id: u8,
    /// LDR bits 31:24.
    pub logical_id: u8,
    /// DFR.
    pub model: LogicalModel,
    /// SVR bit 8; matters to lowest-priority arbitration alone.
    pub software_enabled: bool,
}

impl Identity {
    /// Whether a message with this destination reaches the APIC, shorthands aside.
    #[must_use]
    pub fn matches(&self, destination: Destination) -> bool {
        match (self.mode, destination) {
            (Mode::Disabled, _) | (_, Destination::Sender) => false,
            (_, Destination::All | Destination::AllButSender) => true,
            (Mode::X2apic, Destination::Physical(id)) => id == self.x2apic_id,
            // An ID above 255 cannot alias, so it reaches its APIC in xAPIC mode as well.
            (Mode::Xapic, Destination::Physical(id)) => {
                id == u32::from(self.xapic_id) || id > 0xFF && id == self.x2apic_id
            }
            (Mode::X2apic, Destination::Logical(address)) => {
                address >> 16 == self.x2apic_id >> 4 && address >> (self.x2apic_id & 0xF) & 1 != 0
            }
            (Mode::Xapic, Destination::Logical(address)) => self.matches_xapic_logical(address),
        }
    }

    fn matches_xapic_logical(&self, address: u32) -> bool {
        let logical = u32::from(self.logical_id);
        match self.model {
            LogicalModel::Flat => address & logical != 0,
            LogicalModel::Cluster => {
                let cluster = address >> 4;
                (cluster == logical >> 4 || cluster == 0xF) && address & logical & 0xF != 0
            }
            LogicalModel::Unknown => false,
        }
    }
}

/// Most APICs of one VM, and the bound of their IDs: tables are dense.
pub const MAX_APICS: u32 = 0x8000;

#[cfg(test)]
mod tests;
