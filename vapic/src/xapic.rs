//! The memory-mapped door: the 4 KiB page of xAPIC mode (SDM 3A, APIC §4.1).
//!
//! Registers are 32 bits wide on 16-byte boundaries. An access can never fail towards the host:
//! what the manual leaves undefined reads as stated here, or is dropped.

use crate::local_apic::{Concerns, Effect, LocalApic};
use crate::mode::Mode;
use crate::priority::TaskPriority;
use crate::spec::error::ErrorStatus;
use crate::spec::register::Register;

impl LocalApic {
    /// The guest writes to the APIC page.
    ///
    /// Anything but an aligned 32-bit write is dropped, as are all writes outside xAPIC mode. `now` is
    /// in ns, see [Time](crate#time).
    #[inline(always)]
    pub fn write_page(&mut self, offset: u32, data: &[u8], now: u64) -> Effect {
        let Ok(value) = <[u8; 4]>::try_from(data).map(u32::from_le_bytes) else {
            return Effect::None;
        };
        if self.mode != Mode::Xapic {
            return Effect::None;
        }
        match offset {
            0x300 => self.command_xapic(value),
            0x310 => {
                self.command_high = value & 0xFF00_0000;
                Effect::None
            }
            0x0B0 => self.end(),
            0x080 => {
                self.task_priority = TaskPriority::new(value.to_le_bytes()[0]);
                Effect::None
            }
            _ if offset & 0xF == 0 => self.write_page_register(offset, value, now).into(),
            _ => Effect::None,
        }
    }

    #[inline(never)]
    fn write_page_register(&mut self, offset: u32, value: u32, now: u64) -> Concerns {
        if self.timer.is_due(now) {
            return self.write_page_register_late(offset, value, now);
        }
        let [top, ..] = value.to_be_bytes();
        match self.config.register(Register::from_offset(offset)) {
            Some(Register::Lvt(source)) => {
                self.write_lvt(source, value & self.writable_lvt(source));
            }
            Some(Register::TimerInitialCount) => self.timer.start(value, now),
            Some(Register::TimerDivide) => self.timer.set_divide(value, now),
            Some(Register::SpuriousVector) => {
                self.write_spurious(value);
                return Concerns::Senders;
            }
            Some(Register::Id) => {
                self.xapic_id = top;
                return Concerns::Senders;
            }
            Some(Register::LogicalDestination) => {
                self.logical_id = top;
                return Concerns::Senders;
            }
            Some(Register::DestinationFormat) => {
                self.destination_format = top >> 4;
                return Concerns::Senders;
            }
            Some(Register::ErrorStatus) => self.errors.latch(),
            None | Some(Register::SelfIpi) => {
                self.note_error(ErrorStatus::new().with_illegal_register_address(true));
            }
            Some(_) => {}
        }
        Concerns::Itself
    }

    /// What is due by now has happened before this access.
    #[cold]
    #[inline(never)]
    fn write_page_register_late(&mut self, offset: u32, value: u32, now: u64) -> Concerns {
        let now = self.expire(now);
        self.write_page_register(offset, value, now)
    }

    /// The guest reads from the APIC page; `data` receives the bytes.
    ///
    /// A read inside a register's four bytes returns them; the padding between registers reads as
    /// zero, and the whole page as all ones outside xAPIC mode, where nothing claims it. `now` is in
    /// ns, see [Time](crate#time).
    #[inline]
    pub fn read_page(&mut self, offset: u32, data: &mut [u8], now: u64) {
        if self.mode != Mode::Xapic {
            return data.fill(0xFF);
        }
        match (<&mut [u8; 4]>::try_from(&mut *data), offset) {
            // Asked for most, to learn which processor this is.
            (Ok(data), 0x020) => *data = [0, 0, 0, self.xapic_id],
            (Ok(data), _) if offset & 0xF == 0 => {
                *data = self.read_page_register(offset, now).to_le_bytes();
            }
            _ => self.read_page_part(offset, data, now),
        }
    }

    /// A read that is not simply of one register: its bytes from there on, then zeros.
    #[cold]
    fn read_page_part(&mut self, offset: u32, data: &mut [u8], now: u64) {
        let register = self.read_page_register(offset, now).to_le_bytes();
        let within = register.into_iter().skip(offset as usize & 0xF);
        for (to, from) in data.iter_mut().zip(within.chain(core::iter::repeat(0))) {
            *to = from;
        }
    }

    #[inline]
    fn read_page_register(&mut self, offset: u32, now: u64) -> u32 {
        match self.config.register(Register::from_offset(offset)) {
            Some(Register::Id) => u32::from(self.xapic_id) << 24,
            Some(Register::LogicalDestination) => u32::from(self.logical_id) << 24,
            Some(Register::DestinationFormat) => {
                u32::from(self.destination_format) << 28 | 0x0FFF_FFFF
            }
            Some(Register::InterruptCommandHigh) => self.command_high,
            Some(Register::InterruptCommand) => self.command_low,
            None | Some(Register::SelfIpi) => {
                self.note_error(ErrorStatus::new().with_illegal_register_address(true));
                0
            }
            Some(register) => self.read_common(register, now),
        }
    }

    /// Registers that read alike through both doors; those without a value read as zero.
    pub(crate) fn read_common(&mut self, register: Register, now: u64) -> u32 {
        self.advance(now);
        match register {
            Register::Version => self.config.version(),
            Register::TaskPriority => u32::from(self.task_priority.value()),
            Register::ProcessorPriority => u32::from(self.processor_priority()),
            Register::SpuriousVector => self.spurious.into_bits(),
            Register::InService(index) => self.in_service.register(index),
            Register::TriggerMode(index) => self.level.register(index),
            Register::InterruptRequest(index) => self.requests.register(index),
            Register::ErrorStatus => self.errors.visible(),
            Register::Lvt(source) => self.read_lvt(source),
            Register::TimerInitialCount => self.timer.initial(),
            Register::TimerCurrentCount => self.timer.current(now),
            Register::TimerDivide => self.timer.divide(),
            _ => 0,
        }
    }
}
