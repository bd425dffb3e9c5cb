//! The MADT (ACPI 6.5, 5.2.12): the APICs, and how the ISA interrupts reach them.
//!
//! `acpi_tables` has the entries of a Local APIC and an IOAPIC, and no flags and no other entry of
//! a PC.

use acpi_tables::Aml;
use acpi_tables::madt::{EnabledStatus, IoApic, ProcessorLocalApic};
use acpi_tables::sdt::Sdt;

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::layout;

/// Revision of ACPI 6.3 and later; x2APIC entries came with 3.
const REVISION: u8 = 5;
/// Length without any entry: header, address of the Local APICs, flags.
const LENGTH: u32 = 44;
/// Flag: there are two 8259 PICs to be masked as well.
const PCAT_COMPAT: u32 = 1;

/// Local APIC IDs end below the one that means all; higher ones are x2APIC IDs (5.2.12.12).
const X2APIC_ID_START: u32 = 255;

/// MPS INTI flags: polarity and trigger as the bus has them, which is edge, active high for ISA.
const BUS_DEFAULT: u16 = 0;
/// MPS INTI flags: active high (bits 1:0), level-triggered (bits 3:2).
const LEVEL_HIGH: u16 = 0b1101;

const IOAPIC_ID: u8 = 0;
/// Local APIC pin of the NMI, as on every PC.
const NMI_PIN: u8 = 1;

/// The table of a machine of `vcpus` processors, whose APIC IDs count from 0.
pub(super) fn table(vcpus: u32) -> Sdt {
    let mut entries = Vec::new();
    for id in 0..vcpus {
        match u8::try_from(id).ok().filter(|_| id < X2APIC_ID_START) {
            Some(id) => {
                ProcessorLocalApic::new(id, id, EnabledStatus::Enabled).to_aml_bytes(&mut entries);
            }
            None => entries.extend(x2apic(id)),
        }
    }
    let ioapic = u32::try_from(layout::IOAPIC).expect("below 4 GiB");
    IoApic::new(IOAPIC_ID, ioapic, 0).to_aml_bytes(&mut entries);
    entries.extend(source_override(0, layout::PIT_GSI, BUS_DEFAULT));
    entries.extend(source_override(
        layout::SCI_IRQ,
        layout::SCI_IRQ,
        LEVEL_HIGH,
    ));
    entries.extend(local_nmi());
    if vcpus > X2APIC_ID_START {
        entries.extend(x2apic_nmi());
    }

    let mut table = Sdt::new(*b"APIC", LENGTH, REVISION, OEM, OEM_TABLE, OEM_REVISION);
    let apics = u32::try_from(layout::APIC_PAGE).expect("below 4 GiB");
    table.write_u32(36, apics);
    table.write_u32(40, PCAT_COMPAT);
    table.append_slice(&entries);
    table
}

/// Processor Local x2APIC (type 9): enabled, its _UID the ID.
fn x2apic(id: u32) -> [u8; 16] {
    let mut entry = [0; 16];
    entry[..2].copy_from_slice(&[9, 16]);
    entry[4..8].copy_from_slice(&id.to_le_bytes());
    entry[8..12].copy_from_slice(&1u32.to_le_bytes());
    entry[12..].copy_from_slice(&id.to_le_bytes());
    entry
}

/// Interrupt Source Override (type 2): an ISA interrupt on another pin, or of another kind.
fn source_override(irq: u8, gsi: u8, flags: u16) -> [u8; 10] {
    let [low, high] = flags.to_le_bytes();
    [2, 10, 0, irq, gsi, 0, 0, 0, low, high]
}

/// Local APIC NMI (type 4), for all processors.
fn local_nmi() -> [u8; 6] {
    let [low, high] = BUS_DEFAULT.to_le_bytes();
    [4, 6, 0xFF, low, high, NMI_PIN]
}

/// Local x2APIC NMI (type 10), for all processors.
fn x2apic_nmi() -> [u8; 12] {
    let [low, high] = BUS_DEFAULT.to_le_bytes();
    [10, 12, low, high, 0xFF, 0xFF, 0xFF, 0xFF, NMI_PIN, 0, 0, 0]
}
