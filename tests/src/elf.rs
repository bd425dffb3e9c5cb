//! The smallest kernel: machine code behind an ELF64 header and one program header.

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// A kernel of one segment.
#[derive(Clone, Debug)]
pub struct Elf(Vec<u8>);

impl Elf {
    /// Where the code is loaded and entered.
    pub const START: u64 = 0x20_0000;

    /// A kernel that is `code`.
    #[must_use]
    pub fn new(code: &[u8]) -> Self {
        let mut file = Vec::with_capacity(HEADER + PROGRAM_HEADER + code.len());
        // Identification: ELF, 64 bits, little-endian, version 1, no particular system.
        file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file.extend(2u16.to_le_bytes()); // type: executable
        file.extend(62u16.to_le_bytes()); // machine: x86-64
        file.extend(1u32.to_le_bytes()); // version
        file.extend(Self::START.to_le_bytes()); // entry
        file.extend((HEADER as u64).to_le_bytes()); // program headers
        file.extend(0u64.to_le_bytes()); // section headers: none
        file.extend(0u32.to_le_bytes()); // flags
        for size in [64u16, 56, 1, 0, 0, 0] {
            // This header; a program header and their number; section headers, none.
            file.extend(size.to_le_bytes());
        }
        file.extend(1u32.to_le_bytes()); // type: load
        file.extend(7u32.to_le_bytes()); // flags: read, write, execute
        let size = code.len() as u64;
        // Offset, virtual and physical address, size in the file and in memory, alignment.
        let offset = (HEADER + PROGRAM_HEADER) as u64;
        for field in [offset, Self::START, Self::START, size, size, 1] {
            file.extend(field.to_le_bytes());
        }
        file.extend(code);
        Self(file)
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}
