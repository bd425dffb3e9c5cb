//! The DSDT (ACPI 6.5, 5.2.11.1): the devices no register tells of, and how to power off.

use acpi_tables::aml::{Device, EISAName, IO, Interrupt, Name, Package, ResourceTemplate, Scope};
use acpi_tables::sdt::Sdt;
use acpi_tables::{Aml, AmlSink};

use super::{OEM, OEM_REVISION, OEM_TABLE};
use crate::layout;

/// Revision from which AML integers have 64 bits.
const REVISION: u8 = 2;
/// Length of the header alone.
const LENGTH: u32 = 36;

/// The table of a machine of `vcpus` processors, whose _UIDs count from 0.
pub(super) fn table(vcpus: u32) -> Sdt {
    let devices: Vec<Bytecode> = (0..vcpus)
        .map(processor)
        .chain([serial_port(), clock()])
        .collect();
    let mut aml = Vec::new();
    Scope::new(
        "_SB_".into(),
        devices.iter().map(|device| device as &dyn Aml).collect(),
    )
    .to_aml_bytes(&mut aml);
    // SLP_TYP for PM1a and PM1b, and two reserved elements (7.4.2).
    let soft_off = Package::new(vec![&layout::S5_SLEEP_TYPE, &0u8, &0u8, &0u8]);
    Name::new("_S5_".into(), &soft_off).to_aml_bytes(&mut aml);

    let mut table = Sdt::new(*b"DSDT", LENGTH, REVISION, OEM, OEM_TABLE, OEM_REVISION);
    table.append_slice(&aml);
    table
}

/// A processor device (8.4), which the MADT's entry of the same _UID goes with.
fn processor(uid: u32) -> Bytecode {
    let name = format!("C{uid:03X}");
    device(
        &name,
        &[
            &Name::new("_HID".into(), &"ACPI0007"),
            &Name::new("_UID".into(), &uid),
        ],
    )
}

/// COM1, a 16550 with its eight ports.
fn serial_port() -> Bytecode {
    let (consumer, edge, active_low, shared) = (true, true, false, false);
    let irq = layout::SERIAL_IRQ.into();
    device(
        "COM1",
        &[
            &Name::new("_HID".into(), &EISAName::new("PNP0501")),
            &Name::new("_UID".into(), &1u8),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![
                    &IO::new(layout::SERIAL_PORT, layout::SERIAL_PORT, 1, 8),
                    &Interrupt::new(consumer, edge, active_low, shared, irq),
                ]),
            ),
        ],
    )
}

/// The real-time clock. It names no interrupt: the machine's has no alarm.
fn clock() -> Bytecode {
    device(
        "RTC_",
        &[
            &Name::new("_HID".into(), &EISAName::new("PNP0B00")),
            &Name::new(
                "_CRS".into(),
                &ResourceTemplate::new(vec![&IO::new(layout::RTC_PORT, layout::RTC_PORT, 1, 2)]),
            ),
        ],
    )
}

fn device(name: &str, children: &[&dyn Aml]) -> Bytecode {
    let mut aml = Vec::new();
    Device::new(name.into(), children.to_vec()).to_aml_bytes(&mut aml);
    Bytecode(aml)
}

/// AML that is bytes already.
struct Bytecode(Vec<u8>);

impl Aml for Bytecode {
    fn to_aml_bytes(&self, sink: &mut dyn AmlSink) {
        sink.vec(&self.0);
    }
}
