//! What is inside the lab: the command, what it needs, and where it finds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Unusable;
use super::archive::in_package;
use super::initramfs::Entry;
use super::kernel::Kernel;
use super::libraries::{self, Libraries, is_foreign};

const INIT: &str = include_str!("init.sh");

/// A command for the lab, and the files of this host that go with it.
#[derive(Debug)]
pub(super) struct Inside {
    /// What the lab's shell runs.
    script: String,
    /// The host's program that the command starts, and its name in the lab.
    program: Option<(PathBuf, String)>,
    /// Further files, and their names in the lab.
    files: Vec<(PathBuf, String)>,
    /// The shared libraries that they need.
    libraries: Libraries,
}

impl Inside {
    /// The first word is a program of this host if it is a path, else one that the lab has.
    pub(super) fn new(command: &[String], files: &[PathBuf]) -> anyhow::Result<Self> {
        let (first, arguments) = command
            .split_first()
            .ok_or_else(|| Unusable("there is no command to run".to_owned()))?;
        let program = match first.contains('/') {
            true => Some(named(Path::new(first))?),
            false => None,
        };
        if let Some((file, _)) = program.as_ref().filter(|(file, _)| is_foreign(file)) {
            let message = format!(
                "{} is for another architecture: the lab is x86-64",
                file.display()
            );
            return Err(Unusable(message).into());
        }
        let first = match &program {
            Some((_, name)) => format!("/{PROGRAM}/{name}"),
            None => first.clone(),
        };
        let mut script = format!("exec {}", quoted(&first));
        for argument in arguments {
            script.push(' ');
            script.push_str(&quoted(argument));
        }
        script.push('\n');
        let files = files.iter().map(|file| named(file));
        let files: Vec<_> = files.collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        if let Some((file, name)) = files.iter().find(|(_, name)| !names.insert(name)) {
            let file = file.display();
            let message = format!("{file}: there is another --file named {name}");
            return Err(Unusable(message).into());
        }
        let mut libraries = Libraries::default();
        for (file, _) in program.iter().chain(&files) {
            libraries.add(file)?;
        }
        Ok(Self {
            script,
            program,
            files,
            libraries,
        })
    }

    /// Adds the libraries of a program that the lab has in any case.
    pub(super) fn needs_libraries_of(&mut self, program: &Path) -> anyhow::Result<()> {
        self.libraries.add(program)
    }

    /// The lab's root file system.
    pub(super) fn entries(
        &self,
        busybox: &Path,
        vapic: &Path,
        kernel: &Kernel,
        guests: &[(&str, Kernel)],
    ) -> Vec<Entry> {
        let folders = [
            "bin",
            "dev",
            "proc",
            "sys",
            "tmp",
            "modules",
            "kernels",
            "files",
            "out",
            libraries::FOLDER,
        ];
        let mut entries: Vec<_> = folders.map(Entry::folder).into();
        entries.push(Entry::folder(PROGRAM));
        entries.push(Entry::text("init", INIT));
        entries.push(Entry::text("command", &self.script));
        entries.push(Entry::copy(
            "bin/busybox",
            &in_package(busybox, "bin/busybox"),
        ));
        entries.push(Entry::copy("bin/vapic", vapic));
        let mut order = String::new();
        for module in &kernel.modules {
            let name = module.file_name().unwrap_or_default().to_string_lossy();
            entries.push(Entry::copy(&format!("modules/{name}"), module));
            order.push_str(&name);
            order.push('\n');
        }
        entries.push(Entry::text("modules/order", &order));
        for (version, guest) in guests {
            entries.push(Entry::folder(&format!("kernels/{version}")));
            let path = format!("kernels/{version}/vmlinuz");
            entries.push(Entry::copy(&path, &guest.image));
        }
        let program = self.program.iter().map(|file| (PROGRAM, file));
        let files = self.files.iter().map(|file| ("files", file));
        for (folder, (file, name)) in program.chain(files) {
            entries.push(Entry::copy(&format!("{folder}/{name}"), file));
        }
        let mut folders = BTreeSet::from([libraries::FOLDER]);
        for (path, library) in self.libraries.iter() {
            for (end, _) in path.match_indices('/') {
                if folders.insert(&path[..end]) {
                    entries.push(Entry::folder(&path[..end]));
                }
            }
            entries.push(Entry::copy(path, library));
        }
        entries
    }
}

