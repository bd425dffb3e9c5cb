//! What is written to the ICR: messages to one target, to a set of targets, and shorthands.
//!
//! Layout of the command word and of the logical addresses: Intel SDM volume 3, 12.6.1 (ICR),
//! 12.6.2.2 (flat and cluster model), 12.12.10 (x2APIC).

use core::fmt;
use core::ops::Range;

/// Most processors the guest can drive.
pub(crate) const MAX_CPUS: usize = 256;

/// Which of the two programming interfaces the APICs are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Registers in a page at 0xFEE00000.
    Xapic,
    /// Registers as MSRs from 0x800.
    X2apic,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xapic => "xapic",
            Self::X2apic => "x2apic",
        })
    }
}

const NMI: u32 = 0b100 << 8;
const INIT: u32 = 0b101 << 8;
const STARTUP: u32 = 0b110 << 8;
const LOGICAL: u32 = 1 << 11;
const ASSERT: u32 = 1 << 14;
const SHORTHAND_SELF: u32 = 0b01 << 18;
const SHORTHAND_ALL: u32 = 0b10 << 18;
const SHORTHAND_OTHERS: u32 = 0b11 << 18;

/// One ICR write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Message {
    /// APIC id or logical address; in xAPIC mode its low 8 bits count.
    pub(crate) destination: u32,
    /// Low half of the ICR.
    pub(crate) command: u32,
}

impl Message {
    /// Fixed interrupt to the one processor with this APIC id.
    pub(crate) const fn to(id: u32, vector: u8) -> Self {
        Self {
            destination: id,
            command: ASSERT | vector as u32,
        }
    }

    /// Fixed interrupt to a logical address.
    pub(crate) const fn to_logical(address: u32, vector: u8) -> Self {
        Self {
            destination: address,
            command: ASSERT | LOGICAL | vector as u32,
        }
    }

    /// Fixed interrupt to the sender.
    pub(crate) const fn to_self(vector: u8) -> Self {
        Self {
            destination: 0,
            command: ASSERT | SHORTHAND_SELF | vector as u32,
        }
    }

    /// Fixed interrupt to every processor, the sender included.
    pub(crate) const fn to_all(vector: u8) -> Self {
        Self {
            destination: 0,
            command: ASSERT | SHORTHAND_ALL | vector as u32,
        }
    }

    /// Fixed interrupt to every processor but the sender.
    pub(crate) const fn to_others(vector: u8) -> Self {
        Self {
            destination: 0,
            command: ASSERT | SHORTHAND_OTHERS | vector as u32,
        }
    }

    /// Non-maskable interrupt to one processor.
    pub(crate) const fn nmi(id: u32) -> Self {
        Self {
            destination: id,
            command: ASSERT | NMI,
        }
    }

    /// INIT to one processor, edge triggered.
    pub(crate) const fn init(id: u32) -> Self {
        Self {
            destination: id,
            command: ASSERT | INIT,
        }
    }

    /// Start-up: one processor begins in real mode at `page` * 4096.
    pub(crate) const fn startup(id: u32, page: u8) -> Self {
        Self {
            destination: id,
            command: ASSERT | STARTUP | page as u32,
        }
    }
}

/// How processors are addressed logically.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Logical {
    /// xAPIC: one bit for each of 8 processors.
    Flat,
    /// xAPIC: 15 clusters of 4 processors; the 16th address means everyone.
    Cluster,
    /// x2APIC: clusters of 16 processors, derived by the APIC from its id.
    X2apic,
}

impl Logical {
    /// The model that reaches every one of `cpus` processors, if the mode has one.
    pub(crate) const fn reaching(mode: Mode, cpus: usize) -> Option<Self> {
        match (mode, cpus) {
            (Mode::X2apic, _) => Some(Self::X2apic),
            (Mode::Xapic, 0..=8) => Some(Self::Flat),
            (Mode::Xapic, 9..=60) => Some(Self::Cluster),
            (Mode::Xapic, _) => None,
        }
    }

    /// Logical address of one processor.
    pub(crate) const fn address(self, id: u32) -> u32 {
        match self {
            Self::Flat => 1 << (id & 7),
            Self::Cluster => (id / 4) << 4 | 1 << (id % 4),
            Self::X2apic => (id / 16) << 16 | 1 << (id % 16),
        }
    }

