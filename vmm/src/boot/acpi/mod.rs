//! ACPI tables (ACPI 6.5): what the machine has, for kernels that ask no other way.
//!
//! They lie where a PC has its BIOS, the RSDP first: a kernel that is not told its address scans
//! for it there (5.2.5.1). The machine is not hardware-reduced, because Linux and Xen want a PM
//! timer and a PIT to find the rate of other clocks by.

mod dsdt;
mod fadt;
mod madt;

use acpi_tables::Aml;
use acpi_tables::facs::FACS;
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;
use vm_memory::{Bytes, GuestAddress};

use super::BootError;
use crate::layout;
use crate::memory::GuestMemory;

/// Who made the tables, in each header.
const OEM: [u8; 6] = *b"VAPIC ";
/// Which tables they are, in each header.
const OEM_TABLE: [u8; 8] = *b"VAPICVMM";
const OEM_REVISION: u32 = 1;

/// Length of an RSDT without entries.
const RSDT_LENGTH: u32 = 36;
/// Offsets in the RSDP.
const RSDP_CHECKSUM: usize = 8;
const RSDP_RSDT: usize = 16;

/// Alignment of each table: the FACS's, the only one that ACPI asks for (5.2.10).
const ALIGNMENT: usize = 64;

/// Writes the tables of a machine of `vcpus` processors, whose APIC IDs count from 0, and returns
/// the address of the RSDP.
///
/// # Errors
/// [`BootError::TooManyProcessors`], when the tables do not fit below 1 MiB.
pub(super) fn write(memory: &GuestMemory, vcpus: u32) -> Result<u64, BootError> {
    let area = tables(vcpus);
    if area.len() as u64 > layout::ACPI_TABLES_SIZE {
        return Err(BootError::TooManyProcessors { vcpus });
    }
    memory
        .write_slice(&area, GuestAddress(layout::ACPI_TABLES))
        .expect("low memory is RAM in every machine");
    Ok(layout::ACPI_TABLES)
}

/// All tables as they lie from [`layout::ACPI_TABLES`] on.
fn tables(vcpus: u32) -> Vec<u8> {
    // Only the RSDP has to point ahead, and its size is known.
    let mut area = Area(vec![0; Rsdp::len()]);
    let facs = area.add(&FACS::new());
    let dsdt = area.add(&dsdt::table(vcpus));
    let pointed_to = [
        area.add(&fadt::table(facs, dsdt)),
        area.add(&madt::table(vcpus)),
    ];
    let mut xsdt = XSDT::new(OEM, OEM_TABLE, OEM_REVISION);
    let mut rsdt = Sdt::new(*b"RSDT", RSDT_LENGTH, 1, OEM, OEM_TABLE, OEM_REVISION);
    for address in pointed_to {
        xsdt.add_entry(address.into());
        rsdt.append(address);
    }
    let (xsdt, rsdt) = (area.add(&xsdt), area.add(&rsdt));
    area.0[..Rsdp::len()].copy_from_slice(&rsdp(rsdt, xsdt));
    area.0
}

/// The RSDP. `acpi_tables` leaves out the RSDT, which is all that kernels from before ACPI 2.0 know.
fn rsdp(rsdt: u32, xsdt: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    Rsdp::new(OEM, xsdt.into()).to_aml_bytes(&mut bytes);
    let rsdt = rsdt.to_le_bytes();
    bytes[RSDP_RSDT..RSDP_RSDT + rsdt.len()].copy_from_slice(&rsdt);
    // What the checksum loses here, the address has added: the extended checksum stays right.
    let checksum = &mut bytes[RSDP_CHECKSUM];
    *checksum = rsdt.into_iter().fold(*checksum, u8::wrapping_sub);
    bytes
}

/// Tables that follow each other from [`layout::ACPI_TABLES`] on.
struct Area(Vec<u8>);

impl Area {
    /// Appends `table` and returns its guest-physical address.
    fn add(&mut self, table: &dyn Aml) -> u32 {
        let offset = self.0.len().next_multiple_of(ALIGNMENT);
        self.0.resize(offset, 0);
        table.to_aml_bytes(&mut self.0);
        u32::try_from(layout::ACPI_TABLES + offset as u64).expect("far below 4 GiB")
    }
}

#[cfg(test)]
mod tests;
