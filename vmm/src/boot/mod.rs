//! Puts a kernel into guest memory and says how to enter it.
//!
//! A bzImage or an ELF64 file is entered by the Linux 64-bit boot protocol (Linux,
//! Documentation/arch/x86/boot.rst): long mode, the first 4 GiB identity-mapped, RSI at
//! `boot_params`. A file with a multiboot header is entered as that says. A kernel file is input
//! that may be truncated or hostile: everything it says is checked before use, and each way of being
//! wrong is a [`BootError`] of one line.

mod acpi;
mod bios;
mod bzimage;
mod command_line;
mod elf;
mod entry;
mod error;
mod file;
mod initramfs;
mod linux;
pub(crate) mod long_mode;
mod multiboot;
mod ram_map;
mod segment;
mod zero_page;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

pub use entry::Entry;
pub use error::BootError;
pub use initramfs::Initramfs;

use crate::memory::{self, GuestMemory};

/// The guest this crate is built with; empty only under `cfg(loom)`, where nothing boots.
static EMBEDDED_GUEST: &[u8] = include_bytes!(env!("GUEST_ELF"));

/// Where the kernel comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// The guest of this project, part of the executable.
    Embedded,
    /// A file the user names.
    File(PathBuf),
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("the embedded guest"),
            // Debug, because a path may hold a line break and an error is one line.
            Self::File(path) => write!(f, "kernel {path:?}"),
        }
    }
}

/// What a machine boots, and what the kernel is told.
#[derive(Clone, Copy, Debug)]
pub struct Image<'a> {
    /// The kernel.
    pub kernel: &'a Kernel,
    /// Its initial ramdisk, or its modules.
    pub initramfs: Option<&'a Initramfs>,
    /// Its command line.
    pub command_line: &'a str,
    /// Number of processors, whose APIC IDs count from 0.
    pub vcpus: u32,
}

/// What to give in place of a path that leads to no kernel.
const WANTED: &str = "--kernel the path of a bzImage, a multiboot or an ELF64 x86-64 kernel";

/// Loads `image` and all it is entered with into `memory`: ACPI tables, the BIOS's words, the
/// command line, and the structures of the protocol it is entered by.
///
/// # Errors
/// Every variant of [`BootError`]: all are about what the user gave.
pub fn load(memory: &GuestMemory, image: &Image<'_>) -> Result<Entry, BootError> {
    let name = image.kernel.to_string();
    let most = memory::low_end(memory);
    let bytes = match image.kernel {
        Kernel::Embedded => Cow::Borrowed(EMBEDDED_GUEST),
        Kernel::File(path) => file::read(path, &name, WANTED, most)?.into(),
    };
    let kernel = file::unpack(bytes, &name, most)?;

    let rsdp = acpi::write(memory, image.vcpus)?;
    bios::write(memory);
    match Format::of(&kernel) {
        Format::BzImage => linux::load_bzimage(memory, image, &kernel, &name, rsdp),
        Format::Multiboot(header) => multiboot::load(memory, image, &kernel, &header, &name),
        Format::Elf => linux::load_elf(memory, image, &kernel, &name, rsdp),
    }
}

/// The format of a kernel file, and with it the way to load and to enter it.
enum Format {
    BzImage,
    Multiboot(multiboot::Header),
    /// Or none of all: its loader says why not.
    Elf,
}

impl Format {
    /// The one place that decides, in the order in which QEMU's `-kernel` looks.
    fn of(image: &[u8]) -> Self {
        if bzimage::is_one(image) {
            return Self::BzImage;
        }
        multiboot::Header::find(image).map_or(Self::Elf, Self::Multiboot)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout;

    fn load_kernel(kernel: &Kernel) -> Result<Entry, BootError> {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        let image = Image {
            kernel,
            initramfs: None,
            command_line: "scenario=tour",
            vcpus: 1,
        };
        load(&memory, &image)
    }

    fn load_file(path: &Path) -> Result<Entry, BootError> {
        load_kernel(&Kernel::File(path.to_owned()))
    }

    #[test]
    fn the_embedded_guest_loads_at_two_mebibytes() {
        let entry = load_kernel(&Kernel::Embedded).unwrap();
        let Entry::Linux { rip, boot_params } = entry else {
            panic!("{entry:?}");
        };
        assert!((0x20_0000..memory::MIN_SIZE).contains(&rip), "{entry:?}");
        assert_eq!(boot_params, layout::BOOT_PARAMS);
    }

    #[test]
    fn a_path_that_is_no_kernel_file_is_named() {
        let missing = load_file(Path::new("/nowhere/at\nall")).unwrap_err();
        assert!(matches!(missing, BootError::Missing { .. }));
        assert!(
            missing
                .to_string()
                .starts_with(r#"kernel "/nowhere/at\nall" does not exist"#)
        );
        assert!(matches!(
            load_file(Path::new("/")),
            Err(BootError::NotAFile { .. })
        ));
        assert!(matches!(
            load_file(Path::new("/dev/zero")),
            Err(BootError::NotAFile { .. })
        ));
        assert!(matches!(
            load_file(Path::new("/dev/null/x")),
            Err(BootError::Missing { .. })
        ));
    }

    #[test]
    fn a_file_of_text_is_not_a_kernel() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(matches!(
            load_file(&source),
            Err(BootError::NotAKernel { .. })
        ));
    }
}
