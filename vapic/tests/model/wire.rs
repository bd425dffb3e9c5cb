//! Between APICs: who hears a message (SDM 3A, APIC §6.2, §12.10), and what waits for each.

use std::collections::BTreeSet;

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use crate::apic::{Apic, Mode};
use crate::output::{Brought, Fate, Post};

/// The processors that a message from `sender`, or from a device, reaches.
pub(crate) fn targets(
    apics: &[Apic],
    sender: Option<usize>,
    message: &InterruptMessage,
) -> Vec<usize> {
    let lowest_priority = message.delivery == DeliveryMode::LowestPriority;
    let hears = |&index: &usize| match message.destination {
        Destination::Sender => Some(index) == sender,
        Destination::AllButSender if Some(index) == sender => false,
        destination => matches(&apics[index], destination),
    };
    let all: Vec<usize> = (0..apics.len()).filter(hears).collect();
    if !lowest_priority {
        return all;
    }
    // The manual leaves the choice open; ours is by the vector among those that would take it.
    let takers: Vec<usize> = all
        .into_iter()
        .filter(|&index| apics[index].software_enabled())
        .collect();
    match takers.len() {
        0 => takers,
        count => vec![takers[usize::from(message.vector) % count]],
    }
}

fn matches(apic: &Apic, destination: Destination) -> bool {
    let id = apic.made.id;
    match (apic.mode(), destination) {
        (Mode::Disabled, _) => false,
        (Mode::X2apic, Destination::Physical(address)) => address == id,
        (Mode::Xapic, Destination::Physical(address)) => {
            address == u32::from(apic.xapic_id) || address > 0xFF && address == id
        }
        (Mode::X2apic, Destination::Logical(address)) => {
            let (cluster, members) = (address >> 16, address & 0xFFFF);
            cluster == id / 16 && members & 1 << (id % 16) != 0
        }
        (Mode::Xapic, Destination::Logical(address)) => match apic.dfr {
            0xF => address & u32::from(apic.ldr) != 0,
            0x0 => {
                let (cluster, members) = (u32::from(apic.ldr >> 4), u32::from(apic.ldr & 0xF));
                [cluster, 0xF].contains(&(address >> 4)) && address & members != 0
            }
            _ => false,
        },
        _ => true,
    }
}

/// What waits for one APIC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    edges: BTreeSet<u8>,
    levels: BTreeSet<u8>,
    nmis: u8,
    init: bool,
    start_page: Option<u8>,
    smi: bool,
    ext_int: bool,
    overtaken: [u8; 4],
}

impl Waiting {
    pub(crate) fn post(&mut self, message: &InterruptMessage) -> Post {
        let is_new = match (message.delivery, message.trigger) {
            (DeliveryMode::Fixed | DeliveryMode::LowestPriority, Trigger::Edge) => {
                self.edges.insert(message.vector)
            }
            (DeliveryMode::Fixed | DeliveryMode::LowestPriority, Trigger::Level) => {
                self.levels.insert(message.vector)
            }
            (DeliveryMode::Nmi, _) => {
                self.nmis += 1;
                let is_kept = self.nmis <= 2;
                self.nmis = self.nmis.min(2);
                is_kept
            }
            (DeliveryMode::StartUp, _) => self.start_page.replace(message.vector).is_none(),
            (DeliveryMode::Smi, _) => !std::mem::replace(&mut self.smi, true),
            (DeliveryMode::ExtInt, _) => !std::mem::replace(&mut self.ext_int, true),
            (DeliveryMode::RemoteRead, _) => return Post::Unsupported,
            (DeliveryMode::Init, _) => {
                let lost = [
                    std::mem::take(&mut self.nmis),
                    u8::from(self.start_page.take().is_some()),
                    u8::from(std::mem::take(&mut self.smi)),
                    u8::from(std::mem::take(&mut self.ext_int)),
                ];
                for (count, lost) in self.overtaken.iter_mut().zip(lost) {
                    *count = count.saturating_add(lost);
                }
                !std::mem::replace(&mut self.init, true)
            }
        };
        if is_new { Post::New } else { Post::Coalesced }
    }

    /// The owner takes everything.
    pub(crate) fn drain(&mut self, apic: &mut Apic) -> (Vec<(u8, Fate)>, Option<Brought>) {
        let waiting = std::mem::take(self);
        let brought = waiting
            .holds_more_than_vectors()
            .then(|| waiting.bring(apic));
        let mut fates = Vec::new();
        let edges = waiting.edges.iter().map(|&vector| (vector, Trigger::Edge));
        let levels = waiting
            .levels
            .iter()
            .map(|&vector| (vector, Trigger::Level));
        for (vector, trigger) in edges.chain(levels) {
            let waited = apic.requests.contains(&vector);
            let fate = match () {
                () if !apic.software_enabled() => Fate::Disabled,
                () if !apic.request(vector, trigger) => Fate::Illegal,
                () if waited => Fate::Merged,
                () => Fate::Accepted,
            };
            fates.push((vector, fate));
        }
        (fates, brought)
    }

    fn holds_more_than_vectors(&self) -> bool {
        self.nmis > 0 || self.init || self.start_page.is_some() || self.smi || self.ext_int
    }

    fn bring(&self, apic: &mut Apic) -> Brought {
        if self.init {
            apic.init();
        }
        let starts = apic.waits && self.start_page.is_some();
        apic.waits &= !starts;
        let latched = self.nmis.min(2 - apic.nmis);
        apic.nmis += latched;
        apic.smi |= self.smi;
        if self.ext_int && apic.software_enabled() {
            apic.set_ext_int(true);
        }
        Brought {
            nmis: latched,
            nmis_merged: self.nmis - latched,
            init: self.init,
            start_page: self.start_page.filter(|_| starts),
            start_up_discarded: self.start_page.is_some() && !starts,
            smi: self.smi,
            ext_int: self.ext_int,
            overtaken: self.overtaken,
        }
    }
}
