//! Debian's archive: packages fetched by `apt-get download`, checked, and unpacked once under
//! `target/lab`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use sha2::{Digest, Sha256};

use super::Unusable;
use crate::workspace;

/// Asks the archive what it has; only root may.
pub(super) fn update() -> anyhow::Result<()> {
    apt("apt-get", &["update"]).map(drop)
}

/// Whether this version of a package can be had.
pub(super) fn knows(package: &str, version: &str) -> anyhow::Result<bool> {
    let exact = format!("{package}={version}");
    Ok(apt("apt-cache", &["show", &exact])?.status.success())
}

/// The names of the packages that begin so, one a line.
pub(super) fn names(beginning: &str) -> anyhow::Result<String> {
    let output = apt("apt-cache", &["pkgnames", beginning])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The version of a package that would be installed.
pub(super) fn version(package: &str) -> anyhow::Result<Option<String>> {
    let output = apt("apt-cache", &["show", "--no-all-versions", package])?;
    let shown = String::from_utf8_lossy(&output.stdout);
    let mut lines = shown.lines();
    let version = lines.find_map(|line| line.strip_prefix("Version: "));
    Ok(version.map(str::to_owned))
}

/// A path in an unpacked package, where later releases of Debian have merged `/bin` and `/lib` into
/// `/usr`.
pub(super) fn in_package(folder: &Path, path: &str) -> PathBuf {
    let merged = folder.join("usr").join(path);
    match merged.exists() {
        true => merged,
        false => folder.join(path),
    }
}

/// Downloads and unpacks a package, whose SHA-256 must be the pinned one if there is one; the folder
/// appears only once it is whole.
pub(super) fn fetch(
    package: &str,
    version: &str,
    pinned: Option<&str>,
    folder: &Path,
) -> anyhow::Result<()> {
    eprintln!("xtask: fetching the Debian package {package} {version}");
    fs::create_dir_all(lab())?;
    let work = tempfile::tempdir_in(lab())?;
    let exact = format!("{package}={version}");
    let mut download = Command::new("apt-get");
    download
        // Root is told, at length, that it downloads as root.
        .args(["-o", "APT::Sandbox::User=root", "download", &exact])
        .current_dir(work.path());
    let output = output_of(&mut download)?;
    let Some(file) = only_file(work.path())?.filter(|_| output.status.success()) else {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Unusable(format!(
            "{package} does not download: {}; `apt-get update` and a network help, or `dpkg -x` of \
             the package to {}",
            said.lines().next_back().unwrap_or("apt-get says nothing"),
            folder.display()
        ))
        .into());
    };
    let sha256 = sha256(&file)?;
    match pinned {
        Some(pinned) => ensure!(
            sha256 == pinned,
            "{package} {version} has the SHA-256 {sha256}, not {pinned} as in resources/kernels.json"
        ),
        None => eprintln!(
            "xtask: {package} {version} stands in for the package of resources/kernels.json, which \
             the archive no longer has; its SHA-256 is {sha256}"
        ),
    }
    let files = work.path().join("files");
    let mut unpack = Command::new("dpkg");
    unpack.arg("-x").args([&file, &files]);
    let output = output_of(&mut unpack)?;
    ensure!(
        output.status.success(),
        "{package} does not unpack: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    match fs::rename(&files, folder) {
        // Another lab was faster.
        Err(_) if folder.is_dir() => Ok(()),
        result => result.with_context(|| format!("cannot make {}", folder.display())),
    }
}

fn only_file(folder: &Path) -> anyhow::Result<Option<PathBuf>> {
    let first = fs::read_dir(folder)?.next().transpose()?;
    Ok(first.map(|entry| entry.path()))
}

fn sha256(file: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(file)?;
    let digest = Sha256::digest(&bytes);
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What one of Debian's tools says; where there is none, the way out.
fn output_of(command: &mut Command) -> anyhow::Result<Output> {
    command.output().map_err(|error| {
        Unusable(format!(
            "{} does not start ({error}): the lab's kernels and busybox come from Debian packages, \
             which need apt-get, apt-cache and dpkg",
            command.get_program().display()
        ))
        .into()
    })
}

fn apt(tool: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    output_of(Command::new(tool).args(arguments))
}

/// Where a package is unpacked.
pub(super) fn folder_of(package: &str, version: &str) -> PathBuf {
    lab().join(format!("{package}_{version}"))
}

fn lab() -> PathBuf {
    workspace::target().join("lab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("abc");
        fs::write(&file, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&file).unwrap(), expected);
    }
}
