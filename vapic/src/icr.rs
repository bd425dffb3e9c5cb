//! Writes to the interrupt command register and to SELF IPI (SDM 3A, APIC §6.1, §12.9, §12.11).

use crate::GeneralProtection;
use crate::local_apic::{Effect, LocalApic};
use crate::spec::error::ErrorStatus;
use crate::spec::icr::{Icr, IcrFormat, IcrRefusal};
use crate::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

impl LocalApic {
    /// The low half is written in xAPIC mode: the command goes out.
    #[inline]
    pub(crate) fn command_xapic(&mut self, low: u32) -> Effect {
        self.command_low = low & !STATUS;
        match Icr::from_xapic(low, self.command_high).decode(IcrFormat::Xapic) {
            Ok(message) => Effect::Send(message),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The ICR is written in x2APIC mode.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are stored apart"
    )]
    pub(crate) fn command_x2apic(&mut self, value: u64) -> Result<Effect, GeneralProtection> {
        let decoded = Icr::from_bits(value).decode(IcrFormat::X2apic);
        if decoded == Err(IcrRefusal::ReservedBits) {
            return Err(GeneralProtection);
        }
        self.command_low = value as u32 & !STATUS;
        self.command_high = (value >> 32) as u32;
        Ok(match decoded {
            Ok(message) => Effect::Send(message),
            Err(refusal) => self.refuse(refusal),
        })
    }

    /// SELF IPI is written: an edge-triggered fixed interrupt to the sender.
    pub(crate) fn self_ipi(&mut self, vector: u8) -> Effect {
        if vector < 16 {
            return self.refuse(IcrRefusal::IllegalVector);
        }
        Effect::Send(InterruptMessage {
            destination: Destination::Sender,
            delivery: DeliveryMode::Fixed,
            vector,
            trigger: Trigger::Edge,
        })
    }

    #[cold]
    fn refuse(&mut self, refusal: IcrRefusal) -> Effect {
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
        Effect::None
    }
}

/// The delivery status bit, which reads 0: a command is accepted the moment it is written.
const STATUS: u32 = 1 << 12;
