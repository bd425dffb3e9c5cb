//! The shared libraries that a program of this host needs, as its own loader finds them.
//!
//! In the lab they are in one folder, where `LD_LIBRARY_PATH` has every loader look: what finds them
//! here (a cache, a path beside the program) is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elf::ElfBytes;
use elf::abi::{EM_X86_64, PT_INTERP};
use elf::endian::AnyEndian;

use super::Unusable;

/// The lab's folder for them; `init.sh` names it too.
pub(super) const FOLDER: &str = "libraries";

/// Files of the lab, without the `/` in front, and where they are on this host.
#[derive(Debug, Default)]
pub(super) struct Libraries(BTreeMap<String, PathBuf>);

impl Libraries {
    /// Adds those of a program, and its loader; a static program has none, nor has what cannot run in
    /// the lab and is data there.
    ///
    /// # Errors
    ///
    /// The file cannot be read, one of its libraries is not on this host, or another of the same
    /// name is there already.
    pub(super) fn add(&mut self, program: &Path) -> anyhow::Result<()> {
        let unreadable = |error| Unusable(format!("{}: {error}", program.display()));
        let bytes = fs::read(program).map_err(unreadable)?;
        let Some(loader) = loader(&bytes) else {
            return Ok(());
        };
        for library in needed(program, &loader)?
            .into_iter()
            .filter(|it| *it != loader)
        {
            let name = library.file_name().unwrap_or_default().to_string_lossy();
            self.insert(format!("{FOLDER}/{name}"), library.clone())?;
        }
        // The kernel looks for it where the program says.
        let path = loader.to_string_lossy().trim_start_matches('/').to_owned();
        self.insert(path, loader)
    }

    fn insert(&mut self, path: String, library: PathBuf) -> anyhow::Result<()> {
        // One file may have several names: on many hosts /lib is a link to /usr/lib.
        let one = |a: &Path, b: &Path| {
            let place = |path: &Path| fs::canonicalize(path).ok();
            a == b || place(a).is_some_and(|a| place(b) == Some(a))
        };
        match self.0.insert(path, library.clone()) {
            Some(other) if !one(&other, &library) => Err(Unusable(format!(
                "{} and {} have one name, and the lab has one folder for libraries",
                other.display(),
                library.display()
            ))
            .into()),
            _ => Ok(()),
        }
    }

    /// Their paths in the lab, without the `/` in front, and on this host.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Path)> {
        let libraries = self.0.iter();
        libraries.map(|(path, library)| (path.as_str(), library.as_path()))
    }
}

/// Where the libraries of a program are.
fn needed(program: &Path, loader: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    // A name without a folder is a library's to the loader.
    let mut list = Command::new(loader);
    list.arg("--list").arg(std::path::absolute(program)?);
    let list = list.output().map_err(|error| {
        let (program, loader) = (program.display(), loader.display());
        Unusable(format!(
            "{program} needs {loader}, which does not start here: {error}"
        ))
    })?;
    let text = String::from_utf8_lossy(&list.stdout);
    if let (true, Some(libraries)) = (list.status.success(), listed(&text)) {
        return Ok(libraries);
    }
    let said = String::from_utf8_lossy(&list.stderr);
    let missing = text.lines().find(|line| line.ends_with("not found"));
    Err(Unusable(format!(
        "{} lacks a shared library on this host ({}): install it, or build a static program",
        program.display(),
        missing.or(said.lines().next()).unwrap_or_default().trim(),
    ))
    .into())
}

/// Whether an ELF file is of another architecture.
pub(super) fn is_foreign(file: &Path) -> bool {
    fs::read(file).is_ok_and(|bytes| {
        ElfBytes::<AnyEndian>::minimal_parse(&bytes)
            .is_ok_and(|elf| elf.ehdr.e_machine != EM_X86_64)
    })
}

/// The program that an ELF file names to load it (PT_INTERP), unless it is of another architecture.
fn loader(bytes: &[u8]) -> Option<PathBuf> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
    if elf.ehdr.e_machine != EM_X86_64 {
        return None;
    }
    let mut segments = elf.segments()?.iter();
    let interpreter = segments.find(|segment| segment.p_type == PT_INTERP)?;
    let name = elf.segment_data(&interpreter).ok()?;
    let name = name.split(|byte| *byte == 0).next()?;
    Some(OsStr::from_bytes(name).into())
}

/// The paths in a loader's list: `NAME => PATH (ADDRESS)`, or the loader's own `PATH (ADDRESS)`;
/// `None` if it did not find one of them.
fn listed(text: &str) -> Option<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for line in text.lines() {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        let path = place
            .rsplit_once(" (")
            .map_or(place, |(path, _)| path)
            .trim();
        if path.starts_with('/') {
            found.insert(path.into());
        } else if name != place {
            return None;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_and_its_libraries() {
        // The test itself is one.
        let mut libraries = Libraries::default();
        libraries.add(&std::env::current_exe().unwrap()).unwrap();
        let paths: Vec<_> = libraries.iter().map(|(path, _)| path).collect();
        assert!(paths.contains(&"libraries/libc.so.6"), "{paths:?}");
        assert!(paths.iter().any(|path| path.starts_with("lib64/ld-linux")));
        assert!(libraries.iter().all(|(_, library)| library.is_file()));
    }

    #[test]
    fn two_libraries_of_one_name() {
        let mut libraries = Libraries::default();
        let folder = tempfile::tempdir().unwrap();
        let [file, link, other] = ["a.so", "b.so", "c.so"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        fs::write(&other, "").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for of_one in [&file, &link] {
            let path = "libraries/b.so".into();
            libraries.insert(path, of_one.clone()).unwrap();
        }
        let refused = libraries.insert("libraries/b.so".into(), other);
        assert!(refused.unwrap_err().is::<Unusable>());
    }

    #[test]
    fn what_is_no_program_needs_none() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        let mut libraries = Libraries::default();
        libraries.add(&script).unwrap();
        assert!(libraries.iter().next().is_none());
        let mut foreign = fs::read(std::env::current_exe().unwrap()).unwrap();
        foreign[18] = 183; // EM_AARCH64
        fs::write(&script, foreign).unwrap();
        libraries.add(&script).unwrap();
        assert!(libraries.iter().next().is_none() && is_foreign(&script));
        assert!(!is_foreign(&std::env::current_exe().unwrap()));
        let error = libraries.add(&folder.path().join("none")).unwrap_err();
        assert!(error.is::<Unusable>(), "{error}");
    }

    #[test]
    fn lists() {
        let list = "\tlinux-vdso.so.1 (0x00007ffd)\n\
                    \tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f12)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f34)\n";
        let paths = [
            "/lib/x86_64-linux-gnu/libc.so.6",
            "/lib64/ld-linux-x86-64.so.2",
        ];
        assert_eq!(listed(list), Some(paths.map(PathBuf::from).into()));
        assert_eq!(listed("\tlibnone.so.1 => not found\n"), None);
        assert_eq!(listed(""), Some(BTreeSet::new()));
    }
}
