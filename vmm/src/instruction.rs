//! The instruction that a guest stopped at, in words.

use iced_x86::{Decoder, DecoderOptions, Formatter, Instruction, IntelFormatter};
use vm_memory::{Bytes, GuestAddress};

use crate::layout::PAGE_SIZE;
use crate::machine::Position;
use crate::memory::GuestMemory;

/// Longest instruction in bytes (SDM Vol. 2A, 2.3.11).
const LONGEST: usize = 15;

/// The instruction at a position, as Intel writes it, with its bytes; `None` if its memory cannot
/// be read. One that goes on in another page is shown by the bytes in its first.
#[must_use]
pub fn at(position: &Position, memory: &GuestMemory) -> Option<String> {
    let address = position.code?;
    let in_page = usize::try_from(PAGE_SIZE - address % PAGE_SIZE).ok()?;
    let mut bytes = [0; LONGEST];
    let bytes = bytes.get_mut(..LONGEST.min(in_page))?;
    memory.read_slice(bytes, GuestAddress(address)).ok()?;
    Some(text(bytes, position.bits, position.rip))
}

fn text(bytes: &[u8], bits: u32, rip: u64) -> String {
    let mut decoder = Decoder::with_ip(bits, bytes, rip, DecoderOptions::NONE);
    let instruction: Instruction = decoder.decode();
    let hexadecimal = |bytes: &[u8]| {
        let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        bytes.join(" ")
    };
    if instruction.is_invalid() {
        return hexadecimal(bytes);
    }
    let mut words = String::new();
    IntelFormatter::new().format(&instruction, &mut words);
    let used = bytes.get(..instruction.len()).unwrap_or(bytes);
    format!("`{words}` ({})", hexadecimal(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_named_with_its_bytes() {
        let bytes = [0xF0, 0x48, 0x0F, 0xC7, 0x0F, 0x90];
        let shown = text(&bytes, 64, 0x1000);
        assert_eq!(shown, "`lock cmpxchg16b [rdi]` (f0 48 0f c7 0f)");
    }

    #[test]
    fn what_is_no_instruction_is_shown_as_bytes() {
        assert_eq!(text(&[0x0F, 0xFF], 64, 0), "0f ff");
        assert_eq!(text(&[0x06, 0x90], 64, 0), "06 90");
    }
}
