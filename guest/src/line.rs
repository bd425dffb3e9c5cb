//! One line of text in a fixed buffer, as the marker port and the console take it.

use core::fmt::{self, Write};

/// Longest line the marker port takes, the newline included.
const CAPACITY: usize = 1000;

/// Text that ends with a newline; what is beyond the longest line is cut off.
pub(crate) struct Line {
    bytes: [u8; CAPACITY],
    len: usize,
}

impl Line {
    /// Nothing written.
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; CAPACITY],
            len: 0,
        }
    }

    /// Replaces what was there by this text and a newline.
    pub(crate) fn set(&mut self, text: fmt::Arguments<'_>) -> &[u8] {
        self.len = 0;
        // Writing stops where the line is full: a cut line tells more than none.
        let _ = self.write_fmt(text);
        self.bytes[self.len] = b'\n';
        &self.bytes[..=self.len]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.len == CAPACITY - 1 {
                return Err(fmt::Error);
            }
            // A newline inside would end the marker, and the rest would be taken for another one.
            self.bytes[self.len] = if byte == b'\n' { b' ' } else { byte };
            self.len += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_one_newline() {
        let mut line = Line::new();
        assert_eq!(
            line.set(format_args!("begin ping mode={}", "xapic")),
            b"begin ping mode=xapic\n"
        );
        assert_eq!(line.set(format_args!("a\nb")), b"a b\n");
        assert_eq!(line.set(format_args!("")), b"\n");
    }

    #[test]
    fn never_grows_beyond_the_port_limit() {
        let mut line = Line::new();
        let text = line.set(format_args!("{:2000}", 1));
        assert_eq!((text.len(), text.last()), (1000, Some(&b'\n')));
    }
}
