//! The kinds of steps, and how often each comes.

use vapic::Mode;
use vapic::spec::base::IA32_APIC_BASE;
use vapic::spec::register::X2APIC_MSR_FIRST;

use super::Generator;
use crate::differential::operation::{Action, EOI_MSR, End, Operation};
use crate::differential::setup::{PAGE, REGISTERS, base_of};

const TPR: u32 = 0x08;
const EOI: u32 = 0x0B;
const LDR: u32 = 0x0D;
const DFR: u32 = 0x0E;
const SVR: u32 = 0x0F;
const ESR: u32 = 0x28;
const CMCI: u32 = 0x2F;
pub(super) const ICR: u32 = 0x30;
pub(super) const ICR_HIGH: u32 = 0x31;
pub(super) const TIMER: u32 = 0x32;
pub(super) const INITIAL_COUNT: u32 = 0x38;
pub(super) const CURRENT_COUNT: u32 = 0x39;
pub(super) const DIVIDE: u32 = 0x3E;
const ID: u32 = 0x02;

pub(super) const MASKED: u32 = 1 << 16;
pub(super) const PERIODIC: u32 = 1 << 17;
pub(super) const DEADLINE: u32 = 1 << 18;

/// Counts that run for ever with a divisor of 64 or 128.
const LONG: u32 = 0xD000_0000;

/// Where a page may be moved: in the same 2 MiB, which the guest has mapped.
const PAGES: [u32; 3] = [PAGE, PAGE + 0x1000, PAGE + 0x1_5000];

type Step = fn(&mut Generator);

const STEPS: &[(u32, Step)] = &[
    (22, Generator::read_register),
    (18, Generator::write_register),
    (24, Generator::send),
    (12, Generator::open_window),
    (8, Generator::end_interrupt),
    (5, Generator::use_cr8),
    (4, Generator::access_anywhere),
    (2, Generator::write_base),
    (1, Generator::change_mode),
    (2, Generator::run_timer),
    (2, Generator::use_deadline),
];

impl Generator {
    pub(super) fn step(&mut self) {
        // Handing the turn to a processor that does not run costs a time slice of the host: stay on
        // one for a while, above all where there may be more than the host has.
        let change = if self.model.count() == 2 { 6 } else { 2 };
        if self.random.chance(change) {
            self.current = self.any_processor();
        }
        let step = self.random.weighted(STEPS);
        step(self);
    }

    pub(super) fn any_processor(&mut self) -> u8 {
        let count = u32::from(self.model.count());
        u8::try_from(self.random.below(count)).expect("a processor's index")
    }

    pub(super) fn any_vector(&mut self) -> u32 {
        match self.random.below(20) {
            0 => self.random.below(16),
            1..=8 => self
                .random
                .one_of(&[0x31, 0x3F, 0x45, 0x51, 0x52, 0x9C, 0xE0, 0xFF]),
            _ => 16 + self.random.below(240),
        }
    }

    /// Reads a register as a whole through the door of the present mode.
    pub(super) fn read_whole(&mut self, index: u32) -> bool {
        match self.mode() {
            Mode::X2apic => self.act(Action::ReadMsr(X2APIC_MSR_FIRST + index)),
            Mode::Xapic | Mode::Disabled => {
                let page = self.page(self.current);
                self.act(Action::ReadPage(page + index * 16, 4))
            }
        }
    }

    /// Writes a register as a whole through the door of the present mode.
    pub(super) fn write_whole(&mut self, index: u32, value: u32) -> bool {
        match self.mode() {
            Mode::X2apic => self.act(Action::WriteMsr(X2APIC_MSR_FIRST + index, value.into())),
            Mode::Xapic | Mode::Disabled => {
                let page = self.page(self.current);
                self.act(Action::WritePage(page + index * 16, 4, value.into()))
            }
        }
    }

    fn read_register(&mut self) {
        let index = self.random.one_of(&REGISTERS);
        if self.random.chance(85) || self.mode() == Mode::X2apic {
            self.read_whole(index);
        } else {
            let width = self.random.one_of(&[1, 2, 4, 8]);
            let first = self.random.below(16);
            let address = self.page(self.current) + index * 16 + first;
            self.act(Action::ReadPage(address, width));
        }
    }

