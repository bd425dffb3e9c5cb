//! Debian packages: fetched by `apt-get download`, checked, unpacked once under `target/lab`.
//!
//! `resources/kernels.json` names each package with its version and SHA-256. The archive drops
//! superseded versions; then the newest of the same family stands in, with a word about it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::Unusable;
use crate::workspace;

/// The kernels that `resources/kernels.json` has.
pub(super) const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// The packages of the lab.
#[derive(Debug, Deserialize)]
pub(super) struct Pins {
    /// Its shell and small tools.
    pub(super) busybox: Pin,
    /// Its kernels, by version.
    pub(super) kernels: BTreeMap<String, Pin>,
}

/// One package.
#[derive(Debug, Deserialize)]
pub(super) struct Pin {
    package: String,
    version: String,
    /// Of the package file, in hexadecimal.
    sha256: String,
    /// Names of the packages that may stand in; a `*` is a number and what follows it to the `-`.
    family: String,
}

impl Pins {
    /// As they are in `resources`.
    pub(super) fn read() -> Self {
        serde_json::from_str(include_str!("../../../resources/kernels.json"))
            .expect("a test reads it")
    }

    /// The kernel of one of [`KERNELS`].
    pub(super) fn kernel(&self, version: &str) -> &Pin {
        &self.kernels[version]
    }
}

impl Pin {
    /// The folder with the package's files, fetched if it is not there yet.
    pub(super) fn unpacked(&self) -> anyhow::Result<PathBuf> {
        let folder = folder_of(&self.package, &self.version);
        if folder.is_dir() {
            return Ok(folder);
        }
        let (package, version) = self.choose()?;
        let folder = folder_of(&package, &version);
        if !folder.is_dir() {
            let pinned = (package == self.package && version == self.version)
                .then_some(self.sha256.as_str());
            fetch(&package, &version, pinned, &folder)?;
        }
        Ok(folder)
    }

    /// Package and version to fetch: the pinned one, or the newest that may stand in.
    fn choose(&self) -> anyhow::Result<(String, String)> {
        if let Some(choice) = self.known()? {
            return Ok(choice);
        }
        // Where nothing was ever asked for, as in a fresh container, apt knows no package.
        apt("apt-get", &["update"])?;
        self.known()?.ok_or_else(|| {
            let Self {
                package, family, ..
            } = self;
            Unusable(format!(
                "the package {package} is not in this host's archives, nor any {family}: add \
                 Debian 12 and its security updates to the APT sources and run `apt-get update`, \
                 or unpack the package with `dpkg -x` to {}",
                folder_of(package, &self.version).display()
            ))
            .into()
        })
    }

    fn known(&self) -> anyhow::Result<Option<(String, String)>> {
        let Self {
            package, version, ..
        } = self;
        let exact = format!("{package}={version}");
        if apt("apt-cache", &["show", &exact])?.status.success() {
            return Ok(Some((package.clone(), version.clone())));
        }
        let names = apt("apt-cache", &["pkgnames", stem(&self.family)])?.stdout;
        let names = String::from_utf8_lossy(&names);
        let Some(newest) = newest(&self.family, names.lines()) else {
            return Ok(None);
        };
        let shown = apt("apt-cache", &["show", "--no-all-versions", newest])?.stdout;
        let shown = String::from_utf8_lossy(&shown);
        let version = shown
            .lines()
            .find_map(|line| line.strip_prefix("Version: "));
        Ok(version.map(|version| (newest.to_owned(), version.to_owned())))
    }
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

/// Downloads and unpacks a package; the folder appears only once it is whole.
fn fetch(package: &str, version: &str, pinned: Option<&str>, folder: &Path) -> anyhow::Result<()> {
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

/// What comes before the `*` of a family, which is the whole of it if there is none.
fn stem(family: &str) -> &str {
    family.split('*').next().unwrap_or(family)
}

/// The member of a family with the highest number.
fn newest<'a>(family: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let Some((stem, rest)) = family.split_once('*') else {
        return names.into_iter().find(|name| *name == family);
    };
    let number = |name: &str| -> Option<u32> {
        let middle = name.strip_prefix(stem)?.strip_suffix(rest)?;
        let digits = middle.split(|c: char| !c.is_ascii_digit()).next()?;
        (!middle.contains('-')).then(|| digits.parse().ok())?
    };
    names
        .filter_map(|name| Some((number(name)?, name)))
        .max()
        .map(|(_, name)| name)
}

fn folder_of(package: &str, version: &str) -> PathBuf {
    lab().join(format!("{package}_{version}"))
}

fn lab() -> PathBuf {
    workspace::target().join("lab")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_are_whole() {
        let pins = Pins::read();
        assert!(pins.kernels.keys().eq(&KERNELS));
        for pin in pins.kernels.values().chain([&pins.busybox]) {
            assert_eq!(pin.sha256.len(), 64, "{pin:?}");
            assert!(
                pin.sha256
                    .bytes()
                    .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
            );
            let own = pin.package.as_str();
            assert_eq!(newest(&pin.family, [own].into_iter()), Some(own));
        }
    }

    #[test]
    fn the_newest_of_a_family() {
        let names = [
            "linux-image-6.12.99+deb12-cloud-amd64",
            "linux-image-6.12.117+deb12-cloud-amd64",
            "linux-image-6.12.118+deb12-rt-amd64",
            "linux-image-6.12.119+deb12-cloud-amd64-unsigned",
            "linux-image-6.12.120-rt-cloud-amd64",
            "linux-image-6.12-cloud-amd64",
            "linux-image-6.13.200+deb12-cloud-amd64",
        ];
        let newest = |family| newest(family, names.into_iter());
        assert_eq!(newest("linux-image-6.12.*-cloud-amd64"), Some(names[1]));
        assert_eq!(newest("linux-image-6.1.0-*-cloud-amd64"), None);
        assert_eq!(newest("linux-image-6.12-cloud-amd64"), Some(names[5]));
    }

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
