//! What a lab gives back: how its command ended, and the files it left in `/out`.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use anyhow::{Context, bail};
use cpio::newc;

/// The command's exit code, from what the lab's first process says at its end.
pub(super) fn exit_code(said: &str) -> Option<u8> {
    let line = said.lines().next()?;
    line.strip_prefix("exit ")?.parse().ok()
}

/// Unpacks the files of a cpio archive into a folder, which is made.
pub(super) fn unpack(archive: &[u8], folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut rest = archive;
    loop {
        let reader = newc::Reader::new(rest).context("what came back from /out is cut short")?;
        if reader.entry().is_trailer() {
            return Ok(());
        }
        let name = reader.entry().name().to_owned();
        let inside = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        if !Path::new(&name).components().all(inside) {
            bail!("{name} is not below /out");
        }
        let path = folder.join(&name);
        let write = || -> io::Result<&[u8]> {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            reader.to_writer(File::create(&path)?)
        };
        rest = write().with_context(|| format!("cannot bring back {}", path.display()))?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::initramfs::{self, Entry};

    #[test]
    fn exit_codes() {
        for (said, code) in [
            ("exit 0\n", Some(0)),
            ("exit 137\n", Some(137)),
            ("exit 7\nexit 8\n", Some(7)),
            ("", None),
            ("exit", None),
            ("exit 256\n", None),
            ("exit -1\n", None),
            ("the exit 0\n", None),
        ] {
            assert_eq!(exit_code(said), code, "{said:?}");
        }
    }

    #[test]
    fn files_come_back_in_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let archive = [Entry::text("./a", "1"), Entry::text("sub/b", "2")];
        let archive = initramfs::write_to(Vec::new(), &archive).unwrap();
        let out = folder.path().join("out");
        unpack(&archive, &out).unwrap();
        assert_eq!(fs::read_to_string(out.join("a")).unwrap(), "1");
        assert_eq!(fs::read_to_string(out.join("sub/b")).unwrap(), "2");
    }

    #[test]
    fn nothing_is_written_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = folder.path().join("elsewhere");
        for name in ["../elsewhere", &elsewhere.display().to_string()] {
            let archive = initramfs::write_to(Vec::new(), &[Entry::text(name, "1")]).unwrap();
            assert!(unpack(&archive, &folder.path().join("out")).is_err());
            assert!(!elsewhere.exists(), "{name}");
        }
    }

    #[test]
    fn an_archive_cut_short() {
        let folder = tempfile::tempdir().unwrap();
        let archive = initramfs::write_to(Vec::new(), &[Entry::text("a", "content")]).unwrap();
        for length in 0..archive.len() {
            assert!(
                unpack(&archive[..length], folder.path()).is_err(),
                "{length}"
            );
        }
    }
}
