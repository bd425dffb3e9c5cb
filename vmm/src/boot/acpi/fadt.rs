//! The FADT (ACPI 6.5, 5.2.9): the fixed registers, and which legacy devices there are.

use acpi_tables::fadt::{FADT, FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::layout;

/// IAPC_BOOT_ARCH: there are ISA devices (bit 0) and no VGA (bit 2); no 8042 (bit 1), and the
/// CMOS clock is there (bit 5 would deny it).
const BOOT_ARCHITECTURE: u16 = 1 | 1 << 2;
/// Latencies that say there is no C2 and no C3 (more than 100 and more than 1000 us).
const NO_C2: u16 = 101;
const NO_C3: u16 = 1001;

/// The table that points at the FACS and the DSDT.
///
/// SMI_CMD is 0: the machine is always in ACPI mode, there is no firmware to take it from.
pub(super) fn table(facs: u32, dsdt: u32) -> FADT {
    let mut table = FADTBuilder::new(OEM, OEM_TABLE, OEM_REVISION)
        // Caches are coherent and WBINVD works.
        .flag(Flags::Wbinvd)
        // HLT is C1, on every processor.
        .flag(Flags::ProcC1)
        // Neither button is a fixed one, nobody could press it.
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        // The clock's alarm has no bit in the PM1 registers.
        .flag(Flags::FixRtc)
        .flag(Flags::TmrValExt)
        .flag(Flags::ResetRegSup);
    // Both of each: some kernels know only the 32-bit field, and Xen misses the other.
    table.firmware_ctrl = facs.into();
    table.x_firmware_ctrl = u64::from(facs).into();
    table.dsdt = dsdt.into();
    table.x_dsdt = u64::from(dsdt).into();
    table.sci_int = u16::from(layout::SCI_IRQ).into();
    table.p_lvl2_lat = NO_C2.into();
    table.p_lvl3_lat = NO_C3.into();
    table.iapc_boot_arch = BOOT_ARCHITECTURE.into();

    table.pm1a_evt_blk = u32::from(layout::PM1_EVENT_PORT).into();
    table.pm1_evt_len = 4;
    table.x_pm1a_evt_blk = port(layout::PM1_EVENT_PORT, 32, AccessSize::WordAccess);
    table.pm1a_cnt_blk = u32::from(layout::PM1_CONTROL_PORT).into();
    table.pm1_cnt_len = 2;
    table.x_pm1a_cnt_blk = port(layout::PM1_CONTROL_PORT, 16, AccessSize::WordAccess);
    table.pm_tmr_blk = u32::from(layout::PM_TIMER_PORT).into();
    table.pm_tmr_len = 4;
    table.x_pm_tmr_blk = port(layout::PM_TIMER_PORT, 32, AccessSize::DwordAccess);
    table.reset_reg = port(layout::RESET_PORT, 8, AccessSize::ByteAccess);
    table.reset_value = layout::RESET_VALUE;
    table.finalize()
}

fn port(port: u16, bits: u8, access: AccessSize) -> GAS {
    GAS::new(AddressSpace::SystemIo, bits, 0, access, port.into())
}
