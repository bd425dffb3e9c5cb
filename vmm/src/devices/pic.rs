//! The pair of 8259A interrupt controllers of a PC, with their edge/level control registers (Intel
//! 8259A data sheet, order number 231468).
//!
//! Fully nested, fixed or rotated priorities, automatic EOI, special mask. Missing: the 8080 mode,
//! the special fully nested mode and the buffered mode, which no PC uses.

use crate::layout::{ELCR_PORT, PIC_MASTER_PORT, PIC_SLAVE_PORT};

/// The line of the first controller that the second is wired to.
const CASCADE: u8 = 2;

/// Lines that cannot be level-triggered: timer, keyboard, cascade; clock and coprocessor.
const ALWAYS_EDGE: [u8; 2] = [0b0000_0111, 0b0010_0001];

/// Which initialisation command word comes next on the odd port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expects {
    Mask,
    Icw2,
    Icw3,
    Icw4,
}

/// One 8259A.
#[derive(Clone, Copy, Debug)]
struct Controller {
    lines: u8,
    requests: u8,
    in_service: u8,
    mask: u8,
    level: u8,
    base: u8,
    /// The line with the lowest priority.
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
    const RESET: Self = Self {
        lines: 0,
        requests: 0,
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

    /// A line below 8 is driven.
    const fn drive(&mut self, line: u8, high: bool) {
        let bit = 1 << (line & 7);
        let rises = high && self.lines & bit == 0;
        self.lines = if high {
            self.lines | bit
        } else {
            self.lines & !bit
        };
        if rises {
            self.requests |= bit;
        }
        if !high && self.level & bit != 0 {
            self.requests &= !bit;
        }
    }

    /// The requests that stand now: a level asks for as long as it is high.
    const fn pending(&self) -> u8 {
        (self.requests | self.lines & self.level) & !self.mask
    }

    /// The first of some lines in the order of priority.
    fn first(&self, lines: u8) -> Option<u8> {
        (1..=8)
            .map(|step| (self.lowest + step) & 7)
            .find(|line| lines >> line & 1 != 0)
    }

    fn rank(&self, line: u8) -> u8 {
        line.wrapping_sub(self.lowest + 1) & 7
    }

    /// The line that interrupts now.
    fn interrupting(&self) -> Option<u8> {
        let line = self.first(self.pending())?;
        let holds = if self.special_mask {
            self.in_service & !self.mask & 1 << line
        } else {
            self.in_service
        };
        match self.first(holds) {
            Some(served) if self.rank(line) >= self.rank(served) => None,
            _ => Some(line),
        }
    }

    /// Takes the interrupt; line 7 without a bit in service is the spurious one.
    fn acknowledge(&mut self) -> u8 {
        let Some(line) = self.interrupting() else {
            return 7;
        };
        let bit = 1 << line;
        if self.level & bit == 0 {
            self.requests &= !bit;
        }
        if self.auto_eoi {
            if self.rotates_on_auto_eoi {
                self.lowest = line;
            }
        } else {
            self.in_service |= bit;
        }
        line
    }

    fn write_command(&mut self, value: u8) {
        if value & 0x10 != 0 {
            *self = Self {
                lines: self.lines,
                level: self.level,
                mask: 0,
                expects: Expects::Icw2,
                has_icw4: value & 1 != 0,
                single: value & 2 != 0,
                ..Self::RESET
            };
        } else if value & 0x08 != 0 {
            self.poll = value & 4 != 0;
            if value & 2 != 0 {
                self.reads_in_service = value & 1 != 0;
            }
            if value & 0x40 != 0 {
                self.special_mask = value & 0x20 != 0;
            }
        } else {
            self.end(value >> 5, value & 7);
        }
    }

    fn end(&mut self, command: u8, line: u8) {
        let (rotate, specific, eoi) = (command & 4 != 0, command & 2 != 0, command & 1 != 0);
        let ended = if specific {
            Some(line)
        } else {
            self.first(self.in_service)
        };
        match (eoi, ended) {
            (true, Some(line)) => {
                self.in_service &= !(1 << line);
                if rotate {
                    self.lowest = line;
                }
            }
            (true, None) => {}
            (false, _) if specific && rotate => self.lowest = line,
            (false, _) if !specific => self.rotates_on_auto_eoi = rotate,
            (false, _) => {}
        }
    }

    fn write_data(&mut self, value: u8) {
        self.expects = match self.expects {
            Expects::Mask => {
                self.mask = value;
                Expects::Mask
            }
            Expects::Icw2 => {
                self.base = value & 0xF8;
                match (self.single, self.has_icw4) {
                    (false, _) => Expects::Icw3,
                    (true, true) => Expects::Icw4,
                    (true, false) => Expects::Mask,
                }
            }
            // How the two are wired is not up to software.
            Expects::Icw3 if self.has_icw4 => Expects::Icw4,
            Expects::Icw3 => Expects::Mask,
            Expects::Icw4 => {
                self.auto_eoi = value & 2 != 0;
                Expects::Mask
            }
        };
    }

    /// Reads the even port: a poll acknowledges.
    fn read_command(&mut self) -> u8 {
        if std::mem::take(&mut self.poll) {
            return match self.interrupting() {
                Some(_) => 0x80 | self.acknowledge(),
                None => 0,
            };
        }
        if self.reads_in_service {
            self.in_service
        } else {
            self.requests | self.lines & self.level
        }
    }
}

/// The two controllers.
#[derive(Clone, Debug)]
pub struct Pic {
    master: Controller,
    slave: Controller,
}

impl Pic {
    /// The controllers after power-up: everything masked.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            master: Controller::RESET,
            slave: Controller::RESET,
        }
    }

    /// ISA interrupt `line` is driven; those beyond 15 and the cascade's do not exist.
    pub fn set_line(&mut self, line: u8, high: bool) {
        match line {
            CASCADE => {}
            0..8 => self.master.drive(line, high),
            8..16 => self.slave.drive(line - 8, high),
            _ => {}
        }
        self.cascade();
    }

    /// Whether the processor is asked for.
    #[must_use]
    pub fn output(&self) -> bool {
        self.master.interrupting().is_some()
    }

    /// The processor acknowledges: returns the vector.
    ///
    /// Without a request that is the spurious one, line 7 of the controller that was asked.
    pub fn acknowledge(&mut self) -> u8 {
        let line = self.master.acknowledge();
        let vector = if line == CASCADE {
            self.slave.base + self.slave.acknowledge()
        } else {
            self.master.base + line
        };
        self.cascade();
        vector
    }

    /// The guest reads a port.
    pub fn read(&mut self, port: u16) -> u8 {
        let value = match port {
            PIC_MASTER_PORT => self.master.read_command(),
            PIC_SLAVE_PORT => self.slave.read_command(),
            _ if port == PIC_MASTER_PORT + 1 => self.master.mask,
            _ if port == PIC_SLAVE_PORT + 1 => self.slave.mask,
            ELCR_PORT => self.master.level,
            _ if port == ELCR_PORT + 1 => self.slave.level,
            _ => 0xFF,
        };
        self.cascade();
        value
    }

    /// The guest writes a port.
    pub fn write(&mut self, port: u16, value: u8) {
        let [master_edges, slave_edges] = ALWAYS_EDGE;
        match port {
            PIC_MASTER_PORT => self.master.write_command(value),
            PIC_SLAVE_PORT => self.slave.write_command(value),
            _ if port == PIC_MASTER_PORT + 1 => self.master.write_data(value),
            _ if port == PIC_SLAVE_PORT + 1 => self.slave.write_data(value),
            ELCR_PORT => self.master.level = value & !master_edges,
            _ if port == ELCR_PORT + 1 => self.slave.level = value & !slave_edges,
            _ => {}
        }
        self.cascade();
    }

    /// The second controller's output is a line of the first. It is a level to it: a request that
    /// the second takes back is none.
    fn cascade(&mut self) {
        let bit = 1 << CASCADE;
        if self.slave.interrupting().is_some() {
            self.master.requests |= bit;
        } else {
            self.master.requests &= !bit;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER_DATA: u16 = PIC_MASTER_PORT + 1;
    const SLAVE_DATA: u16 = PIC_SLAVE_PORT + 1;
    const EOI: u8 = 0x20;

    /// Vectors from 0x30, nothing masked.
    fn initialised() -> Pic {
        let mut pic = Pic::new();
        for (port, value) in [
            (PIC_MASTER_PORT, 0x11),
            (MASTER_DATA, 0x30),
            (MASTER_DATA, 4),
            (MASTER_DATA, 1),
            (PIC_SLAVE_PORT, 0x11),
            (SLAVE_DATA, 0x38),
            (SLAVE_DATA, 2),
            (SLAVE_DATA, 1),
        ] {
            pic.write(port, value);
        }
        pic
    }

    fn edge(pic: &mut Pic, line: u8) {
        pic.set_line(line, true);
        pic.set_line(line, false);
    }

    #[test]
    fn an_edge_is_one_interrupt() {
        let mut pic = initialised();
        edge(&mut pic, 4);
        assert!(pic.output());
        assert_eq!(pic.acknowledge(), 0x34);
        assert!(!pic.output());
        edge(&mut pic, 4);
        assert!(!pic.output(), "it is in service");
        pic.write(PIC_MASTER_PORT, EOI);
        assert_eq!((pic.output(), pic.acknowledge()), (true, 0x34));
    }

    #[test]
    fn a_lower_line_waits_and_a_higher_one_nests() {
        let mut pic = initialised();
        edge(&mut pic, 4);
        assert_eq!(pic.acknowledge(), 0x34);
        edge(&mut pic, 5);
        assert!(!pic.output());
        edge(&mut pic, 0);
        assert_eq!(pic.acknowledge(), 0x30);
        pic.write(PIC_MASTER_PORT, EOI);
        assert!(!pic.output());
        pic.write(PIC_MASTER_PORT, 0x64);
        assert_eq!(pic.acknowledge(), 0x35);
    }

    #[test]
    fn the_second_controller_interrupts_through_the_first() {
        let mut pic = initialised();
        edge(&mut pic, 12);
        assert_eq!(pic.acknowledge(), 0x3C);
        edge(&mut pic, 9);
        pic.write(PIC_SLAVE_PORT, EOI);
        assert!(!pic.output(), "the cascade is in service");
        pic.write(PIC_MASTER_PORT, EOI);
        assert_eq!(pic.acknowledge(), 0x39);
    }

    #[test]
    fn a_masked_edge_waits_and_a_level_asks_while_it_is_high() {
        let mut pic = initialised();
        pic.write(MASTER_DATA, 0xFF);
        edge(&mut pic, 3);
        assert!(!pic.output());
        pic.write(MASTER_DATA, 0);
        assert_eq!(pic.acknowledge(), 0x33);
        pic.write(PIC_MASTER_PORT, EOI);

        pic.write(ELCR_PORT, 0xFF);
        assert_eq!(pic.read(ELCR_PORT), 0xF8);
        pic.set_line(5, true);
        assert_eq!(pic.acknowledge(), 0x35);
        pic.write(PIC_MASTER_PORT, EOI);
        assert!(pic.output());
        pic.set_line(5, false);
        assert!(!pic.output());
    }

    #[test]
    fn without_a_request_the_vector_is_spurious() {
        let mut pic = initialised();
        assert_eq!(pic.acknowledge(), 0x37);
        pic.write(PIC_MASTER_PORT, 0x0B);
        assert_eq!(pic.read(PIC_MASTER_PORT), 0, "nothing is in service");
    }

    #[test]
    fn a_poll_acknowledges() {
        let mut pic = initialised();
        edge(&mut pic, 1);
        pic.write(PIC_MASTER_PORT, 0x0C);
        assert_eq!(pic.read(PIC_MASTER_PORT), 0x81);
        pic.write(PIC_MASTER_PORT, 0x0B);
        assert_eq!(pic.read(PIC_MASTER_PORT), 2);
    }

    #[test]
    fn masks_read_back_as_linux_probes_them() {
        let mut pic = Pic::new();
        pic.write(SLAVE_DATA, 0xFF);
        pic.write(MASTER_DATA, 0xFB);
        assert_eq!(pic.read(MASTER_DATA), 0xFB);
        assert!(!pic.output());
    }

    #[test]
    fn no_byte_in_any_port_upsets_it() {
        let mut pic = initialised();
        for value in 0..=255 {
            for port in [
                PIC_MASTER_PORT,
                MASTER_DATA,
                PIC_SLAVE_PORT,
                SLAVE_DATA,
                ELCR_PORT,
            ] {
                pic.write(port, value);
                edge(&mut pic, value & 15);
                let _ = (pic.read(port), pic.output(), pic.acknowledge());
            }
        }
    }
}
