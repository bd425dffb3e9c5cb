//! The two doors to the registers, and what a write does (SDM 3A, APIC §4.1, §6.1, §12.1).

use std::collections::BTreeSet;

use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use crate::apic::*;
use crate::output::{Effect, Fault};

impl Apic {
    pub(crate) fn exists(&self, register: u32) -> bool {
        match register {
            LVT_CMCI => self.made.corrected_machine_check,
            0x02 | 0x03 | 0x08..=0x28 | 0x30..=0x39 | 0x3E => true,
            _ => false,
        }
    }

    /// What a register shows, if it shows anything; IDs and commands differ between the doors.
    fn shown(&self, register: u32) -> u32 {
        let of_32 = |set: &BTreeSet<u8>| {
            let first = (register & 7) * 32;
            (0..32)
                .filter(|bit| set.iter().any(|&vector| u32::from(vector) == first + bit))
                .fold(0, |word, bit| word | 1 << bit)
        };
        match register {
            VERSION => {
                0x14 + (if self.made.corrected_machine_check {
                    6
                } else {
                    5
                } << 16)
                    + (u32::from(self.made.eoi_suppression) << 24)
            }
            TPR => self.tpr.into(),
            PPR => self.processor_priority().into(),
            SVR => self.svr,
            0x10..=0x17 => of_32(&self.in_service),
            0x18..=0x1F => of_32(&self.level),
            0x20..=0x27 => of_32(&self.requests),
            ESR => self.errors_shown,
            LVT_LINT0 if self.lint0.is_some() => self.entries[&register] | REMOTE_IRR,
            LVT_CMCI | LVT_TIMER..=LVT_ERROR => self.entries[&register],
            TIMER_INITIAL => self.timer.initial,
            TIMER_CURRENT => self.timer.count(),
            TIMER_DIVIDE => self.timer.divide,
            _ => 0,
        }
    }

    /// A read of the page: the register's bytes from there on, then zeros.
    pub(crate) fn read_page(&mut self, offset: u32, width: usize) -> Vec<u8> {
        if self.mode() != Mode::Xapic {
            return vec![0xFF; width];
        }
        let register = offset / 16;
        let value = match register {
            ID => u32::from(self.xapic_id) << 24,
            LDR => u32::from(self.ldr) << 24,
            DFR => u32::from(self.dfr) << 28 | 0x0FFF_FFFF,
            ICR => self.icr_low,
            ICR2 => self.icr_high,
            _ if self.exists(register) => self.shown(register),
            _ => {
                self.error(ILLEGAL_REGISTER);
                0
            }
        };
        let mut bytes = value.to_le_bytes().to_vec();
        bytes.resize(32, 0);
        let start = offset as usize % 16;
        bytes[start..start + width].to_vec()
    }

    /// A write to the page: four bytes at a register, or nothing.
    pub(crate) fn write_page(&mut self, offset: u32, data: &[u8]) -> Effect {
        let (Mode::Xapic, Ok(bytes), 0) = (self.mode(), <[u8; 4]>::try_from(data), offset % 16)
        else {
            return Effect::None;
        };
        let value = u32::from_le_bytes(bytes);
        let register = offset / 16;
        match register {
            ID => self.xapic_id = bytes[3],
            LDR => self.ldr = bytes[3],
            DFR => self.dfr = bytes[3] >> 4,
            ICR2 => {
                self.icr_high = value & 0xFF00_0000;
                return Effect::None;
            }
            ICR => {
                self.icr_low = value & !(1 << 12);
                return self.command(value, self.icr_high >> 24, 0xFF);
            }
            0x10..=0x27 => return Effect::None,
            _ if !self.exists(register) => {
                self.error(ILLEGAL_REGISTER);
                return Effect::None;
            }
            _ if register != LVT_CMCI && READ_ONLY.contains(&register) => return Effect::None,
            _ => return self.write(register, value),
        }
        Effect::Identity
    }

    /// RDMSR (§12.1.2): what does not exist or cannot be read faults.
    pub(crate) fn read_msr(&mut self, msr: u32) -> Result<u64, Fault> {
        let register = self.register_of_msr(msr)?;
        match register {
            EOI | SELF_IPI => Err(Fault),
            ID => Ok(self.made.id.into()),
            LDR => Ok(u64::from(self.made.id / 16) << 16 | 1 << (self.made.id % 16)),
            ICR => Ok(u64::from(self.icr_high) << 32 | u64::from(self.icr_low)),
            _ => Ok(self.shown(register).into()),
        }
    }

