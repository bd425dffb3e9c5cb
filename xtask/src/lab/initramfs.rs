//! The archive that is the lab's root file system: cpio in the newc format, which Linux unpacks.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cpio::newc;

const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;

/// One file of the archive.
#[derive(Debug)]
pub(super) struct Entry {
    /// Where it is in the lab, without the `/` in front; its folders come before it.
    pub(super) path: String,
    pub(super) content: Content,
}

/// What an [`Entry`] is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A folder.
    Folder,
    /// A file with this text.
    Text(String),
    /// A file of this host.
    Copy(PathBuf),
}

impl Entry {
    pub(super) fn folder(path: &str) -> Self {
        Self::new(path, Content::Folder)
    }

    pub(super) fn text(path: &str, text: &str) -> Self {
        Self::new(path, Content::Text(text.to_owned()))
    }

    pub(super) fn copy(path: &str, of: &Path) -> Self {
        Self::new(path, Content::Copy(of.to_owned()))
    }

    fn new(path: &str, content: Content) -> Self {
        let path = path.to_owned();
        Self { path, content }
    }
}

/// Writes the entries to a file.
pub(super) fn write(entries: &[Entry], file: &Path) -> anyhow::Result<()> {
    let archive = File::create(file).context("no room for the initramfs")?;
    let archive = write_to(BufWriter::new(archive), entries)?;
    archive.into_inner().context("no room for the initramfs")?;
    Ok(())
}

pub(super) fn write_to<W: Write>(mut archive: W, entries: &[Entry]) -> anyhow::Result<W> {
    for (number, Entry { path, content }) in (1..).zip(entries) {
        let header = newc::Builder::new(path).ino(number);
        archive = match content {
            Content::Folder => header.mode(FOLDER).nlink(2).write(archive, 0).finish(),
            Content::Text(text) => add(header, archive, text.as_bytes(), text.len() as u64),
            Content::Copy(of) => {
                let read = || Ok((File::open(of)?, fs::metadata(of)?.len()));
                let (file, size) = read().map_err(|error: io::Error| unreadable(of, &error))?;
                add(header, archive, file, size)
            }
        }
        .with_context(|| format!("/{path} does not get into the initramfs"))?;
    }
    Ok(newc::trailer(archive)?)
}

fn unreadable(file: &Path, error: &io::Error) -> anyhow::Error {
    super::Unusable(format!("{}: {error}", file.display())).into()
}

/// A file; all may be executed, as whether it can is for the lab to say.
fn add<W: Write>(
    header: newc::Builder,
    archive: W,
    mut content: impl Read,
    size: u64,
) -> io::Result<W> {
    let size = u32::try_from(size).map_err(|_| io::Error::other("it is larger than 4 GiB"))?;
    let mut writer = header.mode(PROGRAM).nlink(1).write(archive, size);
    io::copy(&mut content, &mut writer)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let host_file = folder.path().join("b");
        fs::write(&host_file, "from the host").unwrap();
        let entries = [
            Entry::folder("bin"),
            Entry::text("bin/a", "text"),
            Entry::copy("bin/b", &host_file),
        ];
        let archive = write_to(Vec::new(), &entries).unwrap();
        let mut rest = archive.as_slice();
        let mut listing = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                break;
            }
            let mut content = String::new();
            reader.read_to_string(&mut content).unwrap();
            let entry = reader.entry();
            listing.push((entry.name().to_owned(), entry.mode(), content));
            rest = reader.finish().unwrap();
        }
        let expected = [
            ("bin", FOLDER, ""),
            ("bin/a", PROGRAM, "text"),
            ("bin/b", PROGRAM, "from the host"),
        ];
        assert_eq!(
            listing,
            expected.map(|(name, mode, text)| (name.into(), mode, text.into()))
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let entries = [Entry::copy("bin/a", Path::new("/nowhere/a"))];
        let error = write_to(Vec::new(), &entries).unwrap_err();
        assert!(error.is::<super::super::Unusable>());
        assert!(error.to_string().starts_with("/nowhere/a: "), "{error}");
    }
}
