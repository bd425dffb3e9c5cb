//! ELF images (System V gABI, chapters 4 and 5): all headers are checked here, because
//! linux-loader, which copies those of Linux, trusts sizes and addresses more than a stranger's
//! file deserves.

use std::io::Cursor;

use linux_loader::loader::{Elf, KernelLoader};
use object::LittleEndian;
use object::elf::{
    ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFMAG, EM_386, EM_X86_64, ET_DYN, ET_EXEC, FileClass,
    FileHeader32, FileHeader64, Ident, PT_LOAD,
};
use object::pod;
use object::read::elf::{FileHeader, ProgramHeader};
use vm_memory::GuestAddress;

use super::BootError;
use super::segment::{self, Segment, broken, reaches};
use crate::memory::GuestMemory;

const LE: LittleEndian = LittleEndian;

/// An ELF image in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// First instruction, a physical address.
    pub(super) entry: u64,
    /// End of the highest segment.
    pub(super) end: u64,
}

/// Copies the loadable segments of an ELF64 `image` to their physical addresses, as Linux wants it:
/// its entry point is a physical address too. Nothing is written unless every header is sound;
/// `name` goes into the errors.
pub(super) fn load(memory: &GuestMemory, image: &[u8], name: &str) -> Result<Loaded, BootError> {
    if class(image, name)? != ELFCLASS64 {
        return Err(not_a_kernel(
            name,
            "it is a 32-bit ELF file and has no multiboot header",
        ));
    }
    let program = Program::read::<FileHeader64<LittleEndian>>(image, name)?;
    let end = segment::check(&program.segments(), image, memory, name)?;
    let entry = program.physical_entry(name)?;
    // An offset of 0 keeps the addresses and makes linux-loader skip the image's notes, where it
    // would look for another boot protocol.
    Elf::load(memory, Some(GuestAddress(0)), &mut Cursor::new(image), None).map_err(|source| {
        BootError::Copy {
            kernel: name.to_owned(),
            source,
        }
    })?;
    Ok(Loaded { entry, end })
}

/// Copies the loadable segments of an `image` of either class to their physical addresses; its
/// entry point may be a virtual address.
pub(super) fn load_any_class(
    memory: &GuestMemory,
    image: &[u8],
    name: &str,
) -> Result<Loaded, BootError> {
    let program = match class(image, name)? {
        ELFCLASS32 => Program::read::<FileHeader32<LittleEndian>>(image, name)?,
        _ => Program::read::<FileHeader64<LittleEndian>>(image, name)?,
    };
    let segments = program.segments();
    let end = segment::check(&segments, image, memory, name)?;
    let entry = match program.virtual_entry() {
        Some(entry) => entry,
        None => program.physical_entry(name)?,
    };
    for segment in segments {
        segment.copy(image, memory);
    }
    Ok(Loaded { entry, end })
}

/// The class of a little-endian image.
fn class(image: &[u8], name: &str) -> Result<FileClass, BootError> {
    if image.is_empty() {
        return Err(BootError::Empty {
            kernel: name.to_owned(),
        });
    }
    if !image.starts_with(&ELFMAG) {
        return Err(not_a_kernel(name, "it does not start as an ELF file"));
    }
    let &[_, _, _, _, class, data, ..] = image else {
        return Err(truncated(image, size_of::<Ident>(), name));
    };
    if data != ELFDATA2LSB.0 {
        return Err(not_a_kernel(name, "it is a big-endian ELF file"));
    }
    match FileClass(class) {
        class @ (ELFCLASS32 | ELFCLASS64) => Ok(class),
        _ => Err(not_a_kernel(name, "it is an ELF file of no known class")),
    }
}

/// What the headers say, of either class.
struct Program {
    entry: u64,
    /// The loadable segments that take memory and their virtual addresses, in ascending order of
    /// physical address.
    loadable: Vec<(Segment, u64)>,
}

impl Program {
    fn read<H: FileHeader<Endian = LittleEndian>>(
        image: &[u8],
        name: &str,
    ) -> Result<Self, BootError> {
        let Ok((header, _)) = pod::from_bytes::<H>(image) else {
            return Err(truncated(image, size_of::<H>(), name));
        };
        let machine = if header.is_class_64() {
            EM_X86_64
        } else {
            EM_386
        };
        if header.e_machine(LE) != machine {
            return Err(not_a_kernel(name, "it is for another processor"));
        }
        if ![ET_EXEC, ET_DYN].contains(&header.e_type(LE)) {
            return Err(not_a_kernel(name, "it is an object file or a core dump"));
        }
        Ok(Self {
            entry: header.e_entry(LE).into(),
            loadable: loadable(header, image, name)?,
        })
    }

    fn segments(&self) -> Vec<Segment> {
        self.loadable.iter().map(|(segment, _)| *segment).collect()
    }

    /// The entry point, which is a physical address.
    fn physical_entry(&self, name: &str) -> Result<u64, BootError> {
        let held = self
            .loadable
            .iter()
            .any(|(segment, _)| segment.holds(self.entry));
        held.then_some(self.entry)
            .ok_or_else(|| broken(name, "the entry point lies in no loaded segment"))
    }

    /// The physical address of the entry point, if it is a virtual one.
    fn virtual_entry(&self) -> Option<u64> {
        self.loadable.iter().find_map(|(segment, address)| {
            let offset = self.entry.checked_sub(*address)?;
            (offset < segment.file_size).then(|| segment.start + offset)
        })
    }
}

fn loadable<H: FileHeader<Endian = LittleEndian>>(
    header: &H,
    image: &[u8],
    name: &str,
) -> Result<Vec<(Segment, u64)>, BootError> {
    let (offset, count) = (header.e_phoff(LE).into(), header.e_phnum(LE));
    if count == 0 {
        return Err(broken(name, "it has no program headers"));
    }
    if usize::from(header.e_phentsize(LE)) != size_of::<H::ProgramHeader>() {
        return Err(broken(name, "its program headers have a wrong size"));
    }
    if offset < size_of::<H>() as u64 {
        return Err(broken(
            name,
            "its program headers lie inside the file header",
        ));
    }
    let size = usize::from(count) * size_of::<H::ProgramHeader>();
    reaches(image, offset.checked_add(size as u64), name)?;
    let headers = usize::try_from(offset)
        .ok()
        .and_then(|offset| image.get(offset..))
        .and_then(|bytes| pod::slice_from_bytes::<H::ProgramHeader>(bytes, count.into()).ok());
    let (headers, _) = headers.ok_or_else(|| truncated(image, size, name))?;
    let mut loadable: Vec<_> = headers
        .iter()
        .filter(|header| header.p_type(LE) == PT_LOAD)
        .map(|header| {
            let segment = Segment {
                offset: header.p_offset(LE).into(),
                file_size: header.p_filesz(LE).into(),
                start: header.p_paddr(LE).into(),
                memory_size: header.p_memsz(LE).into(),
            };
            (segment, header.p_vaddr(LE).into())
        })
        .filter(|(segment, _)| segment.memory_size > 0 || segment.file_size > 0)
        .collect();
    loadable.sort_by_key(|(segment, _)| segment.start);
    Ok(loadable)
}

fn truncated(image: &[u8], needed: usize, name: &str) -> BootError {
    BootError::Truncated {
        kernel: name.to_owned(),
        needed: needed as u64,
        length: image.len() as u64,
    }
}

fn not_a_kernel(name: &str, found: &'static str) -> BootError {
    BootError::NotAKernel {
        kernel: name.to_owned(),
        found,
    }
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
