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
    if archive.is_empty() {
        bail!("nothing came back from /out: the machine ended too early");
    }
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
