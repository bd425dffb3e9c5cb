//! Steps that send IPIs.

use vapic::Mode;
use vapic::spec::register::X2APIC_MSR_FIRST;

use super::Generator;
use super::steps::{ICR, ICR_HIGH};
use crate::differential::operation::Action;

impl Generator {
    /// An IPI; then, as a rule, a look at what it did.
    pub(super) fn send(&mut self) {
        let vector = self.any_vector();
        let delivery = self.random.weighted(&[
            (60, 0),
            (8, 1),
            (1, 2),
            (2, 3),
            (3, 4),
            (4, 5),
            (1, 6),
            (1, 7),
        ]);
        let trigger = self
            .random
            .weighted(&[(12, 1 << 14), (3, 0), (2, 3 << 14), (1, 1 << 15)]);
        let shorthand = self.random.weighted(&[(10, 0), (2, 1), (1, 2), (2, 3)]);
        let logical = self.random.weighted(&[(3, 0), (2, 1 << 11)]);
        let rare = self.random.weighted(&[
            (30, 0),
            (1, 1 << 12),
            (1, 1 << 13),
            (1, 3 << 16),
            (1, 1 << 31),
        ]);
        let low = vector | delivery << 8 | logical | trigger | shorthand << 18 | rare;
        let target = self.any_processor();
        let destination = self.destination(target, logical != 0);
        let sent = match self.mode() {
            Mode::X2apic if logical == 0 && self.random.chance(10) => {
                let vector = u64::from(vector) | u64::from(self.random.chance(10)) << 9;
                self.act(Action::WriteMsr(0x83F, vector))
            }
            Mode::X2apic => {
                let value = u64::from(destination) << 32 | u64::from(low);
                self.act(Action::WriteMsr(X2APIC_MSR_FIRST + ICR, value))
            }
            _ => {
                let ignored = self.random.below(2);
                self.write_whole(ICR_HIGH, destination << 24 | ignored);
                if self.random.chance(3) {
                    let address = self.page(self.current) + ICR * 16;
                    self.act(Action::ExchangePage(address, low))
                } else {
                    self.write_whole(ICR, low)
                }
            }
        };
        if sent && self.random.chance(30) {
            if self
                .random
                .chance(if self.model.count() == 2 { 15 } else { 5 })
            {
                self.current = target;
            }
            let set = self.random.one_of(&[0x20, 0x20, 0x20, 0x18, 0x10]);
            self.read_whole(set + (vector >> 5));
        }
    }

    /// A destination in the width of the present mode that hits a processor, as a rule.
    fn destination(&mut self, target: u8, logical: bool) -> u32 {
        let identity = self.model.apic(target).identity();
        let id = u32::from(target);
        let everybody = if self.mode() == Mode::X2apic {
            u32::MAX
        } else {
            0xFF
        };
        let hit = match (logical, identity.mode) {
            (false, Mode::X2apic) => id,
            (false, _) => identity.xapic_id.into(),
            (true, Mode::X2apic) => (id >> 4) << 16 | 1 << (id & 0xF),
            (true, _) => identity.logical_id.into(),
        };
        let any = self.random.half();
        self.random.weighted(&[
            (12, hit),
            (2, everybody),
            (1, 0xFF),
            (2, any & 0xF),
            (1, any & 0xFF),
            (1, any >> 8),
        ])
    }
}
