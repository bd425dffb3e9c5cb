//! Who answers to which address, as tables: a lookup costs as much as it finds targets.
//!
//! Where the guest's addressing is ambiguous (two APICs with one ID, or on one logical bit) the
//! tables of that kind give way to a scan of all identities by the rule.

use alloc::boxed::Box;
use alloc::vec;

use super::{Identity, LogicalModel};
use crate::mode::Mode;
use crate::spec::message::{DeliveryMode, Destination, InterruptMessage};

/// A place in a table: the index of an APIC, or none.
type Slot = u16;
const NONE: Slot = Slot::MAX;

/// An immutable picture of all identities.
#[derive(Debug)]
pub(crate) struct Map {
    identities: Box<[Identity]>,
    /// APICs that are not globally disabled.
    enabled: Box<[Slot]>,
    /// By ID, both modes; empty if ambiguous.
    physical: Box<[Slot]>,
    logical: Option<Logical>,
}

/// The logical addresses of all APICs.
#[derive(Debug)]
struct Logical {
    /// By ID, x2APIC mode alone: cluster and bit of an address are its high and low part.
    x2apic: Box<[Slot]>,
    /// By bit of a flat address.
    flat: Members<8>,
    /// By cluster and bit.
    clusters: [Members<4>; 15],
}

/// The APICs behind the bits of one address.
#[derive(Clone, Copy, Debug)]
struct Members<const BITS: usize> {
    /// Bits that stand for an APIC.
    used: u32,
    slots: [Slot; BITS],
}

impl Map {
    pub(crate) fn new(identities: &[Identity]) -> Self {
        let is_enabled = |identity: &Identity| identity.mode != Mode::Disabled;
        let enabled = (0..)
            .zip(identities)
            .filter(|(_, identity)| is_enabled(identity));
        Self {
            identities: identities.into(),
            enabled: enabled.map(|(index, _)| index).collect(),
            physical: physical(identities).unwrap_or_default(),
            logical: Logical::new(identities),
        }
    }

    /// The target of a message that names one ID, if the tables know it.
    #[inline]
    pub(crate) fn unicast(&self, message: &InterruptMessage) -> Option<usize> {
        match message.destination {
            Destination::Physical(id) if message.delivery != DeliveryMode::LowestPriority => {
                let slot = self.physical.get(id as usize)?;
                (*slot != NONE).then_some(usize::from(*slot))
            }
            _ => None,
        }
    }