    /// A register with a value that suits it, as a rule.
    fn write_register(&mut self) {
        let index = self.random.weighted(&[
            (4, TPR),
            (3, LDR),
            (1, DFR),
            (5, SVR),
            (1, ID),
            (2, ESR),
            (1, CMCI),
            (2, TIMER),
            (5, 0x33),
            (2, INITIAL_COUNT),
            (2, DIVIDE),
            (1, EOI),
            (2, 0xFF),
        ]);
        let (index, value) = match index {
            0x33 => (0x33 + self.random.below(5), self.lvt_value()),
            0xFF => (self.random.one_of(&REGISTERS), self.random.half()),
            _ => (index, self.value_for(index)),
        };
        // Any width and place, without what sends: that has its own steps.
        let is_command = matches!(index, ICR | ICR_HIGH);
        match self.random.below(20) {
            0 if self.mode() == Mode::X2apic => self.write_wide(index, value),
            1 if self.mode() == Mode::X2apic => self.write_reserved(index),
            0 if !is_command => {
                let address = self.page(self.current) + index * 16 + self.random.below(16);
                let width = self.random.one_of(&[1, 2, 4, 8]);
                let value = self.random.word();
                self.act(Action::WritePage(address, width, value));
            }
            1 if !is_command => {
                let address = self.page(self.current) + index * 16;
                self.act(Action::ExchangePage(address, value));
            }
            _ => {
                self.write_whole(index, value);
            }
        }
    }

    fn value_for(&mut self, index: u32) -> u32 {
        match index {
            TPR => self
                .random
                .one_of(&[0, 0, 0, 0x10, 0x1F, 0x35, 0x80, 0xF0, 0xFF]),
            LDR => {
                let any = self.random.below(256);
                let id = self.random.weighted(&[
                    (6, 1 << (self.current & 7)),
                    (2, 0x10 | 1 << (self.current & 3)),
                    (1, 0),
                    (1, any),
                ]);
                (id << 24) | (self.random.below(2) * 0x1234)
            }
            DFR => self.random.weighted(&[
                (6, 0xFFFF_FFFF),
                (4, 0x0FFF_FFFF),
                (1, 0xF000_0000),
                (1, 0x7123_4567),
            ]),
            SVR => {
                let enabled = if self.random.chance(85) { 0x100 } else { 0 };
                let rare =
                    self.random
                        .weighted(&[(8, 0), (1, 0x200), (1, 0x1000), (1, 0xFFFF_0000)]);
                enabled | u32::from(self.random.byte()) | rare
            }
            ID => {
                let any = self.random.below(4);
                let id = self.random.weighted(&[
                    (6, u32::from(self.current)),
                    (2, 0x20 + u32::from(self.current)),
                    (1, any),
                ]);
                id << 24
            }
            ESR => self.random.one_of(&[0, 0, 0, 1, 0xFF]),
            TIMER => {
                let vector = self.any_vector();
                let mode = self.random.weighted(&[
                    (6, 0),
                    (6, PERIODIC),
                    (2, DEADLINE),
                    (1, PERIODIC | DEADLINE),
                ]);
                vector | mode | self.random.below(2) << 16 | self.random.below(2) << 12
            }
            INITIAL_COUNT => self.random.one_of(&[0, LONG, LONG + 0x1234_5678, u32::MAX]),
            DIVIDE => self
                .random
                .one_of(&[0x9, 0xA, 0xA, 0xA, 0xB, 0x0, 0x8, 0xFA]),
            CMCI => self.lvt_value(),
            _ => 0,
        }
    }

    fn lvt_value(&mut self) -> u32 {
        let vector = self.any_vector();
        let mode = self.random.below(8) << 8;
        let pins = (self.random.below(16) << 12) & self.random.one_of(&[0, 0xF000]);
        let mask = self.random.one_of(&[0, MASKED]);
        let reserved = self.random.one_of(&[0, 0, 0, 0x800, 0xFFF2_0000]);
        vector | mode | pins | mask | reserved
    }

    /// x2APIC mode: bits 63:32 are set, which all registers but the ICR refuse.
    fn write_wide(&mut self, index: u32, value: u32) {
        if index != ICR {
            let high = 1 << self.random.below(32);
            let value = u64::from(value) | high << 32;
            self.act(Action::WriteMsr(X2APIC_MSR_FIRST + index, value));
        }
    }

    /// x2APIC mode: the present value with more bits set.
    fn write_reserved(&mut self, index: u32) {
        let present = self.model.register(self.current, index);
        let more = 1 << self.random.below(32);
        let value = u64::from(present | more);
        self.act(Action::WriteMsr(X2APIC_MSR_FIRST + index, value));
    }

    /// How a handler can end its interrupt in the present mode.
    pub(super) fn end(&self) -> End {
        match self.mode() {
            Mode::Disabled => End::Leave,
            Mode::Xapic => End::Page(self.page(self.current)),
            Mode::X2apic => End::Msr,
        }
    }