    /// The part of an address that all targets of one message must have in common.
    const fn cluster(self, address: u32) -> u32 {
        match self {
            Self::Flat => 0,
            Self::Cluster => address & 0xF0,
            Self::X2apic => address & 0xFFFF_0000,
        }
    }
}

/// ICR writes that together reach a set of targets.
#[derive(Clone, Debug)]
pub(crate) struct Messages {
    list: [Message; MAX_CPUS],
    len: usize,
}

impl Messages {
    /// No message yet.
    pub(crate) const fn new() -> Self {
        Self {
            list: [Message {
                destination: 0,
                command: 0,
            }; MAX_CPUS],
            len: 0,
        }
    }

    /// One message for each target.
    pub(crate) fn unicast(&mut self, targets: Range<u32>, vector: u8) {
        self.len = 0;
        for id in targets {
            self.push(Message::to(id, vector));
        }
    }

    /// One message for each cluster that has a target.
    pub(crate) fn multicast(&mut self, logical: Logical, targets: Range<u32>, vector: u8) {
        self.len = 0;
        let mut pending = 0;
        for id in targets {
            let address = logical.address(id);
            if pending != 0 && logical.cluster(address) != logical.cluster(pending) {
                self.push(Message::to_logical(pending, vector));
                pending = 0;
            }
            pending |= address;
        }
        if pending != 0 {
            self.push(Message::to_logical(pending, vector));
        }
    }

    /// One message by shorthand.
    pub(crate) fn others(&mut self, vector: u8) {
        self.len = 0;
        self.push(Message::to_others(vector));
    }

    fn push(&mut self, message: Message) {
        self.list[self.len] = message;
        self.len += 1;
    }

    /// The writes, in the order to make them.
    pub(crate) fn as_slice(&self) -> &[Message] {
        &self.list[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(logical: Logical, targets: Range<u32>) -> Vec<u32> {
        let mut messages = Messages::new();
        messages.multicast(logical, targets, 0xF2);
        assert!(messages.as_slice().iter().all(|m| m.command == 0x48F2));
        messages.as_slice().iter().map(|m| m.destination).collect()
    }

    #[test]
    fn command_words_are_those_of_the_manual() {
        assert_eq!(
            Message::to(3, 0xF1),
            Message {
                destination: 3,
                command: 0x0000_40F1
            }
        );
        assert_eq!(Message::to_self(0xF4).command, 0x0004_40F4);
        assert_eq!(Message::to_all(0xF3).command, 0x0008_40F3);
        assert_eq!(Message::to_others(0xF3).command, 0x000C_40F3);
        assert_eq!(Message::nmi(1).command, 0x4400);
        assert_eq!(Message::init(1).command, 0x4500);
        assert_eq!(Message::startup(1, 8).command, 0x4608);
    }

    #[test]
    fn flat_reaches_any_subset_with_one_write() {
        assert_eq!(addresses(Logical::Flat, 1..8), [0xFE]);
        assert_eq!(addresses(Logical::Flat, 1..2), [0x02]);
    }

    #[test]
    fn cluster_model_takes_one_write_per_four_processors() {
        assert_eq!(addresses(Logical::Cluster, 1..10), [0x0E, 0x1F, 0x23]);
        assert_eq!(addresses(Logical::Cluster, 56..60), [0xEF]);
    }

    #[test]
    fn x2apic_takes_one_write_per_sixteen_processors() {
        assert_eq!(
            addresses(Logical::X2apic, 1..34),
            [0x0000_FFFE, 0x0001_FFFF, 0x0002_0003]
        );
    }

    #[test]
    fn no_target_needs_no_write() {
        assert!(addresses(Logical::X2apic, 1..1).is_empty());
    }

    #[test]
    fn xapic_has_a_model_up_to_60_processors() {
        assert_eq!(Logical::reaching(Mode::Xapic, 8), Some(Logical::Flat));
        assert_eq!(Logical::reaching(Mode::Xapic, 9), Some(Logical::Cluster));
        assert_eq!(Logical::reaching(Mode::Xapic, 60), Some(Logical::Cluster));
        assert_eq!(Logical::reaching(Mode::Xapic, 61), None);
        assert_eq!(Logical::reaching(Mode::X2apic, 61), Some(Logical::X2apic));
    }
}
