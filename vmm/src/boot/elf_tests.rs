//! Sound, truncated, contradictory and random images.

use linux_loader::elf::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_EXEC, Elf64_Ehdr, Elf64_Phdr, PT_LOAD,
};
use vm_memory::{ByteValued, Bytes};

use super::*;
use crate::{layout, memory};

const HEADER_SIZE: u64 = size_of::<Elf64_Ehdr>() as u64;
const PROGRAM_HEADER_SIZE: u64 = size_of::<Elf64_Phdr>() as u64;

const START: u64 = 0x20_0000;
const CODE: &[u8] = b"\xF4 the code";

fn header() -> Elf64_Ehdr {
    let mut header = Elf64_Ehdr {
        e_type: ET_EXEC,
        e_machine: EM_X86_64,
        e_entry: START,
        e_phoff: HEADER_SIZE,
        e_phentsize: u16::try_from(PROGRAM_HEADER_SIZE).unwrap(),
        e_phnum: 1,
        ..Default::default()
    };
    header.e_ident[..4].copy_from_slice(&ELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header
}

fn segment() -> Elf64_Phdr {
    Elf64_Phdr {
        p_type: PT_LOAD,
        p_offset: HEADER_SIZE + PROGRAM_HEADER_SIZE,
        p_paddr: START,
        p_filesz: CODE.len() as u64,
        p_memsz: 0x1000,
        ..Default::default()
    }
}

fn image(header: Elf64_Ehdr, segment: Elf64_Phdr) -> Vec<u8> {
    [header.as_slice(), segment.as_slice(), CODE].concat()
}

fn try_load(bytes: &[u8]) -> Result<Loaded, BootError> {
    let memory = memory::create(memory::MIN_SIZE).unwrap();
    load(&memory, bytes, "the test image")
}

fn with_header(change: impl FnOnce(&mut Elf64_Ehdr)) -> BootError {
    let mut header = header();
    change(&mut header);
    try_load(&image(header, segment())).unwrap_err()
}

fn with_segment(change: impl FnOnce(&mut Elf64_Phdr)) -> BootError {
    let mut segment = segment();
    change(&mut segment);
    try_load(&image(header(), segment)).unwrap_err()
}

#[test]
fn a_sound_image_is_copied_to_its_physical_address() {
    let memory = memory::create(memory::MIN_SIZE).unwrap();
    let bytes = image(header(), segment());
    let loaded = load(&memory, &bytes, "").unwrap();
    let expected = Loaded {
        entry: START,
        end: START + 0x1000,
    };
    assert_eq!(loaded, expected);
    let mut copied = [0; CODE.len()];
    memory.read_slice(&mut copied, GuestAddress(START)).unwrap();
    assert_eq!(copied, CODE);
}

#[test]
fn an_image_cut_at_any_byte_is_refused() {
    let whole = image(header(), segment());
    for length in 0..whole.len() {
        let refusal = try_load(&whole[..length]).unwrap_err();
        let as_expected = match length {
            0 => matches!(refusal, BootError::Empty { .. }),
            1..=3 => matches!(refusal, BootError::NotAKernel { .. }),
            _ => matches!(refusal, BootError::Truncated { .. }),
        };
        assert!(as_expected, "cut to {length} bytes: {refusal}");
    }
}

#[test]
fn other_kinds_of_files_are_named() {
    use BootError::NotAKernel;
    assert!(matches!(
        try_load(b"MZ, a Windows program, say"),
        Err(NotAKernel { .. })
    ));
    assert!(matches!(
        with_header(|h| h.e_ident[EI_CLASS] = 1),
        NotAKernel { .. }
    ));
    assert!(matches!(
        with_header(|h| h.e_ident[EI_DATA] = 2),
        NotAKernel { .. }
    ));
    assert!(matches!(
        with_header(|h| h.e_machine = 183),
        NotAKernel { .. }
    ));
    assert!(matches!(with_header(|h| h.e_type = 1), NotAKernel { .. }));
}

#[test]
fn contradictory_headers_are_refused() {
    use BootError::{Broken, Truncated};
    assert!(matches!(with_header(|h| h.e_phnum = 0), Broken { .. }));
    assert!(matches!(with_header(|h| h.e_phentsize = 32), Broken { .. }));
    assert!(matches!(with_header(|h| h.e_phoff = 8), Broken { .. }));
    assert!(matches!(
        with_header(|h| h.e_phoff = u64::MAX),
        Truncated { .. }
    ));
    assert!(matches!(
        with_header(|h| h.e_phnum = u16::MAX),
        Truncated { .. }
    ));
    assert!(matches!(
        with_header(|h| h.e_entry = START + 0x1000),
        Broken { .. }
    ));
    assert!(matches!(with_segment(|s| s.p_memsz = 1), Broken { .. }));
    assert!(matches!(with_segment(|s| s.p_type = 0), Broken { .. }));
    assert!(matches!(
        with_segment(|s| s.p_paddr = u64::MAX - 1),
        Broken { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_offset = u64::MAX),
        Truncated { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_filesz = u64::MAX),
        Truncated { .. }
    ));
}

#[test]
fn segments_stay_between_low_memory_and_the_end_of_ram() {
    use BootError::{DoesNotFit, OverlapsLowMemory};
    assert!(matches!(
        with_segment(|s| s.p_paddr = 0x7000),
        OverlapsLowMemory { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_paddr = 0xF_FFFF),
        OverlapsLowMemory { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_memsz = memory::MIN_SIZE),
        DoesNotFit { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_paddr = layout::APIC_PAGE),
        DoesNotFit { .. }
    ));
    assert!(matches!(
        with_segment(|s| s.p_paddr = 1 << 40),
        DoesNotFit { .. }
    ));
}

#[test]
fn segments_do_not_overlap() {
    let mut header = header();
    header.e_phnum = 2;
    let with_second_at = |address| {
        let mut first = segment();
        first.p_offset += PROGRAM_HEADER_SIZE;
        let second = Elf64_Phdr {
            p_paddr: address,
            ..first
        };
        try_load(&[header.as_slice(), second.as_slice(), first.as_slice(), CODE].concat())
    };
    assert!(with_second_at(START + 0x1000).is_ok());
    assert!(with_second_at(START - 0x1000).is_ok());
    for overlapping in [START - 1, START, START + 0xFFF] {
        assert!(matches!(
            with_second_at(overlapping),
            Err(BootError::Broken { .. })
        ));
    }
}

#[test]
fn random_bytes_are_refused_or_loaded_but_never_panic() {
    // xorshift64, so that a failure can be repeated.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let whole = image(header(), segment());
    let memory = memory::create(memory::MIN_SIZE).unwrap();
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        // A few fields at a time, so that most images still pass the first checks.
        for _ in 0..=random() % 4 {
            let at = 4 + usize::try_from(random()).unwrap() % (bytes.len() - 4);
            let value = random().to_le_bytes();
            let count = (bytes.len() - at).min(value.len());
            bytes[at..at + count].copy_from_slice(&value[..count]);
        }
        let _ = load(&memory, &bytes, "");
    }
}
