//! Steps that let the timer expire.

use vapic::spec::register::X2APIC_MSR_FIRST;
use vapic::{IA32_TSC_DEADLINE, Mode};

use super::Generator;
use super::steps::{CURRENT_COUNT, DEADLINE, DIVIDE, INITIAL_COUNT, MASKED, PERIODIC, TIMER};
use crate::differential::deviations::limits::{ONCE_NS, PERIOD_NS};
use crate::differential::operation::Action;

/// A TSC that is past when the guest has started.
const PAST: u64 = 1;

/// A deadline a little ahead.
const AHEAD_US: u32 = 160;

impl Generator {
    /// A timer that expires here and now.
    pub(super) fn run_timer(&mut self) {
        let apic = self.model.apic(self.current);
        let enabled = apic.identity().software_enabled && self.mode() != Mode::Disabled;
        let vector = 16 + self.random.below(240);
        let wanted = u8::try_from(vector).expect("a vector");
        if !enabled || self.model.apic(self.current).requests().contains(wanted) {
            return;
        }
        self.write_whole(INITIAL_COUNT, 0);
        let mode = self.random.weighted(&[(4, 0), (1, PERIODIC), (2, MASKED)]);
        let (divide, shift) = self
            .random
            .one_of(&[(0xB, 0), (0x0, 1), (0x1, 2), (0xA, 7)]);
        let time = if mode == PERIODIC { PERIOD_NS } else { ONCE_NS };
        let time = u32::try_from(time).expect("about a millisecond");
        let ready = self.write_whole(DIVIDE, divide) && self.write_whole(TIMER, mode | vector);
        if !ready || !self.write_whole(INITIAL_COUNT, time >> shift) {
            return;
        }
        if mode == MASKED {
            self.act(Action::Delay(400));
        } else {
            self.await_request(wanted);
        }
        if mode == PERIODIC && self.model.apic(self.current).deliverable() >= Some(wanted) {
            let end = self.end();
            self.act(Action::Window(end));
            self.await_request(wanted);
        }
        if mode != PERIODIC {
            self.read_whole(CURRENT_COUNT);
            self.read_whole(INITIAL_COUNT);
        }
        if mode != 0 || self.random.chance(50) {
            self.write_whole(TIMER, MASKED | vector);
            self.write_whole(INITIAL_COUNT, 0);
        }
    }

    /// IA32_TSC_DEADLINE in any mode of the timer, or one that comes now in its own mode.
    pub(super) fn use_deadline(&mut self) {
        if self.random.chance(50) {
            self.act(Action::ReadMsr(IA32_TSC_DEADLINE));
            return;
        }
        if self.random.chance(60) {
            let future = self.model.traits().future_tsc;
            let deadline = self.random.one_of(&[0, future, future + 12345]);
            self.act(Action::WriteMsr(IA32_TSC_DEADLINE, deadline));
            return;
        }
        let vector = 16 + self.random.below(240);
        let wanted = u8::try_from(vector).expect("a vector");
        let apic = self.model.apic(self.current);
        let enabled = apic.identity().software_enabled && self.mode() != Mode::Disabled;
        let ready = enabled
            && self.model.traits().tsc_deadline
            && !apic.requests().contains(wanted)
            && self.write_whole(INITIAL_COUNT, 0)
            && self.write_whole(TIMER, DEADLINE | vector);
        if ready {
            let deadline = if self.random.chance(50) {
                Action::WriteDeadline(AHEAD_US)
            } else {
                Action::WriteMsr(IA32_TSC_DEADLINE, PAST)
            };
            self.act(deadline);
            self.await_request(wanted);
            self.act(Action::ReadMsr(IA32_TSC_DEADLINE));
        }
    }

    fn await_request(&mut self, vector: u8) {
        let first = match self.mode() {
            Mode::X2apic => X2APIC_MSR_FIRST + 0x20,
            _ => self.page(self.current) + 0x200,
        };
        self.act(Action::Await(first, vector));
    }
}
