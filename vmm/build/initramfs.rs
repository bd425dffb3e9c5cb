//! An initramfs with one program in it: a newc archive as the kernel unpacks it (Linux,
//! Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::{self, Write};

use cpio::newc::{self, Builder, ModeFileType};

/// What process 1 mounts on.
const DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];

/// The console's number: the kernel opens it as the standard streams of process 1.
const CONSOLE: (u32, u32) = (5, 1);

/// An archive whose `/init` is this program. The same program gives the same bytes.
pub(crate) fn pack(init: &[u8]) -> io::Result<Vec<u8>> {
    let mut numbers = 1..;
    let mut entry = |name, kind, permissions| {
        Builder::new(name)
            .ino(numbers.next().unwrap_or(0))
            .mode(permissions)
            .set_mode_file_type(kind)
    };
    let mut archive = Vec::new();
    for name in DIRECTORIES {
        let directory = entry(name, ModeFileType::Directory, 0o755);
        directory.nlink(2).write(&mut archive, 0).finish()?;
    }
    entry("dev/console", ModeFileType::Char, 0o600)
        .rdev_major(CONSOLE.0)
        .rdev_minor(CONSOLE.1)
        .write(&mut archive, 0)
        .finish()?;
    let size = u32::try_from(init.len()).map_err(io::Error::other)?;
    let mut file = entry("init", ModeFileType::Regular, 0o755).write(&mut archive, size);
    file.write_all(init)?;
    file.finish()?;
    newc::trailer(&mut archive)?;
    Ok(archive)
}
