//! The shared libraries that a program of this host needs, as its own loader finds them.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use elf::ElfBytes;
use elf::abi::PT_INTERP;
use elf::endian::AnyEndian;

use super::Unusable;

/// Where the libraries of a program are, its loader among them; none if it is static or no ELF file.
///
/// # Errors
///
/// The file cannot be read, or one of its libraries is not on this host.
pub(super) fn of(program: &Path) -> anyhow::Result<BTreeSet<PathBuf>> {
    let unreadable = |error| Unusable(format!("{}: {error}", program.display()));
    let bytes = fs::read(program).map_err(unreadable)?;
    let Some(loader) = loader(&bytes) else {
        return Ok(BTreeSet::new());
    };
    // A name without a folder is a library's to the loader. What cargo has it find is not in the lab.
    let mut list = Command::new(&loader);
    list.arg("--list").arg(std::path::absolute(program)?);
    let list = list.env_remove("LD_LIBRARY_PATH").output();
    let list = list.map_err(|error| {
        let (program, loader) = (program.display(), loader.display());
        Unusable(format!(
            "{program} needs {loader}, which does not start here: {error}"
        ))
    })?;
    let text = String::from_utf8_lossy(&list.stdout);
    if let (true, Some(mut libraries)) = (list.status.success(), listed(&text)) {
        libraries.insert(loader);
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

/// The program that an ELF file names to load it (PT_INTERP).
fn loader(bytes: &[u8]) -> Option<PathBuf> {
    let elf = ElfBytes::<AnyEndian>::minimal_parse(bytes).ok()?;
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
        let libraries = of(&std::env::current_exe().unwrap()).unwrap();
        let names: Vec<_> = libraries
            .iter()
            .filter_map(|path| path.file_name()?.to_str())
            .collect();
        assert!(names.contains(&"libc.so.6"), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("ld-linux")));
        assert!(libraries.iter().all(|path| path.is_file()));
    }

    #[test]
    fn what_is_no_program_needs_none() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        assert!(of(&script).unwrap().is_empty());
        let error = of(&folder.path().join("none")).unwrap_err();
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
