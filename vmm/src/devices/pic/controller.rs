//! One 8259A. Simplified: the modes that no PC uses are not there: buffered, 8080, special fully
//! nested; and which line of a controller leads to the other is not up to software.

use std::mem;

/// What the next write to the odd port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    /// OCW1.
    Mask,
    /// The base of the vectors.
    Icw2,
    /// The wiring of the pair.
    Icw3,
    /// Automatic EOI.
    Icw4,
}

/// The line of a spurious interrupt.
const SPURIOUS: u8 = 7;

/// A controller with eight lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Controller {
    lines: u8,
    /// Edges that have not been acknowledged.
    edges: u8,
    in_service: u8,
    mask: u8,
    /// Lines that are level-triggered.
    level: u8,
    base: u8,
    /// The line with the lowest priority; the next one has the highest.
    lowest: u8,
    expects: Expects,
    has_icw4: bool,
    single: bool,
    auto_eoi: bool,
    rotates_on_auto_eoi: bool,
    special_mask: bool,
    reads_in_service: bool,
    poll: bool,
}

impl Controller {
    /// After power-up: everything masked.
    pub(super) const RESET: Self = Self {
        lines: 0,
        edges: 0,
        in_service: 0,
        mask: 0xFF,
        level: 0,
        base: 0,
        lowest: 7,
        expects: Expects::Mask,
        has_icw4: false,
        single: false,
        auto_eoi: false,
        rotates_on_auto_eoi: false,
        special_mask: false,
        reads_in_service: false,
        poll: false,
    };

    /// Drives a line below 8.
    pub(super) const fn set_line(&mut self, line: u8, high: bool) {
        let bit = 1 << (line & 7);
        if !high {
            self.lines &= !bit;
        } else if self.lines & bit == 0 {
            self.lines |= bit;
            self.edges |= bit;
        }
    }

    /// Drives a line below 8 whose request goes when the line does.
    pub(super) const fn set_level(&mut self, line: u8, high: bool) {
        self.set_line(line, high);
        if !high {
            self.edges &= !(1 << (line & 7));
        }
    }

    /// The request register: a level asks for as long as it is high.
    const fn requests(&self) -> u8 {
        self.edges & !self.level | self.lines & self.level
    }

    /// The first of some lines by priority.
    fn first(&self, lines: u8) -> Option<u8> {
        (1..=8)
            .map(|step| (self.lowest + step) & 7)
            .find(|line| lines >> line & 1 != 0)
    }

    /// Whether the output is high.
    pub(super) fn interrupts(&self) -> bool {
        self.interrupting().is_some()
    }

    /// The line that interrupts: one in service holds back itself and all below it, unless the
    /// special mask is on and the line is masked.
    fn interrupting(&self) -> Option<u8> {
        let holding = self.in_service & !self.specially_masked();
        let line = self.first(self.requests() & !self.mask | holding)?;
        (holding >> line & 1 == 0).then_some(line)
    }

    /// Takes the interrupt; returns its line.
    pub(super) fn acknowledge(&mut self) -> u8 {
        let Some(line) = self.interrupting() else {
            return SPURIOUS;
        };
        self.edges &= !(1 << line);
        if !self.auto_eoi {
            self.in_service |= 1 << line;
        } else if self.rotates_on_auto_eoi {
            self.lowest = line;
        }
        line
    }

    pub(super) const fn vector(&self, line: u8) -> u8 {
        self.base | line
    }

    pub(super) const fn edge_level(&self) -> u8 {
        self.level
    }

    /// A line that becomes level-triggered forgets its edge.
    pub(super) const fn set_edge_level(&mut self, level: u8) {
        self.level = level;
        self.edges &= !level;
    }

    /// The even port.
    pub(super) fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            self.initialise(value);
        } else if value & 0x08 != 0 {
            self.ocw3(value);
        } else {
            self.ocw2(value >> 5, value & 7);
        }
    }

    /// ICW1, which also forgets edges and everything that was set but the wiring.
    const fn initialise(&mut self, value: u8) {
        *self = Self {
            lines: self.lines,
            level: self.level,
            base: self.base,
            mask: 0,
            expects: Expects::Icw2,
            has_icw4: value & 1 != 0,
            single: value & 2 != 0,
            ..Self::RESET
        };
    }

    const fn ocw3(&mut self, value: u8) {
        self.poll = value & 4 != 0;
        if value & 2 != 0 {
            self.reads_in_service = value & 1 != 0;
        }
        if value & 0x40 != 0 {
            self.special_mask = value & 0x20 != 0;
        }
    }

    /// The end of an interrupt and the rotation of priorities, by the command's three bits.
    fn ocw2(&mut self, command: u8, line: u8) {
        match command {
            0b000 | 0b100 => self.rotates_on_auto_eoi = command != 0,
            0b110 => self.lowest = line,
            0b010 => {}
            _ => {
                let specific = command & 0b010 != 0;
                let served = if specific {
                    Some(line)
                } else {
                    self.first(self.in_service & !self.specially_masked())
                };
                if let Some(line) = served {
                    self.in_service &= !(1 << line);
                    if command & 0b100 != 0 {
                        self.lowest = line;
                    }
                }
            }
        }
    }

    /// Lines whose service neither holds others back nor is ended by an EOI that names none.
    const fn specially_masked(&self) -> u8 {
        if self.special_mask { self.mask } else { 0 }
    }

    /// The odd port.
    pub(super) const fn write_data(&mut self, value: u8) {
        self.expects = match self.expects {
            Expects::Mask => {
                self.mask = value;
                Expects::Mask
            }
            Expects::Icw2 => {
                self.base = value & 0xF8;
                if self.single {
                    self.after_icw3()
                } else {
                    Expects::Icw3
                }
            }
            Expects::Icw3 => self.after_icw3(),
            Expects::Icw4 => {
                self.auto_eoi = value & 2 != 0;
                Expects::Mask
            }
        };
    }

    const fn after_icw3(&self) -> Expects {
        if self.has_icw4 {
            Expects::Icw4
        } else {
            Expects::Mask
        }
    }

    /// The even port.
    pub(super) fn read_command(&mut self) -> u8 {
        match self.read_poll() {
            Some(answer) => answer,
            None if self.reads_in_service => self.in_service,
            None => self.requests(),
        }
    }

    /// The odd port.
    pub(super) fn read_data(&mut self) -> u8 {
        self.read_poll().unwrap_or(self.mask)
    }

    /// After a poll command the next read, of either port, acknowledges.
    fn read_poll(&mut self) -> Option<u8> {
        mem::take(&mut self.poll).then(|| {
            if self.interrupts() {
                0x80 | self.acknowledge()
            } else {
                0
            }
        })
    }
}
