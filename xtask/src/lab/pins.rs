//! Which Debian packages the lab is made of: `resources/kernels.json`.
//!
//! It names each package with its version and SHA-256. The archive drops superseded versions; then
//! the newest of the same family stands in, with a word about it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::{Unusable, archive};

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
        let folder = archive::folder_of(&self.package, &self.version);
        if folder.is_dir() {
            return Ok(folder);
        }
        let (package, version) = self.choose()?;
        let folder = archive::folder_of(&package, &version);
        if !folder.is_dir() {
            let pinned = (package == self.package && version == self.version)
                .then_some(self.sha256.as_str());
            archive::fetch(&package, &version, pinned, &folder)?;
        }
        Ok(folder)
    }

    /// Package and version to fetch: the pinned one, or the newest that may stand in.
    fn choose(&self) -> anyhow::Result<(String, String)> {
        if let Some(choice) = self.known()? {
            return Ok(choice);
        }
        // Where nothing was ever asked for, as in a fresh container, apt knows no package.
        archive::update()?;
        self.known()?.ok_or_else(|| {
            let Self {
                package, family, ..
            } = self;
            Unusable(format!(
                "the package {package} is not in this host's archives, nor any {family}: add \
                 Debian 12 and its security updates to the APT sources and run `apt-get update`, \
                 or unpack the package with `dpkg -x` to {}",
                archive::folder_of(package, &self.version).display()
            ))
            .into()
        })
    }

    fn known(&self) -> anyhow::Result<Option<(String, String)>> {
        let Self {
            package, version, ..
        } = self;
        if archive::knows(package, version)? {
            return Ok(Some((package.clone(), version.clone())));
        }
        let names = archive::names(stem(&self.family))?;
        let Some(newest) = newest(&self.family, names.lines()) else {
            return Ok(None);
        };
        let version = archive::version(newest)?;
        Ok(version.map(|version| (newest.to_owned(), version)))
    }
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
}
