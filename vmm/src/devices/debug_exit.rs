//! QEMU's isa-debug-exit: a write ends the machine with an exit code.

/// The exit code for a write of `data`: twice the value and one, so that it is never 0.
#[must_use]
pub fn code(data: &[u8]) -> u32 {
    let mut value = [0; 4];
    for (to, from) in value.iter_mut().zip(data) {
        *to = *from;
    }
    u32::from_le_bytes(value) << 1 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_odd() {
        assert_eq!(code(&[0]), 1);
        assert_eq!(code(&[1, 0, 0, 0]), 3);
        assert_eq!(code(&[0xFF; 8]), 0xFFFF_FFFF);
        assert_eq!(code(&[]), 1);
    }
}
