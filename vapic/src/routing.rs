//! From a message's destination to the APICs it reaches (SDM 3A, APIC §6.2 and §12.10).
//!
//! The sender's mode was applied when the message was decoded; here each receiver's own mode and
//! model decide whether it matches, so xAPIC and x2APIC processors may live in one VM.
//!
//! [`Identity::matches`] is the rule. [`Map`] answers the same question from tables, so that the
//! cost of a send grows with its targets and not with the processors of the VM.

use alloc::boxed::Box;
use alloc::vec;

use crate::mode::Mode;
use crate::spec::message::{DeliveryMode, Destination, InterruptMessage};

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

/// A place in a table: the index of an APIC, or none.
type Slot = u16;
const NONE: Slot = Slot::MAX;

/// Most APICs of one VM, and the bound of their IDs: tables are dense.
pub const MAX_APICS: u32 = 0x8000;

/// An immutable picture of who answers to which address.
#[derive(Debug)]
pub(crate) struct Map {
    identities: Box<[Identity]>,
    /// APICs that are not globally disabled.
    enabled: Box<[Slot]>,
    /// By ID, both modes; meaningless if `physical_is_ambiguous`.
    physical: Box<[Slot]>,
    physical_is_ambiguous: bool,
    /// By ID, x2APIC mode alone: cluster and bit of a logical address are its high and low part.
    x2apic: Box<[Slot]>,
    /// By bit of a flat logical address; meaningless if `logical_is_ambiguous`.
    flat: [Slot; 8],
    /// By cluster and bit; meaningless if `logical_is_ambiguous`.
    cluster: [[Slot; 4]; 15],
    logical_is_ambiguous: bool,
}

impl Map {
    pub(crate) fn new(identities: &[Identity]) -> Self {
        let ids = identities
            .iter()
            .map(|identity| identity.x2apic_id)
            .max()
            .unwrap_or(0);
        let mut map = Self {
            identities: identities.into(),
            enabled: (0..)
                .zip(identities)
                .filter(|(_, identity)| identity.mode != Mode::Disabled)
                .map(|(index, _)| index)
                .collect(),
            physical: vec![NONE; ids.max(0xFF) as usize + 1].into(),
            physical_is_ambiguous: false,
            x2apic: vec![NONE; ids as usize + 1].into(),
            flat: [NONE; 8],
            cluster: [[NONE; 4]; 15],
            logical_is_ambiguous: false,
        };
        for (index, identity) in (0..).zip(identities) {
            match identity.mode {
                Mode::Disabled => {}
                Mode::X2apic => {
                    map.enter_physical(identity.x2apic_id, index);
                    enter(&mut map.x2apic, identity.x2apic_id as usize, index);
                }
                Mode::Xapic => {
                    map.enter_physical(u32::from(identity.xapic_id), index);
                    if identity.x2apic_id > 0xFF {
                        map.enter_physical(identity.x2apic_id, index);
                    }
                    map.enter_xapic_logical(identity, index);
                }
            }
        }
        map
    }

    fn enter_physical(&mut self, id: u32, index: Slot) {
        self.physical_is_ambiguous |= !enter(&mut self.physical, id as usize, index);
    }

    fn enter_xapic_logical(&mut self, identity: &Identity, index: Slot) {
        let bits = match identity.model {
            LogicalModel::Flat => identity.logical_id,
            LogicalModel::Cluster => identity.logical_id & 0xF,
            LogicalModel::Unknown => 0,
        };
        if bits == 0 {
            return;
        }
        let bit = bits.trailing_zeros() as usize;
        let free = match identity.model {
            LogicalModel::Cluster => self
                .cluster
                .get_mut(usize::from(identity.logical_id >> 4))
                .is_some_and(|cluster| enter(cluster, bit, index)),
            LogicalModel::Flat | LogicalModel::Unknown => enter(&mut self.flat, bit, index),
        };
        // Two APICs on one bit, one APIC on two bits, or an APIC in cluster 15.
        self.logical_is_ambiguous |= !free || !bits.is_power_of_two();
    }

    /// Calls `each` with the index of every target.
    #[inline]
    pub(crate) fn for_each_target(
        &self,
        source: Option<usize>,
        message: &InterruptMessage,
        each: &mut impl FnMut(usize),
    ) {
        if message.delivery == DeliveryMode::LowestPriority {
            return self.arbitrate(source, message).into_iter().for_each(each);
        }
        match message.destination {
            Destination::Physical(id) if !self.physical_is_ambiguous => {
                visit(self.physical.get(id as usize), each);
            }
            Destination::Logical(address) if !self.logical_is_ambiguous => {
                self.for_each_logical(address, each);
            }
            Destination::Physical(_) | Destination::Logical(_) => {
                self.scan(message.destination).for_each(each);
            }
            Destination::Sender => source.into_iter().for_each(each),
            Destination::All => self
                .enabled
                .iter()
                .for_each(|&index| each(usize::from(index))),
            Destination::AllButSender => {
                for &index in &self.enabled {
                    if Some(usize::from(index)) != source {
                        each(usize::from(index));
                    }
                }
            }
        }
    }

    fn for_each_logical(&self, address: u32, each: &mut impl FnMut(usize)) {
        let first = (address >> 16 << 4) as usize;
        if let Some(members) = self.x2apic.get(first..) {
            visit_bits(members, address & 0xFFFF, each);
        }
        visit_bits(&self.flat, address & 0xFF, each);
        let members = address & 0xF;
        match address >> 4 {
            0xF => self
                .cluster
                .iter()
                .for_each(|cluster| visit_bits(cluster, members, each)),
            cluster => {
                if let Some(cluster) = self.cluster.get(cluster as usize) {
                    visit_bits(cluster, members, each);
                }
            }
        }
    }

    fn scan(&self, destination: Destination) -> impl Iterator<Item = usize> {
        let all = self.identities.iter().enumerate();
        all.filter(move |(_, identity)| identity.matches(destination))
            .map(|(index, _)| index)
    }

    /// The one target of a lowest-priority message.
    ///
    /// The manual leaves the choice to the chipset (§6.2.4). Ours is a hash of the vector over the
    /// software-enabled candidates in the order of their index: it needs nothing of the receivers'
    /// state, spreads vectors, and is the same each time.
    #[cold]
    fn arbitrate(&self, source: Option<usize>, message: &InterruptMessage) -> Option<usize> {
        let candidates = || {
            self.scan(match message.destination {
                Destination::Sender => Destination::All,
                other => other,
            })
            .filter(|&index| match message.destination {
                Destination::Sender => Some(index) == source,
                Destination::AllButSender => Some(index) != source,
                _ => true,
            })
            .filter(|&index| {
                self.identities
                    .get(index)
                    .is_some_and(|i| i.software_enabled)
            })
        };
        let count = candidates().count();
        candidates().nth(usize::from(message.vector).checked_rem(count)?)
    }
}

/// Fills an empty place; whether it was empty and exists.
fn enter(table: &mut [Slot], place: usize, index: Slot) -> bool {
    match table.get_mut(place) {
        Some(slot) if *slot == NONE => {
            *slot = index;
            true
        }
        _ => false,
    }
}

#[inline]
fn visit(slot: Option<&Slot>, each: &mut impl FnMut(usize)) {
    if let Some(&index) = slot
        && index != NONE
    {
        each(usize::from(index));
    }
}

#[inline]
fn visit_bits(table: &[Slot], mut bits: u32, each: &mut impl FnMut(usize)) {
    while bits != 0 {
        visit(table.get(bits.trailing_zeros() as usize), each);
        bits &= bits - 1;
    }
}

#[cfg(test)]
mod tests;
