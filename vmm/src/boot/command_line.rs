//! The kernel's command line: what it may be, and where it goes.

use vm_memory::{Bytes, GuestAddress};

use super::BootError;
use crate::layout;
use crate::memory::GuestMemory;

/// The longest there is room for, its NUL not counted.
pub(super) const LONGEST: usize = layout::COMMAND_LINE_SIZE - 1;

/// Writes `text` with a NUL behind it to [`layout::COMMAND_LINE`]; the kernel takes `most` bytes.
pub(super) fn write(memory: &GuestMemory, text: &str, most: usize) -> Result<(), BootError> {
    check(text, most)?;
    memory
        .write_slice(
            &[text.as_bytes(), b"\0"].concat(),
            GuestAddress(layout::COMMAND_LINE),
        )
        .expect("low memory is RAM in every machine");
    Ok(())
}

/// That `text` has at most `most` bytes and is plain: the guest shall read what the user typed.
pub(super) fn check(text: &str, most: usize) -> Result<(), BootError> {
    let most = most.min(LONGEST);
    if text.len() > most {
        return Err(BootError::CommandLineTooLong {
            length: text.len(),
            most,
        });
    }
    if let Some(character) = text.chars().find(|c| !matches!(c, ' '..='~')) {
        return Err(BootError::CommandLineCharacter { character });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory;

    #[test]
    fn it_ends_with_a_nul() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        write(&memory, "scenario=ping cpus=4", LONGEST).unwrap();
        write(&memory, "scenario=ping cpus", LONGEST).unwrap();
        let mut line = [0; 19];
        memory
            .read_slice(&mut line, GuestAddress(layout::COMMAND_LINE))
            .unwrap();
        assert_eq!(&line, b"scenario=ping cpus\0");
    }

    #[test]
    fn it_must_fit_and_be_plain() {
        let memory = memory::create(memory::MIN_SIZE).unwrap();
        assert!(write(&memory, &"x".repeat(2047), usize::MAX).is_ok());
        assert!(matches!(
            write(&memory, &"x".repeat(2048), usize::MAX),
            Err(BootError::CommandLineTooLong {
                length: 2048,
                most: 2047
            })
        ));
        assert!(matches!(
            write(&memory, "four", 3),
            Err(BootError::CommandLineTooLong { length: 4, most: 3 })
        ));
        for bad in ["a\0b", "a\nb", "caf\u{e9}"] {
            let refusal = write(&memory, bad, LONGEST).unwrap_err();
            assert!(
                matches!(refusal, BootError::CommandLineCharacter { .. }),
                "{bad:?}"
            );
            assert!(!refusal.to_string().contains('\n'));
        }
    }
}
