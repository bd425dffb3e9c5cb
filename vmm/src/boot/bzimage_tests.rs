//! A made-up bzImage: sound, cut short, contradictory and random.

use proptest::prelude::*;
use vm_memory::Bytes;

use super::*;

const START: u64 = 0x100_0000;
const SETUP_SECTORS: u8 = 3;
const SETUP: usize = 4 * SECTOR;
const CODE: &[u8] = b"\xF4 the code";
const MEMORY: u64 = 64 << 20;

fn sound() -> setup_header {
    setup_header {
        setup_sects: SETUP_SECTORS,
        syssize: 0x30,
        boot_flag: 0xAA55,
        // A short jump over the rest of the header, which ends with `init_size`.
        jump: u16::from_le_bytes([0xEB, 0x62]),
        header: HEADER_MAGIC,
        version: 0x20F,
        loadflags: LOADED_HIGH,
        initrd_addr_max: 0x7FFF_FFFF,
        relocatable_kernel: 1,
        xloadflags: KERNEL_64,
        cmdline_size: 2047,
        pref_address: START,
        init_size: 0x20_0000,
        handover_offset: 0x1234,
        ..Default::default()
    }
}

fn image(header: setup_header) -> Vec<u8> {
    let mut image = vec![0; SETUP + 0x300];
    let bytes = header.as_slice();
    image[HEADER..HEADER + bytes.len()].copy_from_slice(bytes);
    let entry = SETUP + 0x200;
    image[entry..entry + CODE.len()].copy_from_slice(CODE);
    image
}

fn try_load(image: &[u8]) -> Result<Loaded, BootError> {
    let memory = memory::create(MEMORY).unwrap();
    load(&memory, image, "the test image")
}

fn with(change: impl FnOnce(&mut setup_header)) -> Result<Loaded, BootError> {
    let mut header = sound();
    change(&mut header);
    try_load(&image(header))
}

#[test]
fn a_sound_image_is_entered_where_it_prefers_to_be() {
    let memory = memory::create(MEMORY).unwrap();
    let image = image(sound());
    assert!(is_one(&image));
    let loaded = load(&memory, &image, "").unwrap();
    assert_eq!(loaded.entry, START + 0x200);
    assert_eq!(loaded.end, START + 0x20_0000);
    let mut copied = [0; CODE.len()];
    memory
        .read_slice(&mut copied, GuestAddress(loaded.entry))
        .unwrap();
    assert_eq!(copied, CODE);
    assert_eq!({ loaded.header.code32_start }, 0x100_0000);
    assert_eq!({ loaded.header.init_size }, 0x20_0000);
}

#[test]
fn what_follows_the_header_is_not_taken_for_it() {
    let loaded = with(|_| {}).unwrap();
    assert_eq!({ loaded.header.handover_offset }, 0);
    let longer = with(|h| h.jump = u16::from_le_bytes([0xEB, 0x66])).unwrap();
    assert_eq!({ longer.header.handover_offset }, 0x1234);
}

#[test]
fn an_image_cut_at_any_byte_is_refused() {
    let whole = image(sound());
    for length in 0..whole.len() - 16 {
        let refusal = try_load(&whole[..length]).unwrap_err();
        assert!(
            matches!(refusal, BootError::Truncated { .. }),
            "cut to {length} bytes: {refusal}"
        );
    }
}

#[test]
fn a_kernel_that_cannot_be_entered_is_named() {
    use BootError::Broken;
    assert!(matches!(with(|h| h.version = 0x20B), Err(Broken { .. })));
    assert!(matches!(with(|h| h.xloadflags = 0), Err(Broken { .. })));
    assert!(matches!(with(|h| h.loadflags = 0), Err(Broken { .. })));
    // A header too short to have a 64-bit entry.
    assert!(matches!(with(|h| h.jump = 0), Err(Broken { .. })));
}

#[test]
fn a_kernel_stays_between_low_memory_and_the_end_of_ram() {
    use BootError::{DoesNotFit, OverlapsLowMemory};
    assert!(with(|h| h.pref_address = MEMORY - 0x20_0000).is_ok());
    for address in [0, 0xF_FFFF] {
        let refusal = with(|h| h.pref_address = address);
        assert!(matches!(refusal, Err(OverlapsLowMemory { .. })));
    }
    for address in [MEMORY - 0x1F_FFFF, layout::APIC_PAGE, 1 << 40, u64::MAX] {
        let refusal = with(|h| h.pref_address = address);
        assert!(matches!(refusal, Err(DoesNotFit { .. })), "{address:#x}");
    }
    let refusal = with(|h| h.init_size = u32::MAX);
    assert!(matches!(refusal, Err(DoesNotFit { .. })));
    // The file counts where the header says less.
    let refusal = with(|h| {
        h.init_size = 0;
        h.pref_address = MEMORY - 0x2FF;
    });
    assert!(matches!(refusal, Err(DoesNotFit { .. })));
}

proptest! {
    #[test]
    fn random_headers_are_refused_or_loaded_but_never_panic(
        changes in prop::collection::vec((HEADER..0x270, any::<u8>()), 1..8),
        length in SETUP - 600..SETUP + 0x300,
    ) {
        let mut image = image(sound());
        for (at, value) in changes {
            image[at] = value;
        }
        image.truncate(length);
        let memory = memory::create(memory::MIN_SIZE * 2).unwrap();
        if let Ok(loaded) = load(&memory, &image, "") {
            prop_assert!(loaded.end <= memory::low_end(&memory));
            prop_assert!(loaded.entry < loaded.end);
        }
    }
}
