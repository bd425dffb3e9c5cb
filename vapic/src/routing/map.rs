//! Who answers to which address, as tables: a lookup costs as much as it finds targets.
//!
//! Where the guest's addressing is ambiguous (two APICs with one ID, or on one logical bit) the
//! tables of that kind give way to a scan of all identities by the rule.

use alloc::boxed::Box;
use alloc::vec;

use super::{Identity, LogicalModel};
use crate::mailbox::Content;
use crate::mode::Mode;
use crate::spec::message::{DeliveryMode, Destination};

/// A place in a table: the index of an APIC, or [`NONE`].
type Slot = u16;

/// No APIC. Whoever looks an index up in a list finds nothing here: no list is that long.
pub(super) const NONE: Slot = Slot::MAX;

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
    has_clusters: bool,
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

    /// What answers to this ID, if the table knows: an index, or [`NONE`].
    #[inline]
    pub(crate) fn with_id(&self, id: u32) -> Option<usize> {
        self.physical
            .get(id as usize)
            .map(|&index| usize::from(index))
    }

    /// Calls `each` with the index of every target, and maybe with [`NONE`].
    #[inline]
    pub(crate) fn for_each_target(
        &self,
        source: Option<usize>,
        destination: Destination,
        content: Content,
        mut each: impl FnMut(usize),
    ) {
        let one = match (content.delivery, destination) {
            (DeliveryMode::LowestPriority, _) => {
                self.arbitrate(source, destination, content.vector)
            }
            (_, Destination::Sender) => source,
            (_, Destination::Physical(id)) if !self.physical.is_empty() => self.with_id(id),
            (_, Destination::All) => return self.for_all_but(NONE, each),
            (_, Destination::AllButSender) => {
                let source = source.and_then(|source| Slot::try_from(source).ok());
                return self.for_all_but(source.unwrap_or(NONE), each);
            }
            (_, Destination::Logical(_) | Destination::Physical(_)) => {
                return self.for_many(destination, each);
            }
        };
        if let Some(index) = one {
            each(index);
        }
    }

    #[inline]
    fn for_all_but(&self, skipped: Slot, mut each: impl FnMut(usize)) {
        for &index in &self.enabled {
            if index != skipped {
                each(usize::from(index));
            }
        }
    }

    #[inline]
    fn for_many(&self, destination: Destination, each: impl FnMut(usize)) {
        match (destination, &self.logical) {
            (Destination::Logical(address), Some(logical)) if !logical.is_wide(address) => {
                logical.visit(address, each);
            }
            _ => self.scan(destination).for_each(each),
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
    fn arbitrate(
        &self,
        source: Option<usize>,
        destination: Destination,
        vector: u8,
    ) -> Option<usize> {
        let candidates = || {
            self.scan(match destination {
                Destination::Sender => Destination::All,
                other => other,
            })
            .filter(|&index| match destination {
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
        candidates().nth(usize::from(vector).checked_rem(count)?)
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
            has_clusters: false,
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
                    tables.has_clusters = true;
                }
                (Mode::Disabled, _) | (Mode::Xapic, _) => {}
            }
        }
        Some(tables)
    }

    /// Whether `address` names every cluster, and there are some.
    #[inline]
    const fn is_wide(&self, address: u32) -> bool {
        address >> 4 == 0xF && self.has_clusters
    }

    /// Calls `each` with the index of every APIC that hears `address`, and maybe with [`NONE`].
    #[inline]
    fn visit(&self, address: u32, mut each: impl FnMut(usize)) {
        let mut bits = address & 0xFFFF;
        let cluster = self
            .x2apic
            .get((address >> 16 << 4) as usize..)
            .unwrap_or_default();
        while bits != 0 && !cluster.is_empty() {
            if let Some(&index) = cluster.get(bits.trailing_zeros() as usize) {
                each(usize::from(index));
            }
            bits &= bits - 1;
        }
        self.flat.visit(address, &mut each);
        if let Some(cluster) = self.clusters.get(address as usize >> 4) {
            cluster.visit(address, &mut each);
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
        let mut bits = address & self.used;
        while bits != 0 {
            // No bit beyond the slots is ever used.
            each(usize::from(
                self.slots[bits.trailing_zeros() as usize % BITS],
            ));
            bits &= bits - 1;
        }
    }
}
