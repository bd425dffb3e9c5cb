//! The tables as a kernel reads them: from a scan for the RSDP on.

use super::*;
use crate::memory;

/// Guest memory with the tables of `vcpus` processors.
fn written(vcpus: u32) -> GuestMemory {
    let memory = memory::create(memory::MIN_SIZE).unwrap();
    assert_eq!(write(&memory, vcpus).unwrap(), layout::ACPI_TABLES);
    memory
}

fn read(memory: &GuestMemory, address: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory
        .read_slice(&mut bytes, GuestAddress(address))
        .unwrap();
    bytes
}

fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The table at `address`, its length taken from its header and its checksum checked.
fn table_at(memory: &GuestMemory, address: u64) -> Vec<u8> {
    let length = number(&read(memory, address + 4, 4));
    let table = read(memory, address, usize::try_from(length).unwrap());
    if !table.starts_with(b"FACS") {
        assert_eq!(sum(&table), 0, "{:?}", &table[..4]);
    }
    table
}

/// Finds the RSDP as a kernel does, and the table with this signature from there.
fn find(memory: &GuestMemory, signature: &[u8; 4]) -> Vec<u8> {
    let rsdp = (0xE_0000..0x10_0000)
        .step_by(16)
        .map(|address| read(memory, address, 36))
        .find(|bytes| bytes.starts_with(b"RSD PTR "))
        .expect("there is an RSDP");
    assert_eq!((sum(&rsdp[..20]), sum(&rsdp), rsdp[15]), (0, 0, 2));
    let xsdt = table_at(memory, number(&rsdp[24..32]));
    let rsdt = table_at(memory, number(&rsdp[16..20]));
    assert!(xsdt.starts_with(b"XSDT") && rsdt.starts_with(b"RSDT"));
    let addresses = |table: &[u8], size| table[36..].chunks(size).map(number).collect::<Vec<_>>();
    assert_eq!(addresses(&xsdt, 8), addresses(&rsdt, 4));
    addresses(&xsdt, 8)
        .into_iter()
        .map(|address| table_at(memory, address))
        .find(|table| table.starts_with(signature))
        .expect("the table is in the XSDT")
}

/// Type and contents of each entry of the MADT.
fn entries(madt: &[u8]) -> Vec<(u8, &[u8])> {
    let mut rest = &madt[44..];
    let mut entries = Vec::new();
    while let [kind, length, ..] = *rest {
        let (entry, others) = rest.split_at(length.into());
        entries.push((kind, &entry[2..]));
        rest = others;
    }
    entries
}

#[test]
fn the_madt_names_every_apic() {
    let memory = written(3);
    let madt = find(&memory, b"APIC");
    assert_eq!(number(&madt[36..40]), layout::APIC_PAGE);
    assert_eq!(number(&madt[40..44]), 1, "PCAT_COMPAT");
    assert_eq!(
        entries(&madt),
        [
            (0, &[0, 0, 1, 0, 0, 0][..]),
            (0, &[1, 1, 1, 0, 0, 0]),
            (0, &[2, 2, 1, 0, 0, 0]),
            // IOAPIC 0 at 0xFEC00000, from GSI 0.
            (1, &[0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0]),
            // ISA 0 on pin 2; ISA 9 level-triggered, active high.
            (2, &[0, 0, 2, 0, 0, 0, 0, 0]),
            (2, &[0, 9, 9, 0, 0, 0, 0x0D, 0]),
            // LINT1 of all.
            (4, &[0xFF, 0, 0, 1]),
        ]
    );
}

#[test]
fn ids_from_255_on_are_x2apic_ids() {
    let memory = written(257);
    let madt = find(&memory, b"APIC");
    let of = |kind| -> Vec<&[u8]> {
        let all = entries(&madt).into_iter();
        all.filter(|entry| entry.0 == kind)
            .map(|entry| entry.1)
            .collect()
    };
    assert_eq!(of(0).len(), 255);
    assert_eq!(of(0)[254][..2], [254, 254]);
    // Reserved, ID, enabled, _UID.
    assert_eq!(
        of(9),
        [
            [0, 0, 255, 0, 0, 0, 1, 0, 0, 0, 255, 0, 0, 0],
            [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]
        ]
    );
    assert_eq!(of(10), [[0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0]]);
}

