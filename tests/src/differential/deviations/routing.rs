//! How the deviations of destinations are recognised: all are left out of scripts, since what is
//! delivered elsewhere stays in the state.

use vapic::spec::icr::{Icr, Shorthand};
use vapic::spec::message::{DeliveryMode, Destination};
use vapic::{Identity, LocalApic, LogicalModel, Mode};

use super::super::model::Model;
use super::super::operation::Operation;

const XAPIC_ALL: u32 = 0xFF;
const X2APIC_ALL: u32 = u32::MAX;

/// A command, with the mode of its sender.
struct Command {
    icr: Icr,
    sender: Mode,
    /// In the width of the sender's mode.
    address: u32,
}

impl Command {
    fn of(model: &Model, op: &Operation) -> Option<Self> {
        let icr = model.command(op)?;
        let sender = model.apic(op.processor).mode();
        let address = match sender {
            Mode::X2apic => icr.destination(),
            Mode::Xapic | Mode::Disabled => icr.destination() >> 24,
        };
        Some(Self {
            icr,
            sender,
            address,
        })
    }

    /// The address, if it is a logical one and no shorthand overrides it.
    fn logical(&self) -> Option<u32> {
        let addressed = self.icr.logical() && self.icr.shorthand() == Shorthand::None;
        (addressed && !self.is_broadcast()).then_some(self.address)
    }

    fn is_broadcast(&self) -> bool {
        match self.sender {
            Mode::X2apic => self.address == X2APIC_ALL,
            Mode::Xapic | Mode::Disabled => self.address == XAPIC_ALL,
        }
    }

    fn is_lowest_priority(&self) -> bool {
        self.icr.delivery() == DeliveryMode::LowestPriority
    }
}

/// The APICs that are not disabled.
fn present(model: &Model) -> impl Iterator<Item = Identity> {
    model
        .apics()
        .map(LocalApic::identity)
        .filter(|identity| identity.mode != Mode::Disabled)
}

fn any_in(model: &Model, mode: Mode) -> bool {
    present(model).any(|identity| identity.mode == mode)
}

fn any_of_model(model: &Model, logical: LogicalModel) -> bool {
    present(model).any(|identity| identity.mode == Mode::Xapic && identity.model == logical)
}

fn is(command: Option<Command>, judge: impl FnOnce(&Command) -> bool) -> bool {
    command.is_some_and(|command| judge(&command))
}

pub(super) fn lowest_priority_x2apic(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.sender == Mode::X2apic && command.is_lowest_priority()
    })
}

pub(super) fn lowest_priority_broadcast(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.is_lowest_priority()
            && !command.icr.logical()
            && command.icr.shorthand() != Shorthand::Sender
            && command.address == XAPIC_ALL
    })
}

/// KVM takes the bits of the address in their order for candidates, and ours its processors in
/// theirs: the two agree if every named bit is the one of a processor, and they ascend alike. How many
/// bits there are is for the APICs to say that are enabled: KVM asks no others.
pub(super) fn lowest_priority_of_several(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        let bits = |identity: Identity| match identity.model {
            LogicalModel::Cluster => 0xF,
            LogicalModel::Flat | LogicalModel::Unknown => 0xFF,
        };
        let several = |address: u32, bits: u32| {
            let named = address & bits;
            let candidates = (0..8).map(|bit| 1 << bit).filter(|bit| named & bit != 0);
            let owners = candidates.map(|bit| owner(model, address & !bits | bit));
            let owners: Vec<Option<usize>> = owners.collect();
            let all = owners.iter().all(Option::is_some);
            owners.len() > 1 && !(all && owners.is_sorted_by(|one, next| one < next))
        };
        let among_several = |address: u32| {
            let mut enabled = present(model).filter(|identity| identity.software_enabled);
            enabled.any(|identity| several(address, bits(identity)))
        };
        command.is_lowest_priority() && command.logical().is_some_and(among_several)
    })
}

/// The processor that has a logical address of one bit, if it is one alone and has no other bit.
fn owner(model: &Model, address: u32) -> Option<usize> {
    let mut owners = model.apics().enumerate().filter(|(_, apic)| {
        let identity = apic.identity();
        identity.matches(Destination::Logical(address))
            && identity.software_enabled
            && identity.mode == Mode::Xapic
            && u32::from(identity.logical_id) == address
    });
    let first = owners.next()?;
    owners.next().is_none().then_some(first.0)
}