    /// Calls `each` with the index of every target.
    pub(crate) fn for_each_target(
        &self,
        source: Option<usize>,
        message: InterruptMessage,
        mut each: impl FnMut(usize),
    ) {
        if message.delivery == DeliveryMode::LowestPriority {
            return self.arbitrate(source, message).into_iter().for_each(each);
        }
        match (message.destination, &self.logical) {
            (Destination::Sender, _) => source.into_iter().for_each(each),
            (Destination::All, _) => {
                for &index in &self.enabled {
                    each(usize::from(index));
                }
            }
            (Destination::AllButSender, _) => {
                for &index in &self.enabled {
                    if Some(usize::from(index)) != source {
                        each(usize::from(index));
                    }
                }
            }
            (Destination::Logical(address), Some(logical)) => logical.visit(address, each),
            (Destination::Physical(_), _) if !self.physical.is_empty() => {
                self.unicast(&message).into_iter().for_each(each);
            }
            (Destination::Physical(_) | Destination::Logical(_), _) => {
                self.scan(message.destination).for_each(each);
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
    fn arbitrate(&self, source: Option<usize>, message: InterruptMessage) -> Option<usize> {
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

/// The table of IDs, or `None` if two APICs answer to one.
fn physical(identities: &[Identity]) -> Option<Box<[Slot]>> {
    let highest = identities.iter().map(|identity| identity.x2apic_id).max()?;
    let mut table: Box<[Slot]> = vec![NONE; highest.max(0xFF) as usize + 1].into();
    for (index, identity) in (0..).zip(identities) {
        match identity.mode {
            Mode::Disabled => {}
            Mode::X2apic => enter(&mut table, identity.x2apic_id as usize, index)?,
            Mode::Xapic => {
                enter(&mut table, usize::from(identity.xapic_id), index)?;
                if identity.x2apic_id > 0xFF {
                    enter(&mut table, identity.x2apic_id as usize, index)?;
                }
            }
        }
    }
    Some(table)
}

/// Fills a place that exists and is empty.
fn enter(table: &mut [Slot], place: usize, index: Slot) -> Option<()> {
    let slot = table.get_mut(place).filter(|slot| **slot == NONE)?;
    *slot = index;
    Some(())
}

impl Logical {
    /// The tables, or `None` if two APICs answer to one bit, one APIC to two, or one sits in
    /// cluster 15, whose address means every cluster.
    fn new(identities: &[Identity]) -> Option<Self> {
        let in_x2apic_mode = identities
            .iter()
            .filter(|identity| identity.mode == Mode::X2apic);
        let size = in_x2apic_mode
            .map(|identity| identity.x2apic_id as usize + 1)
            .max();
        let mut tables = Self {
            x2apic: vec![NONE; size.unwrap_or(0)].into(),
            flat: Members::NONE,
            clusters: [Members::NONE; 15],
        };
        for (index, identity) in (0..).zip(identities) {
            let logical_id = u32::from(identity.logical_id);
            match (identity.mode, identity.model) {
                (Mode::X2apic, _) => {
                    enter(&mut tables.x2apic, identity.x2apic_id as usize, index)?;
                }
                (Mode::Xapic, LogicalModel::Flat) => tables.flat.enter(logical_id, index)?,
                (Mode::Xapic, LogicalModel::Cluster) if logical_id & 0xF != 0 => {
                    let cluster = tables.clusters.get_mut(logical_id as usize >> 4)?;
                    cluster.enter(logical_id & 0xF, index)?;
                }
                (Mode::Disabled, _) | (Mode::Xapic, _) => {}
            }
        }
        Some(tables)
    }

    /// Calls `each` with the index of every APIC that hears `address`.
    #[inline]
    fn visit(&self, address: u32, mut each: impl FnMut(usize)) {
        let cluster = self
            .x2apic
            .get((address >> 16 << 4) as usize..)
            .unwrap_or_default();
        for bit in bits(address & 0xFFFF) {
            if let Some(&index) = cluster.get(bit)
                && index != NONE
            {
                each(usize::from(index));
            }
        }
        self.flat.visit(address, &mut each);
        match address >> 4 {
            0xF => self
                .clusters
                .iter()
                .for_each(|cluster| cluster.visit(address, &mut each)),
            cluster => {
                if let Some(cluster) = self.clusters.get(cluster as usize) {
                    cluster.visit(address, &mut each);
                }
            }
        }
    }
}

impl<const BITS: usize> Members<BITS> {
    const NONE: Self = Self {
        used: 0,
        slots: [NONE; BITS],
    };

    /// Gives an APIC its bit, unless it has none.
    fn enter(&mut self, logical_id: u32, index: Slot) -> Option<()> {
        if logical_id == 0 {
            return Some(());
        }
        if !logical_id.is_power_of_two() {
            return None;
        }
        self.used |= logical_id;
        enter(&mut self.slots, logical_id.trailing_zeros() as usize, index)
    }

    #[inline]
    fn visit(&self, address: u32, each: &mut impl FnMut(usize)) {
        for bit in bits(address & self.used) {
            if let Some(&index) = self.slots.get(bit) {
                each(usize::from(index));
            }
        }
    }
}

/// Positions of the bits that are set, lowest first.
#[inline]
fn bits(mut word: u32) -> impl Iterator<Item = usize> {
    core::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}
