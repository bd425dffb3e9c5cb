//! Writes to the interrupt command register and to SELF IPI (SDM 3A, APIC §6.1, §12.9, §12.11).

use crate::GeneralProtection;
use crate::local_apic::{Effect, LocalApic};
use crate::spec::error::ErrorStatus;
use crate::spec::icr::{Icr, IcrFormat, IcrRefusal};
use crate::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

impl LocalApic {
    /// The low half is written in xAPIC mode: the command goes out.
    ///
    /// Reserved bits have no effect and are kept, as in KVM (arch/x86/kvm/lapic.c,
    /// `kvm_lapic_reg_write`).
    #[inline(always)]
    pub(crate) fn command_xapic(&mut self, low: u32) -> Effect {
        self.command_low = low & !STATUS;
        let icr = Icr::from_xapic(low, self.command_high);
        match icr.plain(IcrFormat::Xapic) {
            Some(message) => Effect::Send(message),
            None => self
                .command_any(icr, IcrFormat::Xapic)
                .map_or(Effect::None, Effect::Send),
        }
    }

    /// The ICR is written in x2APIC mode.
    #[inline(always)]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are stored apart"
    )]
    pub(crate) fn command_x2apic(&mut self, value: u64) -> Result<Effect, GeneralProtection> {
        let icr = Icr::from_bits(value);
        if let Some(message) = icr.plain(IcrFormat::X2apic) {
            (self.command_low, self.command_high) = (value as u32, (value >> 32) as u32);
            return Ok(Effect::Send(message));
        }
        if value & Icr::X2APIC_RESERVED != 0 {
            return Err(GeneralProtection);
        }
        (self.command_low, self.command_high) = (value as u32 & !STATUS, (value >> 32) as u32);
        Ok(self
            .command_any(icr, IcrFormat::X2apic)
            .map_or(Effect::None, Effect::Send))
    }

    /// Any command: what goes out, if anything does.
    #[inline(never)]
    fn command_any(&mut self, icr: Icr, format: IcrFormat) -> Option<InterruptMessage> {
        let decoded = icr.decode_any(format);
        if let Err(refusal) = decoded {
            self.refuse(refusal);
        }
        decoded.ok()
    }

    /// SELF IPI is written: an edge-triggered fixed interrupt to the sender.
    pub(crate) fn self_ipi(&mut self, vector: u8) -> Effect {
        if vector < 16 {
            self.refuse(IcrRefusal::IllegalVector);
            return Effect::None;
        }
        Effect::Send(InterruptMessage {
            destination: Destination::Sender,
            delivery: DeliveryMode::Fixed,
            vector,
            trigger: Trigger::Edge,
        })
    }

    #[cold]
    fn refuse(&mut self, refusal: IcrRefusal) {
        match refusal {
            IcrRefusal::IllegalVector => {
                self.note_error(ErrorStatus::new().with_send_illegal_vector(true));
            }
            IcrRefusal::LowestPriorityUnsupported => {
                self.note_error(ErrorStatus::new().with_redirectable_ipi(true));
            }
            IcrRefusal::ReservedBits
            | IcrRefusal::ReservedDeliveryMode
            | IcrRefusal::InitDeassert
            | IcrRefusal::LevelDeassert => {}
        }
    }
}

/// The delivery status bit, which reads 0: a command is accepted the moment it is written.
const STATUS: u32 = 1 << 12;
