//! All APICs of a VM: their mailboxes, and the map that says who answers to which address.
//!
//! A sender writes nothing but the mailboxes of its targets. The map is immutable and replaced
//! under a lock when an ID, a mode or an enable changes; a [`Router`] keeps the map it last saw and
//! looks at one shared counter, which only changes write, to learn that there is a newer one.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::mailbox::{Mailbox, Posted};
use crate::routing::{Identity, MAX_APICS, Map};
use crate::spec::message::InterruptMessage;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// Why a set of APICs cannot form a fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FabricError {
    /// More APICs than [`MAX_APICS`], or an ID not below it.
    OutOfRange,
    /// Two APICs with one 32-bit ID.
    DuplicateId(u32),
}

impl core::fmt::Display for FabricError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::OutOfRange => write!(f, "APIC IDs must be below {MAX_APICS}"),
            Self::DuplicateId(id) => write!(f, "two APICs have the ID {id}"),
        }
    }
}

impl core::error::Error for FabricError {}

/// The APICs of one VM, shared by all its threads.
#[derive(Debug)]
pub struct Fabric {
    generation: Generation,
    mailboxes: Box<[Mailbox]>,
    topology: Mutex<Topology>,
}

/// Counts the maps; on cache lines of its own, since every send reads it.
#[derive(Debug)]
#[repr(align(128))]
struct Generation(AtomicU64);

#[derive(Debug)]
struct Topology {
    identities: Box<[Identity]>,
    map: Arc<Map>,
}

impl Fabric {
    /// A fabric of these APICs, which are known by their place in the list from here on.
    ///
    /// # Errors
    ///
    /// Refuses IDs that are out of range or given twice.
    pub fn new(identities: impl IntoIterator<Item = Identity>) -> Result<Arc<Self>, FabricError> {
        let identities: Box<[Identity]> = identities.into_iter().collect();
        let mut ids: Box<[u32]> = identities
            .iter()
            .map(|identity| identity.x2apic_id)
            .collect();
        ids.sort_unstable();
        if identities.len() > MAX_APICS as usize || ids.last().is_some_and(|&id| id >= MAX_APICS) {
            return Err(FabricError::OutOfRange);
        }
        if let Some((id, _)) = ids.iter().zip(ids.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(FabricError::DuplicateId(*id));
        }
        let map = Arc::new(Map::new(&identities));
        Ok(Arc::new(Self {
            generation: Generation(AtomicU64::new(0)),
            mailboxes: identities.iter().map(|_| Mailbox::new()).collect(),
            topology: Mutex::new(Topology { identities, map }),
        }))
    }

    /// Tells all senders how APIC `index` is addressed from now on; unknown indices are ignored.
    ///
    /// Takes a lock and rebuilds the map: for changes of identity, never on the way of an IPI.
    pub fn publish(&self, index: usize, identity: Identity) {
        let mut topology = self.topology.lock();
        match topology.identities.get_mut(index) {
            Some(known) if *known != identity => *known = identity,
            _ => return,
        }
        topology.map = Arc::new(Map::new(&topology.identities));
        self.generation.0.fetch_add(1, Ordering::Release);
    }

    /// The mailbox of APIC `index`.
    #[must_use]
    #[inline]
    pub fn mailbox(&self, index: usize) -> Option<&Mailbox> {
        self.mailboxes.get(index)
    }

    /// The mailboxes in the order of the APICs.
    #[must_use]
    pub fn mailboxes(&self) -> &[Mailbox] {
        &self.mailboxes
    }
}

/// One sender's way into the fabric.
#[derive(Debug)]
pub struct Router {
    fabric: Arc<Fabric>,
    map: Arc<Map>,
    generation: u64,
    source: Option<usize>,
}

impl Router {
    /// The way of the APIC with index `source`, or of a device if `None`.
    #[must_use]
    pub fn new(fabric: Arc<Fabric>, source: Option<usize>) -> Self {
        let (map, generation) = Self::newest(&fabric);
        Self {
            fabric,
            map,
            generation,
            source,
        }
    }

    fn newest(fabric: &Fabric) -> (Arc<Map>, u64) {
        let topology = fabric.topology.lock();
        (
            Arc::clone(&topology.map),
            fabric.generation.0.load(Ordering::Relaxed),
        )
    }

    #[inline]
    fn refresh(&mut self) {
        if self.fabric.generation.0.load(Ordering::Acquire) != self.generation {
            self.renew();
        }
    }

    #[cold]
    #[inline(never)]
    fn renew(&mut self) {
        (self.map, self.generation) = Self::newest(&self.fabric);
    }

    /// Calls `each` with the index of every APIC that the message reaches.
    #[inline]
    pub fn for_each_target(&mut self, message: &InterruptMessage, mut each: impl FnMut(usize)) {
        self.refresh();
        match self.map.unicast(message) {
            Some(index) => each(index),
            None => self.map.for_each_target(self.source, *message, each),
        }
    }

    /// Posts the message to every APIC that it reaches and calls `wake` for each.
    ///
    /// `wake` must make the target's owner drain its mailbox, now or before it next enters the
    /// guest or sleeps, whatever the outcome of the post: it must be sticky.
    #[inline]
    pub fn deliver(&mut self, message: &InterruptMessage, mut wake: impl FnMut(usize, Posted)) {
        self.refresh();
        match self.map.unicast(message) {
            Some(index) => {
                if let Some(mailbox) = self.fabric.mailboxes.get(index) {
                    wake(index, mailbox.post(message));
                }
            }
            None => self.deliver_to_many(*message, wake),
        }
    }

    #[inline(never)]
    fn deliver_to_many(&self, message: InterruptMessage, mut wake: impl FnMut(usize, Posted)) {
        let mailboxes = &self.fabric.mailboxes;
        self.map.for_each_target(self.source, message, |index| {
            if let Some(mailbox) = mailboxes.get(index) {
                wake(index, mailbox.post(&message));
            }
        });
    }
}
