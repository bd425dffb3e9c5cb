//! The modules of a multiboot kernel: files with a command line each, named as for QEMU's
//! `-initrd`: `file arguments,file arguments`; two commas are a comma.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use vm_memory::{Bytes, GuestAddress};

use crate::boot::initramfs::{self, Initramfs};
use crate::boot::{BootError, command_line};
use crate::layout;
use crate::memory::{self, GuestMemory};

/// A module in guest memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Module {
    /// First byte, page aligned.
    pub(super) start: u32,
    /// End, exclusive.
    pub(super) end: u32,
    /// The file's name and the arguments.
    pub(super) command_line: String,
}

/// Copies the modules one behind the other, from the page after the kernel's end on: there GRUB and
/// QEMU have them, and kernels that map little memory count on it.
pub(super) fn load(
    memory: &GuestMemory,
    initramfs: Option<&Initramfs>,
    kernel_end: u64,
) -> Result<Vec<Module>, BootError> {
    let sources = match initramfs {
        None => Vec::new(),
        Some(Initramfs::Bytes(bytes)) => vec![(bytes.clone(), "initramfs".to_owned())],
        Some(Initramfs::File(path)) => named(path)
            .into_iter()
            .map(|(path, arguments)| {
                let bytes = initramfs::read(&path, memory)?;
                let text = with_name(&path, &arguments);
                command_line::check(&text, command_line::LONGEST)?;
                Ok((Cow::Owned(bytes), text))
            })
            .collect::<Result<_, BootError>>()?,
    };
    let mut end = kernel_end;
    let mut modules = Vec::new();
    for (bytes, command_line) in sources {
        let start = end.next_multiple_of(layout::PAGE_SIZE);
        let (size, room) = (
            bytes.len() as u64,
            memory::low_end(memory).saturating_sub(start),
        );
        if size > room {
            return Err(BootError::InitramfsDoesNotFit { size, room });
        }
        memory
            .write_slice(&bytes, GuestAddress(start))
            .expect("it ends below the end of RAM");
        end = start + size;
        let narrow = |address| u32::try_from(address).expect("RAM below the hole");
        modules.push(Module {
            start: narrow(start),
            end: narrow(end),
            command_line,
        });
    }
    Ok(modules)
}

/// The files that `list` names, and the arguments of each.
fn named(list: &Path) -> Vec<(PathBuf, String)> {
    let Some(text) = list.to_str() else {
        return vec![(list.to_owned(), String::new())];
    };
    let mut entries = vec![String::new()];
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == ',' && characters.next_if_eq(&',').is_none() {
            entries.push(String::new());
        } else if let Some(entry) = entries.last_mut() {
            entry.push(character);
        }
    }
    entries
        .iter()
        .map(|entry| entry.split_once(' ').unwrap_or((entry, "")))
        .map(|(path, arguments)| (path.into(), arguments.to_owned()))
        .collect()
}

/// A command line as a multiboot kernel expects it: the first word is the file's name.
pub(super) fn with_name(path: &Path, arguments: &str) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let word = |c| if matches!(c, '!'..='~') { c } else { '_' };
    let name: String = name.to_string_lossy().chars().map(word).collect();
    format!("{name} {arguments}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_files_with_arguments() {
        let entry = |path: &str, arguments: &str| (path.into(), arguments.to_owned());
        for (list, expected) in [
            ("/env", vec![entry("/env", "")]),
            ("/env a b", vec![entry("/env", "a b")]),
            ("a x=1,b y", vec![entry("a", "x=1"), entry("b", "y")]),
            ("a x=1,,2,b", vec![entry("a", "x=1,2"), entry("b", "")]),
            ("", vec![entry("", "")]),
        ] {
            assert_eq!(named(Path::new(list)), expected, "{list:?}");
        }
    }

    #[test]
    fn the_first_word_of_a_command_line_is_the_files_name() {
        let with = |path: &str, arguments| with_name(Path::new(path), arguments);
        assert_eq!(with("/boot/xen.gz", "com1=115200"), "xen.gz com1=115200");
        assert_eq!(with("/a b/c d\n", "x"), "c_d_ x");
        assert_eq!(with("k", ""), "k");
    }
}
