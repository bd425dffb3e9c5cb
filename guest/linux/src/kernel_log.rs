//! The kernel's log, and the lines in it that complain about an APIC, a timer or the TSC.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context;

/// What such a line is about. Words are compared in lower case.
const SUBJECTS: &[&str] = &[
    "apic",
    "timer",
    "tsc",
    "clocksource",
    "irq",
    "nmi",
    "interrupt",
    "hpet",
    "smpboot",
    "csd",
    "rcu",
    "lockup",
];

/// Words of trouble in a line that is not marked as a warning.
const TROUBLES: &[&str] = &[
    "bug",
    "error",
    "fail",
    "unstable",
    "not work",
    "not functional",
    "doesn't work",
    "broken",
    "spurious",
    "stuck",
    "stall",
    "timed out",
    "timeout",
    "lockup",
    "unexpected",
    "lost",
];

/// Numerically greatest level that is a complaint whatever the words: KERN_WARNING.
const WARNING: u8 = 4;

/// The log, read up to some line.
pub(crate) struct KernelLog {
    file: File,
    /// Messages were overwritten before they were read.
    pub(crate) overwritten: bool,
}

impl KernelLog {
    /// The log from its beginning.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .context("cannot open the kernel's log, /dev/kmsg")?;
        Ok(Self {
            file,
            overwritten: false,
        })
    }

    /// The messages since the last call.
    pub(crate) fn messages(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        // Longer than any record; each read returns one.
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => messages.extend(Message::parse(&record[..length])),
                // Records were overwritten before they were read; the next read goes on after them.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.overwritten = true,
                Err(_) => break,
            }
        }
        messages
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    /// 0 is an emergency, 7 for debugging.
    level: u8,
    /// What it says.
    pub(crate) text: String,
}

impl Message {
    /// A record is `level,number,time,flags;text`, then lines for machines.
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        let record = String::from_utf8_lossy(record);
        let (prefix, text) = record.split_once(';')?;
        let priority: u32 = prefix.split(',').next()?.parse().ok()?;
        let text = text.lines().next()?.to_owned();
        // The upper bits tell who wrote it.
        let level = (priority & 7).to_le_bytes()[0];
        Some(Self { level, text })
    }

    /// Whether it complains about what this machine's devices are responsible for.
    pub(crate) fn complains(&self) -> bool {
        let text = self.text.to_lowercase();
        // What the kernel was told is no news of it.
        if text.contains("command line:") {
            return false;
        }
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        any(SUBJECTS) && (self.level <= WARNING || any(TROUBLES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complains(record: &str) -> bool {
        Message::parse(record.as_bytes())
            .expect("a record")
            .complains()
    }

    #[test]
    fn complaints_are_told_from_news() {
        assert!(complains(
            "6,1,0,-;APIC: timer doesn't work through the IO-APIC"
        ));
        assert!(complains("3,1,0,-;APIC error on CPU0: 00(40)"));
        assert!(complains(
            "4,1,0,-;clocksource: timekeeping watchdog: Marking clocksource 'tsc'\n SUBSYSTEM=x"
        ));
        assert!(complains("4,1,0,-;TSC deadline timer disabled"));
        assert!(!complains(
            "6,1,0,-;APIC: Switched APIC routing to: physical x2apic"
        ));
        assert!(!complains("6,1,0,-;tsc: Detected 2000.000 MHz processor"));
        assert!(!complains("4,1,0,-;x86/cpu: mitigation off"));
        assert!(!complains(
            "5,1,0,-;Kernel command line: vapic.complaints=fail"
        ));
    }

    #[test]
    fn a_record_has_a_level_and_one_line_of_text() {
        let message = Message::parse(b"30,5,17,-;hello; world\n DEVICE=+x\n").expect("a record");
        assert_eq!((message.level, message.text.as_str()), (6, "hello; world"));
        assert_eq!(Message::parse(b"no record"), None);
    }
}