#[test]
fn the_fadt_tells_where_the_registers_are() {
    let memory = written(1);
    let fadt = find(&memory, b"FACP");
    let field = |offset: usize, length| number(&fadt[offset..offset + length]);
    let registers = [(46, 2), (48, 4), (56, 4), (64, 4), (76, 4)].map(|(o, l)| field(o, l));
    assert_eq!(registers, [9, 0, 0x600, 0x604, 0x608]);
    assert_eq!([88, 89, 91].map(|offset| fadt[offset]), [4, 2, 4]);
    // The extended fields: I/O space, width, and the same ports.
    for (offset, width, port) in [(148, 32, 0x600), (172, 16, 0x604), (208, 32, 0x608)] {
        assert_eq!(fadt[offset..offset + 2], [1, width]);
        assert_eq!(field(offset + 4, 8), port);
    }
    assert_eq!((fadt[116], field(120, 8), fadt[128]), (1, 0xCF9, 6));
    let flags = field(112, 4);
    assert_ne!(flags & 1 << 10, 0, "RESET_REG_SUP");
    assert_ne!(flags & 1 << 8, 0, "TMR_VAL_EXT");
    assert_eq!(flags & 1 << 20, 0, "hardware-reduced");
    assert_eq!(field(109, 2), 0b101, "legacy devices, no VGA, no 8042");

    let facs = field(36, 4);
    assert!(facs.is_multiple_of(64) && table_at(&memory, facs).starts_with(b"FACS"));
    assert_eq!(facs, field(132, 8));
    assert_eq!(field(40, 4), field(140, 8));
    assert!(table_at(&memory, field(40, 4)).starts_with(b"DSDT"));
}

#[test]
fn the_dsdt_has_a_device_for_each_processor() {
    let memory = written(17);
    let fadt = find(&memory, b"FACP");
    let dsdt = table_at(&memory, number(&fadt[140..148]));
    let count = |text: &[u8]| {
        let windows = dsdt.windows(text.len());
        windows.filter(|window| *window == text).count()
    };
    assert_eq!(count(b"ACPI0007\0"), 17);
    assert_eq!((count(b"C000"), count(b"C010"), count(b"C011")), (1, 1, 0));
    assert_eq!((count(b"COM1"), count(b"RTC_")), (1, 1));
    // Name (_S5, Package (4) { 0, 0, 0, 0 })
    assert_eq!(count(b"\x08_S5_\x12\x06\x04\x00\x00\x00\x00"), 1);
}

#[test]
fn tables_that_do_not_fit_are_refused() {
    let memory = memory::create(memory::MIN_SIZE).unwrap();
    assert!(write(&memory, 1024).is_ok());
    assert!(matches!(
        write(&memory, 4096),
        Err(BootError::TooManyProcessors { vcpus: 4096 })
    ));
}

/// Intel's own compiler reads every table back and has nothing to say about one.
#[test]
#[ignore = "needs iasl (apt install acpica-tools)"]
fn iasl_finds_no_fault() {
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let memory = written(257);
    let fadt = find(&memory, b"FACP");
    let dsdt = table_at(&memory, number(&fadt[140..148]));
    let facs = table_at(&memory, number(&fadt[36..40]));
    let madt = find(&memory, b"APIC");
    for (name, table) in [
        ("dsdt", dsdt),
        ("facp", fadt),
        ("facs", facs),
        ("apic", madt),
    ] {
        let path = folder.path().join(name).with_extension("dat");
        std::fs::write(&path, table).unwrap();
        let source = path.with_extension("dsl");
        let iasl = |arguments: &[&str], file| {
            let output = Command::new("iasl").args(arguments).arg(file).output();
            let output = output.expect("not run: no iasl");
            assert!(output.status.success(), "{name}: {output:?}");
            let said = [output.stdout, output.stderr].concat();
            String::from_utf8_lossy(&said).into_owned()
        };
        let read = iasl(&["-d"], &path);
        for complaint in ["Invalid", "Error", "Warning", "nknown"] {
            assert!(!read.contains(complaint), "{name}: {read}");
        }
        let compiled = iasl(&[], &source);
        let count = "0 Errors, 0 Warnings, 0 Remarks";
        assert!(compiled.contains(count), "{name}: {compiled}");
    }
}
