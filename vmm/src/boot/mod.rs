//! Puts a kernel into guest memory and says how to enter it.
//!
//! The kernel is entered by the Linux 64-bit boot protocol (Linux,
//! Documentation/arch/x86/boot.rst): long mode, the first 4 GiB identity-mapped, RSI at
//! `boot_params`. A kernel file is input that may be truncated or hostile: everything it says is
//! checked before use, and each way of being wrong is a [`BootError`] of one line.
//!
//! Missing: bzImage and multiboot kernels, an initial ramdisk, ACPI tables.

mod elf;
mod entry;
mod error;
pub(crate) mod long_mode;
mod zero_page;

use std::fmt;
use std::fs::{self, File};
use std::io::{Cursor, ErrorKind};
use std::path::{Path, PathBuf};

pub use entry::Entry;
pub use error::BootError;

use crate::layout;
use crate::memory::GuestMemory;

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

/// Loads `kernel`, its command line and all it is entered with into `memory`.
///
/// # Errors
/// Every variant of [`BootError`]: all are about what the user gave.
pub fn load(memory: &GuestMemory, kernel: &Kernel, command_line: &str) -> Result<Entry, BootError> {
    let name = kernel.to_string();
    // The one place that decides the format of an image: today there is one, ELF64.
    let rip = match kernel {
        Kernel::Embedded => elf::load(memory, &mut Cursor::new(EMBEDDED_GUEST), &name),
        Kernel::File(path) => elf::load(memory, &mut open(path, &name)?, &name),
    }?;
    zero_page::write(memory, command_line)?;
    long_mode::write_tables(memory);
    Ok(Entry {
        rip,
        boot_params: layout::BOOT_PARAMS,
    })
}

fn open(path: &Path, name: &str) -> Result<File, BootError> {
    let name = || name.to_owned();
    let refused = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => BootError::Missing { kernel: name() },
        _ => BootError::Unreadable {
            kernel: name(),
            source,
        },
    };
    // Asked before the open, which would wait for a writer on a named pipe.
    if !fs::metadata(path).map_err(refused)?.is_file() {
        return Err(BootError::NotAFile { kernel: name() });
    }
    File::open(path).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    fn load_file(path: &Path) -> Result<Entry, BootError> {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        load(&memory, &Kernel::File(path.to_owned()), "")
    }

    #[test]
    fn the_embedded_guest_loads_at_two_mebibytes() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        let entry = load(&memory, &Kernel::Embedded, "scenario=tour").unwrap();
        assert!(
            (0x20_0000..memory::MIN_SIZE).contains(&entry.rip),
            "{entry:?}"
        );
        assert_eq!(entry.boot_params, layout::BOOT_PARAMS);
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
