//! Where the messages of the IOAPIC go: to our Local APICs, or to KVM's.

use std::sync::Arc;

use kvm_bindings::{
    KVM_IRQ_ROUTING_MSI, KvmIrqRouting, kvm_irq_routing_entry, kvm_irq_routing_entry__bindgen_ty_1,
    kvm_irq_routing_msi, kvm_irq_routing_msi__bindgen_ty_1, kvm_msi,
};
use kvm_ioctls::VmFd;
use vapic::IoApic;
use vapic::spec::msi::MsiMessage;

use crate::observe::{Ledger, Tsc};
use crate::sender::Sender;

/// Whoever has the Local APICs.
pub enum Delivery {
    /// We.
    Userspace {
        /// The way to their mailboxes.
        sender: Sender,
        /// The devices' book.
        ledger: Box<Ledger>,
    },
    /// KVM.
    Kernel {
        /// Its machine.
        vm: Arc<VmFd>,
        /// What it was last told of the redirection table.
        routes: Routes,
    },
}

/// The messages of an IOAPIC's pins, as they were when KVM was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routes(Vec<MsiMessage>);

impl Routes {
    /// Follows the redirection table; whether it has changed. An access that only selects a register
    /// has not, and telling KVM waits for all that reads its routes.
    fn follow(&mut self, ioapic: &IoApic) -> bool {
        let messages = || (0..u8::MAX).map_while(|pin| ioapic.msi(pin));
        let changed = !messages().eq(self.0.iter().copied());
        if changed {
            self.0 = messages().collect();
        }
        changed
    }
}

impl Delivery {
    /// Delivers the message that `pin` sends now; returns how many Local APICs it reaches.
    pub fn send(&mut self, ioapic: &IoApic, pin: u8, now: Tsc) -> usize {
        match self {
            Self::Userspace { sender, ledger } => ioapic
                .message(pin)
                .map_or(0, |message| sender.send(&message, ledger, now)),
            Self::Kernel { vm, .. } => {
                let accepted = ioapic
                    .msi(pin)
                    .and_then(|message| vm.signal_msi(kernel_msi(message)).ok());
                accepted.map_or(0, |count| usize::try_from(count).unwrap_or(0))
            }
        }
    }

    /// The redirection table has been written: KVM passes on the ends of the level-triggered
    /// vectors that it finds among its routes (arch/x86/kvm/irq_comm.c, `kvm_scan_ioapic_routes`).
    pub fn route(&mut self, ioapic: &IoApic) {
        let Self::Kernel { vm, routes } = self else {
            return;
        };
        if !routes.follow(ioapic) {
            return;
        }
        let entries: Vec<_> = (0..)
            .zip(&routes.0)
            .map(|(pin, &message)| route_entry(pin, message))
            .collect();
        if let Ok(routing) = KvmIrqRouting::from_entries(&entries) {
            // Without routes a level-triggered interrupt comes once, so the guest notices by itself.
            let _ = vm.set_gsi_routing(&routing);
        }
    }
}

const fn halves(address: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = address.to_le_bytes();
    [
        u32::from_le_bytes([a, b, c, d]),
        u32::from_le_bytes([e, f, g, h]),
    ]
}

fn kernel_msi(message: MsiMessage) -> kvm_msi {
    let [address_lo, address_hi] = halves(message.address);
    kvm_msi {
        address_lo,
        address_hi,
        data: message.data,
        ..kvm_msi::default()
    }
}

fn route_entry(gsi: u32, message: MsiMessage) -> kvm_irq_routing_entry {
    let [address_lo, address_hi] = halves(message.address);
    kvm_irq_routing_entry {
        gsi,
        type_: KVM_IRQ_ROUTING_MSI,
        u: kvm_irq_routing_entry__bindgen_ty_1 {
            msi: kvm_irq_routing_msi {
                address_lo,
                address_hi,
                data: message.data,
                __bindgen_anon_1: kvm_irq_routing_msi__bindgen_ty_1 { pad: 0 },
            },
        },
        ..kvm_irq_routing_entry::default()
    }
}

#[cfg(test)]
mod tests {
    use vapic::IoApicConfig;

    use super::*;

    /// Offsets of IOREGSEL and IOWIN.
    const SELECT: u32 = 0;
    const WINDOW: u32 = 0x10;

    #[test]
    fn kvm_is_told_of_changes_alone() {
        let mut ioapic = IoApic::new(IoApicConfig::default());
        let mut routes = Routes::default();
        assert!(routes.follow(&ioapic), "the table at power-up");
        for (offset, value, changes, what) in [
            (SELECT, 0x10 + 2 * 20, false, "a register is selected"),
            (WINDOW, 0x8050, true, "an entry is written"),
            (WINDOW, 0x8050, false, "with what it holds"),
            (WINDOW, 0x8051, true, "with another vector"),
            (SELECT, 0, false, "the ID is selected"),
            (WINDOW, 5 << 24, false, "the ID is written"),
        ] {
            let _ = ioapic.write(offset, &u32::to_le_bytes(value), 0);
            assert_eq!(routes.follow(&ioapic), changes, "{what}");
        }
    }
}
