//! The kernel's own counts of interrupts: rows of /proc/interrupts.
//!
//! A row that is not there counts as zeros: newer kernels leave out what never happened.

use std::fmt::{self, Write};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use serde::Serialize;

/// A row: what the kernel counts for each processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// Rescheduling interrupts.
    Res,
    /// Function-call interrupts.
    Cal,
    /// Non-maskable interrupts.
    Nmi,
    /// Interrupts that a processor sends itself to leave NMI or other delicate context.
    Iwi,
    /// TLB flushes asked for by another processor; each came with a function call.
    Tlb,
    /// Local timer interrupts, which are no IPIs.
    Loc,
}

impl Row {
    /// Every row: first those that count what is injected.
    pub(crate) const ALL: [Self; 6] = [
        Self::Res,
        Self::Cal,
        Self::Nmi,
        Self::Iwi,
        Self::Tlb,
        Self::Loc,
    ];

    /// The row's name in /proc/interrupts.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Res => "RES",
            Self::Cal => "CAL",
            Self::Tlb => "TLB",
            Self::Nmi => "NMI",
            Self::Iwi => "IWI",
            Self::Loc => "LOC",
        }
    }
}

/// /proc/interrupts, open. Reading it again allocates nothing: memory given back would be one more
/// reason for IPIs, in the middle of what is counted.
pub(crate) struct Interrupts {
    file: File,
    text: Vec<u8>,
}

impl Interrupts {
    /// Opens it.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self {
            file: File::open("/proc/interrupts")?,
            // Read in one piece where it fits: the rows shall be of one moment, or nearly.
            text: Vec::with_capacity(1 << 18),
        })
    }

    /// Replaces `counts` by what has been counted since the machine started.
    pub(crate) fn read(&mut self, counts: &mut Counts) -> io::Result<()> {
        self.text.clear();
        self.file.seek(SeekFrom::Start(0))?;
        self.file.read_to_end(&mut self.text)?;
        counts.parse(&String::from_utf8_lossy(&self.text));
        Ok(())
    }
}

/// What was counted, for each row and processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts([Vec<u64>; Row::ALL.len()]);

impl Counts {
    fn parse(&mut self, text: &str) {
        let mut lines = text.lines();
        let cpus = lines
            .next()
            .map_or(0, |header| header.split_whitespace().count());
        for row in &mut self.0 {
            row.clear();
        }
        for (name, counts) in lines.filter_map(|line| line.split_once(':')) {
            if let Some(row) = Row::ALL.into_iter().find(|row| row.name() == name.trim()) {
                let counts = counts.split_whitespace().take(cpus);
                self.0[row as usize].extend(counts.map_while(|count| count.parse::<u64>().ok()));
            }
        }
        for row in &mut self.0 {
            row.resize(cpus, 0);
        }
    }

    /// What one row has for each processor.
    pub(crate) fn row(&self, row: Row) -> &[u64] {
        &self.0[row as usize]
    }

    /// What has been counted since `earlier`, for each processor.
    fn row_since<'a>(&'a self, earlier: &'a Self, row: Row) -> impl Iterator<Item = u64> + 'a {
        let pairs = self.row(row).iter().zip(earlier.row(row));
        pairs.map(|(later, earlier)| later.wrapping_sub(*earlier))
    }

    /// What has been counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self(Row::ALL.map(|row| self.row_since(earlier, row).collect()))
    }

    /// Takes one row of another reading in place of its own.
    pub(crate) fn replace(&mut self, row: Row, by: &Self) {
        self.0[row as usize].clone_from(&by.0[row as usize]);
    }

    /// Whether nothing was counted since `earlier` but timer interrupts.
    pub(crate) fn is_quiet_since(&self, earlier: &Self) -> bool {
        let mut rows = Row::ALL.into_iter().filter(|row| *row != Row::Loc);
        rows.all(|row| self.row(row) == earlier.row(row))
    }
}

/// The difference of two readings as values of a marker line: ` res=0,3,3` has a count for each
/// processor.
pub(crate) struct Lists<'a> {
    pub(crate) later: &'a Counts,
    pub(crate) earlier: &'a Counts,
    /// How many rows, of [`Row::ALL`].
    pub(crate) rows: usize,
}

impl fmt::Display for Lists<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in Row::ALL.into_iter().take(self.rows) {
            f.write_char(' ')?;
            for letter in row.name().chars() {
                f.write_char(letter.to_ascii_lowercase())?;
            }
            for (cpu, count) in self.later.row_since(self.earlier, row).enumerate() {
                write!(f, "{}{count}", if cpu == 0 { '=' } else { ',' })?;
            }
        }
        Ok(())
    }
}

/// Every row with its counts by processor.
impl Serialize for Counts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(Row::ALL.map(|row| (row.name(), self.row(row))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "           CPU0       CPU1       \n\
                          4:          0         87   IO-APIC   4-edge      ttyS0\n\
                        NMI:          1          2   Non-maskable interrupts\n\
                        LOC:       1000       2000   Local timer interrupts\n\
                        RES:         30          4   Rescheduling interrupts\n\
                        TLB:          0          9   TLB shootdowns\n\
                        ERR:          5\n\
                        MIS:          0\n";

    fn counts(text: &str) -> Counts {
        // What an earlier reading left there must not matter.
        let mut counts = Counts::default();
        counts.parse(&TEXT.replace("CPU1", "CPU1  CPU2"));
        counts.parse(text);
        counts
    }

    #[test]
    fn rows_are_found_by_name_and_a_missing_one_is_zeros() {
        let counts = counts(TEXT);
        assert_eq!(counts.row(Row::Res), [30, 4]);
        assert_eq!(counts.row(Row::Loc), [1000, 2000]);
        assert_eq!(counts.row(Row::Cal), [0, 0]);
        assert_eq!(counts.row(Row::Nmi), [1, 2]);
    }

    #[test]
    fn a_difference_tells_what_moved() {
        let earlier = counts(TEXT);
        let ticked = counts(&TEXT.replace("2000", "2500"));
        assert!(ticked.is_quiet_since(&earlier));
        let later = counts(&TEXT.replace("30  ", "33  ").replace("2000", "2500"));
        assert!(!later.is_quiet_since(&earlier));
        let difference = later.since(&earlier);
        assert_eq!(difference.row(Row::Res), [3, 0]);
        assert_eq!(difference.row(Row::Loc), [0, 500]);
        let mut mixed = difference.clone();
        mixed.replace(Row::Loc, &earlier);
        assert_eq!(mixed.row(Row::Loc), [1000, 2000]);
        assert_eq!(mixed.row(Row::Res), [3, 0]);
    }

    #[test]
    fn lists_have_a_count_for_each_processor() {
        let (earlier, later) = (counts(TEXT), counts(&TEXT.replace("30  ", "33  ")));
        let lists = |rows| {
            let (later, earlier) = (&later, &earlier);
            Lists {
                later,
                earlier,
                rows,
            }
            .to_string()
        };
        assert_eq!(lists(2), " res=3,0 cal=0,0");
        assert_eq!(lists(6), " res=3,0 cal=0,0 nmi=0,0 iwi=0,0 tlb=0,0 loc=0,0");
    }
}
