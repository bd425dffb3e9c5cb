//! What the VMM is told: where a workload begins and ends, what came out, failures, and the end.
//!
//! One line each, written to a page of memory: `begin NAME key=value ...`, `end key=value ...`, `mark`,
//! `result NAME key=value ...`, `fail NAME text`, `exit N`. The thread that writes is pinned, since the VMM puts
//! lines together by processor.

use std::fmt::{self, Write};
use std::io;

use crate::marker_page;

/// Longest line that the VMM takes, the newline not counted.
pub(crate) const LONGEST_LINE: usize = 1000;

/// The marker channel, open to the thread that opened it.
#[derive(Clone, Copy)]
pub(crate) struct Marker(());

impl Marker {
    /// Opens the channel to the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        marker_page::open().map(|()| Self(()))
    }

    /// A workload begins; `labels` tell this one from the others of its name.
    pub(crate) fn begin(self, name: &str, labels: fmt::Arguments<'_>) {
        write(format_args!("begin {name} {labels}"));
    }

    /// The moment of what begins or ends next, unless there is another mark before that.
    pub(crate) fn mark(self) {
        write(format_args!("mark"));
    }

    /// It ends with these values.
    pub(crate) fn end(self, values: fmt::Arguments<'_>) {
        write(format_args!("end {values}"));
    }

    /// A result that belongs to no phase, or could not be known before its end.
    pub(crate) fn result(self, name: &str, values: fmt::Arguments<'_>) {
        write(format_args!("result {name} {values}"));
    }

    /// Something is wrong.
    pub(crate) fn fail(self, name: &str, text: &str) {
        write(format_args!("fail {name} {text}"));
    }

    /// Ends the machine, unless nobody listens.
    pub(crate) fn exit(self, status: u8) {
        write(format_args!("exit {status}"));
    }
}

fn write(text: fmt::Arguments<'_>) {
    let mut line = Line::new();
    marker_page::write(line.set(text));
}

/// One line as the VMM takes it: printable ASCII, cut to the longest. It allocates nothing, as what
/// is written between two readings must not.
struct Line {
    bytes: [u8; LONGEST_LINE + 1],
    length: usize,
}

impl Line {
    const fn new() -> Self {
        Self {
            bytes: [b'\n'; LONGEST_LINE + 1],
            length: 0,
        }
    }

    fn set(&mut self, text: fmt::Arguments<'_>) -> &[u8] {
        self.length = 0;
        // Writing stops where the line is full: a cut line tells more than none.
        let _ = self.write_fmt(text);
        self.bytes[self.length] = b'\n';
        &self.bytes[..=self.length]
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            if self.length == LONGEST_LINE {
                return Err(fmt::Error);
            }
            let printable = matches!(byte, b' '..=b'~');
            self.bytes[self.length] = if printable { byte } else { b' ' };
            self.length += 1;
        }
        Ok(())
    }
}

/// How long `text` is, in bytes.
pub(crate) fn length(text: fmt::Arguments<'_>) -> usize {
    struct Length(usize);
    impl Write for Length {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut length = Length(0);
    // Counting does not fail.
    let _ = length.write_fmt(text);
    length.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_printable_line() {
        let mut line = Line::new();
        let text = line.set(format_args!("begin munmap sharers={}", 1));
        assert_eq!(text, b"begin munmap sharers=1\n");
        assert_eq!(
            line.set(format_args!("fail init a\nb\u{e9}")),
            b"fail init a b  \n"
        );
        let text = line.set(format_args!("{:2000}", 1));
        assert_eq!((text.len(), text.last()), (LONGEST_LINE + 1, Some(&b'\n')));
    }

    #[test]
    fn lengths_are_in_bytes() {
        assert_eq!(length(format_args!("{}={}", "res", 10)), 6);
    }
}
