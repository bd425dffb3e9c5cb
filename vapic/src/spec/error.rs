//! Error Status Register bits (SDM 3A, APIC §5.3).

use bitfield_struct::bitfield;

/// What the ESR accumulates between two writes to it.
#[bitfield(u32)]
#[derive(PartialEq, Eq)]
pub struct ErrorStatus {
    /// P6 only: a message sent by this APIC failed its checksum.
    pub send_checksum: bool,
    /// P6 only: a message received by this APIC failed its checksum.
    pub receive_checksum: bool,
    /// P6 only: no APIC accepted a message sent by this one.
    pub send_accept: bool,
    /// P6 only: a message received was not accepted by any APIC, this one included.
    pub receive_accept: bool,
    /// A lowest-priority IPI was asked for where such IPIs are not supported.
    pub redirectable_ipi: bool,
    /// A vector below 16 was written to the ICR or to SELF IPI.
    pub send_illegal_vector: bool,
    /// A vector below 16 arrived in a message or from a local vector table entry.
    pub receive_illegal_vector: bool,
    /// The guest touched a hole of the xAPIC page.
    pub illegal_register_address: bool,
    #[bits(24)]
    reserved: u32,
}