/// Where the command's own file is: apart, lest it replace one of the lab's.
const PROGRAM: &str = "program";

/// A file of this host and the last part of its path.
fn named(file: &Path) -> Result<(PathBuf, String), Unusable> {
    let unusable = |why| Unusable(format!("{}: {why}", file.display()));
    if !file.is_file() {
        return Err(unusable("there is no such file"));
    }
    let name = file.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| unusable("its name is not UTF-8"))?;
    Ok((file.to_owned(), name.to_owned()))
}

/// A word as the shell takes it literally.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::lab::initramfs::Content;

    fn inside(command: &[&str], files: &[&Path]) -> anyhow::Result<Inside> {
        let command: Vec<_> = command.iter().map(ToString::to_string).collect();
        let files: Vec<_> = files.iter().map(|file| file.to_path_buf()).collect();
        Inside::new(&command, &files)
    }

    #[test]
    fn words_are_taken_literally() {
        let inside = inside(&["vapic", "run", "--cmdline", "it's $HOME"], &[]).unwrap();
        assert_eq!(
            inside.script,
            "exec 'vapic' 'run' '--cmdline' 'it'\\''s $HOME'\n"
        );
        assert_eq!(inside.program, None);
    }

    #[test]
    fn a_path_is_a_program_of_this_host() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("vapic");
        fs::write(&program, "").unwrap();
        let inside = inside(&[program.to_str().unwrap(), "/x"], &[]).unwrap();
        assert_eq!(inside.script, "exec '/program/vapic' '/x'\n");
        assert_eq!(inside.program, Some((program, "vapic".to_owned())));
    }

    #[test]
    fn files_that_cannot_be_had() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("a"), folder.path().join("sub/a"));
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        for (command, files, message) in [
            ("/nowhere/a", vec![], "there is no such file"),
            ("ls", vec![Path::new("/nowhere")], "there is no such file"),
            ("ls", vec![folder.path()], "there is no such file"),
            ("ls", vec![&one, &other], "there is another --file named a"),
        ] {
            let error = inside(&[command], &files).unwrap_err();
            assert!(error.is::<Unusable>(), "{error}");
            assert!(error.to_string().ends_with(message), "{error}");
        }
    }

    #[test]
    fn every_folder_comes_before_what_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let script = folder.path().join("script");
        fs::write(&script, "#!/bin/sh").unwrap();
        let mut inside = inside(&[script.to_str().unwrap()], &[&script]).unwrap();
        // The test itself needs some.
        let test = std::env::current_exe().unwrap();
        inside.needs_libraries_of(&test).unwrap();
        let kernel = |module: &str| Kernel {
            image: "/boot/vmlinuz".into(),
            modules: vec!["/m/b.ko".into(), module.into()],
        };
        let guests = [("6.1", kernel("")), ("6.12", kernel(""))];
        let host = Path::new("/host");
        let entries = inside.entries(host, host, &kernel("/m/a.ko.xz"), &guests);
        let mut folders = vec![""];
        let mut files = BTreeSet::new();
        for Entry { path, content } in &entries {
            let (folder, _) = path.rsplit_once('/').unwrap_or_default();
            assert!(folders.contains(&folder), "{path}");
            match content {
                Content::Folder => folders.push(path),
                Content::Text(_) | Content::Copy(_) => {
                    assert!(files.insert(path.as_str()), "{path}");
                }
            }
        }
        for path in [
            "bin/vapic",
            "program/script",
            "files/script",
            "kernels/6.12/vmlinuz",
        ] {
            assert!(files.contains(path), "{path}");
        }
        assert!(files.iter().any(|path| path.ends_with("/libc.so.6")));
        let order = entries
            .iter()
            .find(|entry| entry.path == "modules/order")
            .unwrap();
        assert_eq!(order.content, Content::Text("b.ko\na.ko.xz\n".to_owned()));
    }
}
