//! The machine that the work is done on: APICs, the fabric between them, and a host that does
//! the least a host can do.

use std::hint::black_box;
use std::sync::Arc;

use vapic::{Acceptance, Config, Effect, Fabric, LocalApic, Posted, Router};

/// Through which door a guest reaches its registers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// The page of xAPIC mode.
    Page,
    /// The MSRs of x2APIC mode.
    Msr,
}

/// What an exit carries: a register by page offset or MSR number, and the data for it.
pub(crate) struct Access {
    pub(crate) register: u32,
    data: [u8; 8],
    length: usize,
}

impl Access {
    /// 32 bits for a register of the page.
    pub(crate) fn page(offset: u32, value: u32) -> Self {
        Self {
            register: offset,
            data: u64::from(value).to_le_bytes(),
            length: 4,
        }
    }

    /// 64 bits for an MSR.
    pub(crate) fn msr(number: u32, value: u64) -> Self {
        Self {
            register: number,
            data: value.to_le_bytes(),
            length: 8,
        }
    }

    /// The data of a write to the page.
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.data.get(..self.length).unwrap_or_default()
    }

    /// The value of a write to an MSR.
    #[inline]
    pub(crate) fn value(&self) -> u64 {
        u64::from_le_bytes(self.data)
    }
}

/// One sender, one target that is looked at closely, and further APICs that are addresses only.
pub(crate) struct Machine {
    pub(crate) sender: LocalApic,
    pub(crate) target: LocalApic,
    pub(crate) fabric: Arc<Fabric>,
    pub(crate) router: Router,
    /// What the sender's guest accesses.
    pub(crate) access: Access,
    /// What it writes before that: the upper half of an xAPIC command.
    pub(crate) first: Access,
    /// How the target's guest ends an interrupt.
    pub(crate) end: Access,
    pub(crate) now: u64,
    /// What a host would act on.
    pub(crate) woken: (usize, Posted),
    pub(crate) ended: (u8, bool),
    pub(crate) taken: (u8, Acceptance),
    pub(crate) injected: u8,
    pub(crate) read: u64,
}

/// Index of the looked-at target.
pub(crate) const TARGET: usize = 1;
/// Its ID.
pub(crate) const TARGET_ID: u32 = 1;

impl Machine {
    /// `count` APICs with IDs from 0, all enabled; index 0 sends.
    pub(crate) fn new(door: Door, count: u32) -> Self {
        Self::with_logical_ids(door, count, |_| 0)
    }

    /// The same with an LDR for each.
    pub(crate) fn with_logical_ids(door: Door, count: u32, logical_id: impl Fn(u32) -> u8) -> Self {
        let mut apics = (0..count)
            .map(|id| enabled(door, id, logical_id(id)))
            .collect::<Vec<_>>();
        let fabric = fabric(&apics);
        let target = apics.swap_remove(TARGET);
        Self::of(door, 0, apics.swap_remove(0), target, fabric)
    }

    /// The sender, which has this index in the fabric, and what it sends to.
    pub(crate) fn of(
        door: Door,
        index: u32,
        sender: LocalApic,
        target: LocalApic,
        fabric: Arc<Fabric>,
    ) -> Self {
        Self {
            router: Router::new(Arc::clone(&fabric), Some(index as usize)),
            sender,
            target,
            fabric,
            access: Access::page(0, 0),
            first: Access::page(0x310, TARGET_ID << 24),
            end: match door {
                Door::Page => Access::page(0xB0, 0),
                Door::Msr => Access::msr(0x80B, 0),
            },
            now: 1,
            woken: (0, Posted::New),
            ended: (0, false),
            taken: (0, Acceptance::Accepted),
            injected: 0,
            read: 0,
        }
    }

    /// Sets what the guest's next access says.
    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Does what an effect asks for.
    #[inline]
    pub(crate) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::None => {}
            Effect::Send(message) => {
                let woken = &mut self.woken;
                self.router
                    .deliver(&message, |index, posted| *woken = (index, posted));
            }
            Effect::Ended { vector, level } => self.ended = (vector, level),
            Effect::Identity | Effect::Base(_) => self.read = u64::MAX,
        }
    }
}

/// The fabric of these.
pub(crate) fn fabric(apics: &[LocalApic]) -> Arc<Fabric> {
    Fabric::new(apics.iter().map(LocalApic::identity)).expect("IDs are distinct")
}

/// An APIC as an operating system leaves it when it is up.
pub(crate) fn enabled(door: Door, id: u32, logical_id: u8) -> LocalApic {
    let mut apic = LocalApic::new(Config {
        id,
        bootstrap: id == 0,
        physical_bits: 46,
        features: vapic::Features::default(),
    });
    let _ = apic.write_page(0xD0, &(u32::from(logical_id) << 24).to_le_bytes(), 0);
    let _ = apic.write_page(0xF0, &0x1FFu32.to_le_bytes(), 0);
    if door == Door::Msr {
        let base = apic.base().with_x2apic(true).into_bits();
        let _ = apic
            .write_base(base)
            .expect("xAPIC to x2APIC is a legal move");
    }
    black_box(apic)
}
