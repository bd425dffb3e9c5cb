//! All APICs of a VM: their mailboxes, and the map that says who answers to which address.
//!
//! A sender writes nothing but the mailboxes of its targets. The map is immutable and replaced
//! under a lock when an ID, a mode or an enable changes; a [`Router`] keeps the map it last saw and
//! looks at one shared counter, which only changes write, to learn that there is a newer one.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::mailbox::{Content, Mailbox, Posted};
use crate::routing::{Identity, MAX_APICS, Map};
use crate::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};
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

    /// Calls `each` with the index of every APIC that the message reaches.
    #[inline]
    pub fn for_each_target(&mut self, message: &InterruptMessage, mut each: impl FnMut(usize)) {
        let (destination, content) = (message.destination, Content::of(message));
        match self.plain_target(destination, content) {
            Some(index) if index < self.fabric.mailboxes.len() => each(index),
            Some(_) => {}
            None => {
                self.refresh();
                self.for_each_known(destination, content, |index, _| each(index));
            }
        }
    }

    /// Posts the message to every APIC that it reaches and calls `wake` for each.
    ///
    /// `wake` must make the target's owner drain its mailbox, now or before it next enters the
    /// guest or sleeps, whatever the outcome of the post: it must be sticky.
    #[inline]
    pub fn deliver(&mut self, message: &InterruptMessage, mut wake: impl FnMut(usize, Posted)) {
        let (destination, content) = (message.destination, Content::of(message));
        match self.plain_target(destination, content) {
            Some(index) => {
                if let Some(mailbox) = self.fabric.mailboxes.get(index) {
                    wake(index, mailbox.leave(content));
                }
            }
            None => self.deliver_any(destination, content, wake),
        }
    }

    /// The one target of the commonest message, fixed and to one ID, if the newest map is at hand.
    ///
    /// All else goes a longer way, out of line.
    #[inline]
    fn plain_target(&self, destination: Destination, content: Content) -> Option<usize> {
        let is_newest = self.fabric.generation.0.load(Ordering::Acquire) == self.generation;
        match (destination, content.delivery, content.trigger) {
            (Destination::Physical(id), DeliveryMode::Fixed, Trigger::Edge) if is_newest => {
                self.map.with_id(id)
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn deliver_any(
        &mut self,
        destination: Destination,
        content: Content,
        mut wake: impl FnMut(usize, Posted),
    ) {
        self.refresh();
        if !content.is_edge() {
            return self.for_each_known(destination, content, |index, mailbox| {
                wake(index, mailbox.leave(content));
            });
        }
        // On a vector: nothing in the loop but the post and the wake.
        let mailboxes = &self.fabric.mailboxes;
        self.map
            .for_each_target(self.source, destination, content, |index| {
                if let Some(mailbox) = mailboxes.get(index) {
                    wake(index, mailbox.leave_edge(content.vector));
                }
            });
    }

    /// Calls `each` for every target by the map at hand.
    #[inline(never)]
    fn for_each_known(
        &self,
        destination: Destination,
        content: Content,
        mut each: impl FnMut(usize, &Mailbox),
    ) {
        self.map
            .for_each_target(self.source, destination, content, |index| {
                if let Some(mailbox) = self.fabric.mailboxes.get(index) {
                    each(index, mailbox);
                }
            });
    }

    fn refresh(&mut self) {
        if self.fabric.generation.0.load(Ordering::Acquire) != self.generation {
            (self.map, self.generation) = Self::newest(&self.fabric);
        }
    }
}
