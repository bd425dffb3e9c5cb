//! QEMU's isa-debug-exit: a write ends the run (QEMU, hw/misc/debugexit.c).

/// Its ports.
pub const PORTS: u16 = 4;

/// The exit code of a write: the value with a one appended, so that it is never 0.
#[must_use]
pub fn code(data: &[u8]) -> u32 {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(data) {
        *to = *from;
    }
    u32::from_le_bytes(bytes) << 1 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_odd() {
        assert_eq!(code(&[0]), 1);
        assert_eq!(code(&[1]), 3);
        assert_eq!(code(&[0x10, 0, 0, 0]), 0x21);
    }

    #[test]
    fn any_width_has_a_code() {
        assert_eq!(code(&[]), 1);
        assert_eq!(code(&[0x34, 0x12]), 0x2469);
        assert_eq!(code(&[0xFF; 8]), 0xFFFF_FFFF);
    }
}
