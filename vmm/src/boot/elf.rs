//! ELF64 images (System V gABI, chapters 4 and 5): all headers are checked here, the copying is
//! linux-loader's, which trusts sizes and addresses more than a stranger's file deserves.

use std::io::{Read, Seek, SeekFrom};

use linux_loader::elf::{
    EI_CLASS, EI_DATA, ELFCLASS64, ELFDATA2LSB, EM_X86_64, ET_DYN, ET_EXEC, Elf64_Ehdr, Elf64_Phdr,
    PT_LOAD,
};
use linux_loader::loader::{Elf, KernelLoader};
use vm_memory::{ByteValued, GuestAddress, ReadVolatile};

use super::BootError;
use crate::layout;
use crate::memory::{self, GuestMemory};

const MAGIC: &[u8] = b"\x7fELF";
const HEADER_SIZE: u64 = size_of::<Elf64_Ehdr>() as u64;
const PROGRAM_HEADER_SIZE: u64 = size_of::<Elf64_Phdr>() as u64;

/// An ELF image in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Loaded {
    /// First instruction.
    pub(super) entry: u64,
    /// End of the highest segment.
    pub(super) end: u64,
}

/// Copies the loadable segments of `image` to their physical addresses. Nothing is written unless every header is sound; `name` goes into the errors.
pub(super) fn load<F>(memory: &GuestMemory, image: &mut F, name: &str) -> Result<Loaded, BootError>
where
    F: Read + ReadVolatile + Seek,
{
    let image_length = image
        .seek(SeekFrom::End(0))
        .map_err(|source| unreadable(name, source))?;
    let mut image = Image {
        bytes: image,
        length: image_length,
        name,
    };
    let header = image.header()?;
    let segments = image.segments(&header)?;
    for segment in &segments {
        image.check(segment, memory::low_end(memory))?;
    }
    // Or tens of thousands of headers could each copy the whole file to the same place.
    if segments
        .windows(2)
        .any(|pair| pair[0].p_paddr + pair[0].p_memsz > pair[1].p_paddr)
    {
        return Err(image.broken("two segments overlap"));
    }
    if !segments
        .iter()
        .any(|s| (s.p_paddr..s.p_paddr + s.p_filesz).contains(&header.e_entry))
    {
        return Err(image.broken("the entry point lies in no loaded segment"));
    }
    // An offset of 0 keeps the addresses and makes linux-loader skip the image's notes, where it
    // would look for another boot protocol.
    Elf::load(memory, Some(GuestAddress(0)), image.bytes, None).map_err(|source| {
        BootError::Copy {
            kernel: name.to_owned(),
            source,
        }
    })?;
    Ok(Loaded {
        entry: header.e_entry,
        end: segments
            .last()
            .map_or(0, |segment| segment.p_paddr + segment.p_memsz),
    })
}

fn unreadable(name: &str, source: std::io::Error) -> BootError {
    BootError::Unreadable {
        file: name.to_owned(),
        source,
    }
}

struct Image<'a, F> {
    bytes: &'a mut F,
    length: u64,
    name: &'a str,
}

impl<F: Read + Seek> Image<'_, F> {
    fn header(&mut self) -> Result<Elf64_Ehdr, BootError> {
        if self.length == 0 {
            return Err(BootError::Empty {
                kernel: self.name.to_owned(),
            });
        }
        let mut magic = [0; MAGIC.len()];
        if self.length >= MAGIC.len() as u64 {
            self.read_at(0, &mut magic)?;
        }
        if magic != MAGIC {
            return Err(self.not_a_kernel("it does not start as an ELF file"));
        }
        self.reaches(Some(HEADER_SIZE))?;
        let mut header = Elf64_Ehdr::default();
        self.read_at(0, header.as_mut_slice())?;

        if header.e_ident[EI_CLASS] != ELFCLASS64 {
            return Err(self.not_a_kernel("it is a 32-bit ELF file"));
        }
        if header.e_ident[EI_DATA] != ELFDATA2LSB {
            return Err(self.not_a_kernel("it is a big-endian ELF file"));
        }
        if header.e_machine != EM_X86_64 {
            return Err(self.not_a_kernel("it is for another processor"));
        }
        if header.e_type != ET_EXEC && header.e_type != ET_DYN {
            return Err(self.not_a_kernel("it is an object file or a core dump"));
        }
        Ok(header)
    }

    /// The loadable segments that take memory, in ascending order of physical address.
    fn segments(&mut self, header: &Elf64_Ehdr) -> Result<Vec<Elf64_Phdr>, BootError> {
        if header.e_phnum == 0 {
            return Err(self.broken("it has no program headers"));
        }
        if u64::from(header.e_phentsize) != PROGRAM_HEADER_SIZE {
            return Err(self.broken("its program headers have a wrong size"));
        }
        if header.e_phoff < HEADER_SIZE {
            return Err(self.broken("its program headers lie inside the file header"));
        }
        let table = u64::from(header.e_phnum) * PROGRAM_HEADER_SIZE;
        self.reaches(header.e_phoff.checked_add(table))?;

        let mut segments = Vec::new();
        for index in 0..u64::from(header.e_phnum) {
            let mut segment = Elf64_Phdr::default();
            self.read_at(
                header.e_phoff + index * PROGRAM_HEADER_SIZE,
                segment.as_mut_slice(),
            )?;
            if segment.p_type == PT_LOAD && (segment.p_memsz > 0 || segment.p_filesz > 0) {
                segments.push(segment);
            }
        }
        segments.sort_by_key(|segment| segment.p_paddr);
        Ok(segments)
    }

    fn check(&self, segment: &Elf64_Phdr, ram_end: u64) -> Result<(), BootError> {
        let kernel = || self.name.to_owned();
        self.reaches(segment.p_offset.checked_add(segment.p_filesz))?;
        if segment.p_filesz > segment.p_memsz {
            return Err(self.broken("a segment is larger in the file than in memory"));
        }
        let start = segment.p_paddr;
        let Some(end) = start.checked_add(segment.p_memsz) else {
            return Err(self.broken("a segment ends beyond the address space"));
        };
        if start < layout::HIGH_RAM_START {
            return Err(BootError::OverlapsLowMemory {
                kernel: kernel(),
                start,
            });
        }
        if end > ram_end {
            return Err(BootError::DoesNotFit {
                kernel: kernel(),
                end,
                ram_end,
            });
        }
        Ok(())
    }

    /// That the image has all bytes before `end`; `None` is an end beyond 64 bits.
    fn reaches(&self, end: Option<u64>) -> Result<(), BootError> {
        let needed = end.unwrap_or(u64::MAX);
        if needed > self.length {
            return Err(BootError::Truncated {
                kernel: self.name.to_owned(),
                needed,
                length: self.length,
            });
        }
        Ok(())
    }

    fn read_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), BootError> {
        self.bytes
            .seek(SeekFrom::Start(offset))
            .and_then(|_| self.bytes.read_exact(bytes))
            .map_err(|source| unreadable(self.name, source))
    }

    fn broken(&self, reason: &'static str) -> BootError {
        BootError::Broken {
            kernel: self.name.to_owned(),
            reason,
        }
    }

    fn not_a_kernel(&self, found: &'static str) -> BootError {
        BootError::NotAKernel {
            kernel: self.name.to_owned(),
            found,
        }
    }
}

#[cfg(test)]
#[path = "elf_tests.rs"]
mod tests;