    /// WRMSR: a reserved bit, too, faults, and then nothing has happened.
    pub(crate) fn write_msr(&mut self, msr: u32, value: u64) -> Result<Effect, Fault> {
        let register = self.register_of_msr(msr)?;
        let deadline_bit = if self.made.tsc_deadline { 1 << 18 } else { 0 };
        let legal = match register {
            TPR | SELF_IPI => 0xFF,
            EOI | ESR => 0,
            SVR => 0x3FF | u64::from(self.suppressible()),
            ICR => !0xFFF3_2000,
            LVT_TIMER => 0x3_10FF | deadline_bit,
            LVT_CMCI | LVT_THERMAL | LVT_PMC => 0x1_17FF,
            LVT_LINT0 | LVT_LINT1 => 0x1_F7FF,
            LVT_ERROR => 0x1_10FF,
            TIMER_INITIAL => 0xFFFF_FFFF,
            TIMER_DIVIDE => 0xB,
            _ => return Err(Fault),
        };
        let both_modes = register == LVT_TIMER && value >> 17 & 3 == 3;
        if value & !legal != 0 || both_modes {
            return Err(Fault);
        }
        let [low, high] = [value, value >> 32].map(|half| (half & 0xFFFF_FFFF) as u32);
        match register {
            ICR => {
                (self.icr_low, self.icr_high) = (low & !(1 << 12), high);
                Ok(self.command(low, high, u32::MAX))
            }
            SELF_IPI => Ok(self.command(low | 1 << 18, 0, u32::MAX)),
            _ => Ok(self.write(register, low)),
        }
    }

    fn register_of_msr(&self, msr: u32) -> Result<u32, Fault> {
        let absent = [0x09, 0x0C, DFR, ICR2];
        match msr.checked_sub(0x800) {
            _ if self.mode() != Mode::X2apic => Err(Fault),
            Some(SELF_IPI) => Ok(SELF_IPI),
            Some(register) if self.exists(register) && !absent.contains(&register) => Ok(register),
            _ => Err(Fault),
        }
    }

    fn suppressible(&self) -> u32 {
        if self.made.eoi_suppression {
            SUPPRESS
        } else {
            0
        }
    }

    /// A write of what both doors have in common.
    fn write(&mut self, register: u32, value: u32) -> Effect {
        match register {
            TPR => self.tpr = value.to_le_bytes()[0],
            EOI => return self.end(),
            SVR => {
                self.svr = value & (0x3FF | self.suppressible());
                if !self.software_enabled() {
                    self.entries.values_mut().for_each(|entry| *entry |= MASKED);
                }
                return Effect::Identity;
            }
            ESR => {
                self.errors_shown = self.errors_collected;
                self.errors_collected = 0;
            }
            TIMER_INITIAL => self.timer.start(value),
            TIMER_DIVIDE => self.timer.set_divide(value & 0xB),
            _ => self.write_entry(register, value),
        }
        Effect::None
    }

    /// §5.1: a guest cannot unmask while the APIC is disabled.
    fn write_entry(&mut self, register: u32, value: u32) {
        let kept = match register {
            LVT_TIMER if self.made.tsc_deadline => 0x7_00FF,
            LVT_TIMER => 0x3_00FF,
            LVT_LINT0 | LVT_LINT1 => 0x1_A7FF,
            LVT_ERROR => 0x1_00FF,
            _ => 0x1_07FF,
        };
        let mut entry = value & kept;
        if !self.software_enabled() {
            entry |= MASKED;
        }
        self.entries.insert(register, entry);
        match register {
            LVT_TIMER => self.timer.set_mode(entry >> 17 & 3),
            LVT_LINT0 => {
                if !self.is_lint0_level() {
                    self.lint0 = None;
                }
                self.look_at_lint0();
            }
            _ => {}
        }
    }

    /// A command (§6.1): what is sent, or which error there is.
    fn command(&mut self, low: u32, destination: u32, all: u32) -> Effect {
        let delivery = DeliveryMode::from_bits((low >> 8 & 7) as u8);
        let vector = low.to_le_bytes()[0];
        let deasserts = low & LEVEL != 0 && low >> 14 & 1 == 0;
        let is_vector = matches!(delivery, DeliveryMode::Fixed | DeliveryMode::LowestPriority);
        match delivery {
            DeliveryMode::RemoteRead | DeliveryMode::ExtInt => return Effect::None,
            DeliveryMode::Init if deasserts => return Effect::None,
            DeliveryMode::LowestPriority if all == u32::MAX => {
                self.error(REDIRECTABLE);
                return Effect::None;
            }
            _ if is_vector && vector < 16 => {
                self.error(SENT_ILLEGAL);
                return Effect::None;
            }
            _ if is_vector && deasserts => return Effect::None,
            _ => {}
        }
        let destination = match (low >> 18 & 3, low >> 11 & 1) {
            (1, _) => Destination::Sender,
            (2, _) => Destination::All,
            (3, _) => Destination::AllButSender,
            _ if destination == all => Destination::All,
            (_, 0) => Destination::Physical(destination),
            _ => Destination::Logical(destination),
        };
        Effect::Send(InterruptMessage {
            destination,
            delivery,
            vector,
            trigger: Trigger::Edge,
        })
    }
}
