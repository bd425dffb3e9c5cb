//! What is inside the lab: the command, what it needs, and where it finds it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Unusable;
use super::initramfs::Entry;
use super::kernel::Kernel;

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
        Ok(Self {
            script,
            program,
            files,
        })
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
            "bin", "dev", "proc", "sys", "tmp", "modules", "kernels", "files", "out",
        ];
        let mut entries: Vec<_> = folders.map(Entry::folder).into();
        entries.push(Entry::folder(PROGRAM));
        entries.push(Entry::text("init", INIT));
        entries.push(Entry::text("command", &self.script));
        entries.push(Entry::copy("bin/busybox", &busybox.join("bin/busybox")));
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