pub(super) fn aliases(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        let physical = !command.icr.logical() && command.icr.shorthand() == Shorthand::None;
        let destination = Destination::Physical(command.address);
        let matching = present(model).filter(|identity| identity.matches(destination));
        physical && !command.is_broadcast() && matching.count() > 1
    })
}

pub(super) fn broadcast_across_modes(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        let other = match command.sender {
            Mode::X2apic => Mode::Xapic,
            Mode::Xapic | Mode::Disabled => Mode::X2apic,
        };
        command.icr.shorthand() == Shorthand::None
            && [XAPIC_ALL, X2APIC_ALL].contains(&command.address)
            && any_in(model, other)
    })
}

/// Whether KVM's map of logical addresses is that of x2APIC IDs: all that it looks at say so.
fn maps_by_id(model: &Model) -> bool {
    let mut looked_at = present(model).filter(|identity| {
        identity.software_enabled && (identity.mode == Mode::X2apic || identity.logical_id != 0)
    });
    looked_at
        .next()
        .is_some_and(|first| first.mode == Mode::X2apic)
        && looked_at.all(|identity| identity.mode == Mode::X2apic)
}

pub(super) fn x2apic_map_in_mixed_modes(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.logical().is_some() && maps_by_id(model) && any_in(model, Mode::Xapic)
    })
}

pub(super) fn wide_cluster(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.logical().is_some_and(|address| address > 0xFF)
            && any_of_model(model, LogicalModel::Cluster)
    })
}

pub(super) fn cluster_15(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.logical().is_some_and(|address| address >> 4 == 0xF)
            && any_of_model(model, LogicalModel::Cluster)
    })
}

pub(super) fn unknown_format(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        command.logical().is_some() && any_of_model(model, LogicalModel::Unknown)
    })
}

pub(super) fn logical_signal_to_disabled(model: &Model, op: &Operation) -> bool {
    is(Command::of(model, op), |command| {
        let hears = |address| {
            present(model)
                .filter(|identity| !identity.software_enabled)
                .any(|identity| identity.matches(Destination::Logical(address)))
        };
        let signals = [DeliveryMode::Nmi, DeliveryMode::Init, DeliveryMode::Smi];
        signals.contains(&command.icr.delivery())
            && command.logical().is_some_and(hears)
            && !maps_by_id(model)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::model::Traits;
    use super::super::super::setup::Accesses;
    use super::*;

    #[test]
    fn lowest_priority_among_several_is_compared_if_each_bit_is_a_processors() {
        let avoided_beside = |ids: [u64; 2], second: [u64; 2], address: u64| {
            let mut model = Model::new(2, Traits::PLAIN);
            let [format, spurious] = second;
            for (processor, id, format, spurious) in [
                (0, ids[0], 0xFFFF_FFFF, 0x1FF),
                (1, ids[1], format, spurious),
            ] {
                let known = Accesses::of(processor).write(0xF0, spurious);
                let known = known.write(0xE0, format).write(0xD0, id << 24);
                for operation in known.list() {
                    model.execute(&operation);
                }
            }
            let script = Accesses::of(0).send(address, 0x951).list();
            let [high, low] = script.as_slice() else {
                unreachable!("two halves")
            };
            model.execute(high);
            lowest_priority_of_several(&model, low)
        };
        let avoided = |ids, address| avoided_beside(ids, [0xFFFF_FFFF, 0x1FF], address);
        assert!(!avoided([1, 2], 0b11));
        assert!(!avoided([1, 2], 0b1));
        assert!(avoided([1, 2], 0b101), "nobody's bit");
        assert!(avoided([2, 1], 0b11), "in another order");
        let (cluster, disabled) = (0x0FFF_FFFF, 0xFF);
        assert!(
            avoided_beside([1, 2], [cluster, disabled], 0x21),
            "flat to all who are enabled"
        );
        assert!(!avoided_beside([1, 0x12], [cluster, disabled], 0b1));
    }
}