    fn open_window(&mut self) {
        let end = if self.random.chance(60) {
            self.end()
        } else {
            End::Leave
        };
        self.act(Action::Window(end));
    }

    fn end_interrupt(&mut self) {
        let value = self.random.weighted(&[(12, 0), (1, 1), (1, 0xDEAD_BEEF)]);
        self.write_whole(EOI, value);
    }

    fn use_cr8(&mut self) {
        if self.random.chance(50) {
            self.act(Action::ReadCr8);
        } else {
            let any = self.random.word();
            let class = self.random.weighted(&[
                (4, 0),
                (2, u64::from(self.model.apic(self.current).cr8())),
                (3, any & 0xF),
                (1, 1 << (4 + any % 60)),
            ]);
            self.act(Action::WriteCr8(class));
            if self.mode() != Mode::Disabled && self.random.chance(30) {
                self.read_whole(TPR);
            }
        }
    }

    /// Through any door, whatever the mode.
    fn access_anywhere(&mut self) {
        let index = self.random.below(0x100);
        let page = match self.random.below(4) {
            0 => self.random.one_of(&PAGES),
            _ => self.page(self.current),
        };
        let width = self.random.one_of(&[1, 2, 4, 4, 4, 8]);
        let any = self.random.below(16);
        let first = self.random.one_of(&[0, 0, 0, any]);
        let offset = (index * 16 + first).min(0x1000 - u32::from(width));
        let value = self.random.word();
        let action = match self.random.below(4) {
            0 => Action::ReadMsr(X2APIC_MSR_FIRST + index),
            1 => Action::ReadPage(page + offset, width),
            // Not the ICR, whose values have steps of their own.
            _ if matches!(index, ICR | ICR_HIGH) => Action::ReadMsr(IA32_APIC_BASE),
            2 => Action::WriteMsr(X2APIC_MSR_FIRST + index, value & 0xFFFF_FFFF),
            _ => Action::WritePage(page + offset, width, value),
        };
        self.act(action);
    }

    /// IA32_APIC_BASE with a value that may be legal.
    fn write_base(&mut self) {
        let mode = self.random.weighted(&[
            (6, self.model.apic(self.current).base().into_bits() & 0xC00),
            (1, 0x400),
            (1, 0x800),
            (1, 0xC00),
        ]);
        let page = if self.mode() == Mode::Xapic {
            self.random.one_of(&PAGES)
        } else {
            self.model
                .apic(self.current)
                .base()
                .address()
                .try_into()
                .unwrap_or(PAGE)
        };
        let any = self.random.below(8);
        let rare = self.random.weighted(&[
            (4, 0),
            (1, 1 << any),
            (1, 1 << 9),
            (1, 1 << 63),
            (1, 1 << 52),
        ]);
        let bootstrap = base_of(self.current) ^ u64::from(self.random.chance(5)) << 8;
        let value = bootstrap | mode | u64::from(page) | rare;
        self.act(Action::WriteMsr(IA32_APIC_BASE, value));
        self.act(Action::ReadMsr(IA32_APIC_BASE));
    }

    /// A legal move to another mode, with what it takes to come out alike.
    fn change_mode(&mut self) {
        let page = PAGE;
        let base = base_of(self.current) | u64::from(page);
        match self.mode() {
            Mode::Xapic if self.random.chance(60) => {
                let base = base_of(self.current) | u64::from(self.page(self.current)) | 0xC00;
                self.act(Action::WriteMsr(IA32_APIC_BASE, base));
            }
            Mode::Disabled => {
                self.act(Action::WriteMsr(IA32_APIC_BASE, base | 0x800));
            }
            _ => {
                self.quiesce();
                self.act(Action::WriteMsr(IA32_APIC_BASE, base));
            }
        }
    }

    /// Nothing in service, nothing requested, priority 0, the timer stopped.
    pub(super) fn quiesce(&mut self) {
        self.write_whole(INITIAL_COUNT, 0);
        self.write_whole(TPR, 0);
        while self.model.apic(self.current).in_service().is_some() {
            self.write_whole(EOI, 0);
        }
        let end = self.end();
        self.act(Action::Window(end));
    }

    /// Every register of a processor, at the end.
    pub(super) fn read_everything(&mut self, processor: u8) {
        self.current = processor;
        for index in REGISTERS
            .into_iter()
            .filter(|&index| index != CURRENT_COUNT)
        {
            self.read_whole(index);
        }
        for action in [
            Action::ReadMsr(IA32_APIC_BASE),
            Action::ReadCr8,
            Action::Exit,
        ] {
            self.execute(Operation { processor, action });
        }
    }
}

const _: () = assert!(EOI_MSR == X2APIC_MSR_FIRST + EOI);
