//! Multiboot kernels as a compiler leaves them, and as nobody should.

use std::fs;
use std::path::PathBuf;

use linux_loader::elf::{Elf64_Ehdr, Elf64_Phdr};
use proptest::prelude::*;
use tempfile::TempDir;
use vm_memory::{ByteValued, Bytes, GuestAddress};

use super::*;
use crate::boot::{Initramfs, load as boot};
use crate::{layout, memory};

const START: u32 = 0x40_0000;
const CODE: &[u8] = b"\xF4 the code";
/// Where the code is in the file.
const CODE_OFFSET: u32 = 0x100;

/// A header with these flags and, where they say so, addresses.
fn header(flags: u32, addresses: &[u32]) -> Vec<u8> {
    let checksum = 0u32.wrapping_sub(0x1BAD_B002).wrapping_sub(flags);
    let words = [&[0x1BAD_B002, flags, checksum], addresses].concat();
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// `front`, the header at 0x80, the code.
fn file(front: &[u8], header: &[u8]) -> Vec<u8> {
    let mut file = vec![0; CODE_OFFSET as usize];
    file[..front.len()].copy_from_slice(front);
    file[0x80..0x80 + header.len()].copy_from_slice(header);
    [&file, CODE].concat()
}

/// ELF32 with one segment, linked 3 GiB above where it is loaded.
fn elf32() -> Vec<u8> {
    let words = |words: &[u32]| -> Vec<u8> { words.iter().flat_map(|w| w.to_le_bytes()).collect() };
    let length = u32::try_from(CODE.len()).unwrap();
    let elf = [
        b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x03\0\x01\0\0\0".to_vec(),
        // Entry, program headers, section headers, flags.
        words(&[0xC000_0000 + START, 52, 0, 0]),
        // Sizes of this header and of one program header, one of them, no sections.
        [52u16, 32, 1, 0, 0, 0]
            .iter()
            .flat_map(|half| half.to_le_bytes())
            .collect(),
        words(&[
            1,
            CODE_OFFSET,
            0xC000_0000 + START,
            START,
            length,
            0x2000,
            7,
            0x1000,
        ]),
    ]
    .concat();
    file(&elf, &header(3, &[]))
}

fn elf64() -> Vec<u8> {
    let mut header64 = Elf64_Ehdr {
        e_type: 2,
        e_machine: 62,
        e_entry: START.into(),
        e_phoff: 64,
        e_phentsize: 56,
        e_phnum: 1,
        ..Default::default()
    };
    header64.e_ident[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    let segment = Elf64_Phdr {
        p_type: 1,
        p_offset: CODE_OFFSET.into(),
        p_paddr: START.into(),
        p_vaddr: START.into(),
        p_filesz: CODE.len() as u64,
        p_memsz: 0x2000,
        ..Default::default()
    };
    let mut whole = file(header64.as_slice(), &[]);
    whole[64..120].copy_from_slice(segment.as_slice());
    whole[0x80..0x8C].copy_from_slice(&header(3, &[]));
    whole
}

/// A flat image whose first byte of the code comes to `START`, with these addresses less the first.
fn flat(load_end: u32, bss_end: u32, entry: u32) -> Vec<u8> {
    let addresses = [
        START - CODE_OFFSET + 0x80,
        START - CODE_OFFSET,
        load_end,
        bss_end,
        entry,
    ];
    file(&[], &header(1 << 16 | 2, &addresses))
}

/// A folder with a kernel, and the guest memory it is loaded into.
struct Booted {
    folder: TempDir,
    memory: GuestMemory,
}

impl Booted {
    fn new(kernel: &[u8]) -> Self {
        let booted = Self {
            folder: TempDir::new().unwrap(),
            memory: memory::create(memory::MIN_SIZE).unwrap(),
        };
        booted.file("kernel.flat", kernel);
        booted
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn boot(&self, command_line: &str, modules: Option<&Initramfs>) -> Result<Entry, BootError> {
        let image = Image {
            kernel: &Kernel::File(self.folder.path().join("kernel.flat")),
            initramfs: modules,
            command_line,
            vcpus: 2,
        };
        boot(&self.memory, &image)
    }

    fn word(&self, address: u32) -> u32 {
        self.memory.read_obj(GuestAddress(address.into())).unwrap()
    }

    fn text(&self, address: u32) -> String {
        let byte = |address| self.memory.read_obj::<u8>(GuestAddress(address)).unwrap();
        let bytes = (address.into()..).map(byte).take_while(|byte| *byte != 0);
        String::from_utf8(bytes.collect()).unwrap()
    }
}

fn refusal(kernel: &[u8]) -> BootError {
    Booted::new(kernel).boot("", None).unwrap_err()
}

#[test]
fn each_kind_of_image_is_entered_at_its_code() {
    let end = START + u32::try_from(CODE.len()).unwrap();
    for kernel in [
        elf32(),
        elf64(),
        flat(0, 0, START),
        flat(end, end + 0x1000, START),
    ] {
        let booted = Booted::new(&kernel);
        let entry = booted.boot("", None).unwrap();
        assert_eq!(
            entry,
            Entry::Multiboot {
                eip: START.into(),
                info: 0x9000
            }
        );
        let mut copied = [0; CODE.len()];
        booted
            .memory
            .read_slice(&mut copied, GuestAddress(START.into()))
            .unwrap();
        assert_eq!(copied, CODE);
    }
}

#[test]
fn the_information_is_where_the_specification_says() {
    let booted = Booted::new(&elf32());
    booted.boot("a=1 b", None).unwrap();
    let field = |offset: u32| booted.word(0x9000 + offset);
    assert_eq!(field(0), 0b10_0100_1101);
    assert_eq!((field(4), field(8)), (639, 15 << 10));
    assert_eq!(booted.text(field(16)), "kernel.flat a=1 b");
    assert_eq!(field(20), 0);
    assert_eq!(booted.text(field(64)), "vapic");
    // The fourth entry of the map: extended RAM.
    let (length, map) = (field(44), field(48));
    assert_eq!(length, 5 * 24);
    let fourth: Vec<u32> = (0..6)
        .map(|word| booted.word(map + 3 * 24 + word * 4))
        .collect();
    assert_eq!(fourth, [20, 1 << 20, 0, 15 << 20, 0, 1]);
}

#[test]
fn modules_follow_the_kernel_each_on_a_page() {
    let booted = Booted::new(&elf32());
    let first = booted.file("first", &[b'1'; 0x1001]);
    let second = booted.file("second", b"2");
    let list = format!("{} x=1,,2 y,{}", first.display(), second.display());
    booted
        .boot("", Some(&Initramfs::File(list.into())))
        .unwrap();
    assert_eq!(booted.word(0x9000 + 20), 2);
    let list = booted.word(0x9000 + 24);
    let module = |index: u32| [0, 4].map(|field| booted.word(list + index * 16 + field));
    // The kernel's bss ends at +2000H.
    assert_eq!(module(0), [START + 0x2000, START + 0x3001]);
    assert_eq!(module(1), [START + 0x4000, START + 0x4001]);
    let text = |index: u32| booted.text(booted.word(list + index * 16 + 8));
    assert_eq!(
        (text(0).as_str(), text(1).as_str()),
        ("first x=1,2 y", "second")
    );
    assert_eq!(booted.word(START + 0x2000), 0x3131_3131);
    assert_eq!(booted.word(START + 0x4000), u32::from(b'2'));
}

#[test]
fn modules_that_do_not_fit_or_are_not_there() {
    let booted = Booted::new(&elf32());
    let try_modules = |list: String| booted.boot("", Some(&Initramfs::File(list.into())));
    let large = booted.file("large", &vec![0; 13 << 20]);
    assert!(matches!(
        try_modules(large.display().to_string()),
        Err(BootError::InitramfsDoesNotFit { .. })
    ));
    assert!(matches!(
        try_modules("/nowhere".to_owned()),
        Err(BootError::Missing { .. })
    ));
    let small = booted.file("small", b"s");
    assert!(matches!(
        try_modules(format!("{} caf\u{e9}", small.display())),
        Err(BootError::CommandLineCharacter { .. })
    ));
    let many = vec![format!("{} {}", small.display(), "x".repeat(2000)); 60];
    assert!(matches!(
        try_modules(many.join(",")),
        Err(BootError::TooManyModules { count: 60 })
    ));
}

#[test]
fn the_header_must_add_up_and_lie_in_the_first_8_kib() {
    let at = |offset: usize| [vec![0; offset], header(0, &[])].concat();
    assert!(Header::find(&at(0)).is_some());
    assert!(Header::find(&at(8192 - 12)).is_some());
    for wrong in [at(8192 - 8), at(2), at(0)[..11].to_vec(), Vec::new()] {
        assert!(Header::find(&wrong).is_none());
    }
    let mut sum = at(0);
    sum[4] ^= 1;
    assert!(Header::find(&sum).is_none());
}

#[test]
fn contradictory_headers_are_refused() {
    use BootError::{Broken, DoesNotFit, Truncated};
    let addresses = |addresses: &[u32]| refusal(&file(&[], &header(1 << 16, addresses)));
    let start = START - CODE_OFFSET;
    for contradiction in [
        // The header before the image, or further into it than the file says.
        [start - 1, start, 0, 0, START],
        [start + 0x81, start, 0, 0, START],
        // Ends before the start.
        [start + 0x80, start, start - 1, 0, START],
        [start + 0x80, start, 0, start - 1, START],
        [start + 0x80, start, 0, start + 1, START],
        // An entry outside.
        [start + 0x80, start, 0, 0, start - 1],
        [start + 0x80, start, 0, 0, u32::MAX],
    ] {
        let refusal = addresses(&contradiction);
        assert!(matches!(refusal, Broken { .. }), "{refusal}");
    }
    let beyond_the_file = [start + 0x80, start, START + 0x1000, 0, START];
    assert!(matches!(addresses(&beyond_the_file), Truncated { .. }));
    let beyond_ram = [start + 0x80, start, 0, 0xFFFF_FFFF, START];
    assert!(matches!(addresses(&beyond_ram), DoesNotFit { .. }));
    let low = addresses(&[0x7080, 0x7000, 0, 0, 0x7100]);
    assert!(matches!(low, BootError::OverlapsLowMemory { .. }));
    let unknown = refusal(&file(&[], &header(1 << 3, &[])));
    assert!(matches!(unknown, Broken { .. }));
    let no_elf = refusal(&file(&[], &header(0, &[])));
    assert!(matches!(no_elf, BootError::NotAKernel { .. }));
}

proptest! {
    #[test]
    fn random_headers_are_refused_or_loaded_but_never_panic(
        kind in 0..3usize,
        changes in prop::collection::vec((0..0xA0usize, any::<u8>()), 0..6),
        addresses in prop::option::of(prop::array::uniform5(any::<u32>())),
        length in 0..CODE_OFFSET as usize + CODE.len() + 1,
    ) {
        let mut kernel = vec![elf32(), elf64(), flat(0, 0, START)].swap_remove(kind);
        if let Some(addresses) = addresses {
            kernel[0x8C..0xA0].copy_from_slice(addresses.iter()
                .flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>().as_slice());
        }
        for (at, value) in changes {
            kernel[at] = value;
        }
        // Half of them whole.
        kernel.truncate(if length % 2 == 0 { kernel.len() } else { length });
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        let image = Image { kernel: &Kernel::Embedded, initramfs: None, command_line: "", vcpus: 1 };
        if let Some(header) = Header::find(&kernel)
            && let Ok(Entry::Multiboot { eip, .. }) = load(&memory, &image, &kernel, &header, "")
        {
            prop_assert!((layout::HIGH_RAM_START..memory::MIN_SIZE).contains(&eip));
        }
    }
}
