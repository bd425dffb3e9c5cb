//! A trace as a file to be read: nothing in it is trusted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::vec;

use super::Origin;
use super::format::{
    BLOCK_HEAD_SIZE, BlockHead, Content, FILE_HEAD_SIZE, MAGIC, VERSION, file_head,
};
use super::header::{End, Header};
use super::mark::Mark;
use super::record::{RECORD_SIZE, Record, Stamped};

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read {path:?}: {source}")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is no trace.
    #[error("{0:?} is no trace: give a file that `vapic run --trace` has written")]
    NoTrace(PathBuf),
    /// It is of another version.
    #[error(
        "{path:?} is a trace of version {version}, this vapic reads version {VERSION}: use the \
         vapic that wrote it"
    )]
    Version {
        /// Its path.
        path: PathBuf,
        /// Its version.
        version: u32,
    },
    /// It is damaged before its end.
    #[error("{path:?} is damaged at byte {at}: {what}; record it again")]
    Damaged {
        /// Its path.
        path: PathBuf,
        /// Where its damaged block begins.
        at: u64,
        /// What is wrong.
        what: &'static str,
    },
}

/// A block that is in the file as a whole.
#[derive(Clone, Copy, Debug)]
struct Block {
    at: u64,
    head: BlockHead,
}

/// A recorded run.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    file: File,
    /// The blocks of records of each thread, in order.
    records: BTreeMap<Origin, Vec<Block>>,
    /// What was known when it began.
    pub header: Header,
    /// The guest's marker lines.
    pub marks: Vec<Mark>,
    /// How it ended; a process that was killed did not say.
    pub end: Option<End>,
    /// Records that were lost, as far as the file tells.
    pub lost_records: u64,
}

impl Trace {
    /// Opens a trace and reads all of it but its records.
    ///
    /// A file that ends in the middle of a block is taken up to the last whole one.
    ///
    /// # Errors
    ///
    /// [`TraceError`].
    pub fn open(path: &Path) -> Result<Self, TraceError> {
        let unreadable = |source| TraceError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let size = file.metadata().map_err(unreadable)?.len();
        let no_trace = || TraceError::NoTrace(path.to_owned());
        let mut head = [0; FILE_HEAD_SIZE];
        file.read_exact_at(&mut head, 0)
            .map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => no_trace(),
                _ => unreadable(error),
            })?;
        if head != file_head() {
            let version = u32::from_le_bytes([head[8], head[9], head[10], head[11]]);
            return Err(if head.starts_with(&MAGIC) {
                TraceError::Version {
                    path: path.to_owned(),
                    version,
                }
            } else {
                no_trace()
            });
        }

        let reading = Reading { path, file: &file };
        let mut records = BTreeMap::<Origin, Vec<Block>>::new();
        let (mut header, mut marks, mut end, mut lost_records) = (None, Vec::new(), None, 0);
        let mut at = FILE_HEAD_SIZE as u64;
        while let Some(block) = reading.head(at, size)? {
            let head = block.head;
            lost_records = lost_records.max(head.lost);
            match head.content {
                Content::Header => header = Some(reading.json(block)?),
                Content::Records => records.entry(head.origin).or_default().push(block),
                Content::Mark => marks.push(reading.json(block)?),
                Content::End => end = Some(reading.json(block)?),
            }
            at += BLOCK_HEAD_SIZE as u64 + u64::from(head.packed);
        }
        let header: Header = header.ok_or_else(no_trace)?;
        let vcpus = header.run.cpus;
        if let Some(blocks) = records
            .iter()
            .find(|(origin, _)| matches!(origin, Origin::Vcpu(vcpu) if *vcpu >= vcpus))
            .map(|(_, blocks)| blocks)
        {
            let at = blocks.first().map_or(0, |block| block.at);
            return Err(reading.damaged(at, "records of a vCPU that the run does not have"));
        }
        Ok(Self {
            path: path.to_owned(),
            records,
            header,
            marks,
            end,
            lost_records,
            file,
        })
    }

    /// Whose records there are.
    pub fn origins(&self) -> impl Iterator<Item = Origin> {
        self.records.keys().copied()
    }

    /// The events of one thread, in their order.
    ///
    /// # Errors
    ///
    /// Each item is one if its block is damaged; none follows it.
    pub fn events(&self, origin: Origin) -> Events<'_> {
        let blocks = self.records.get(&origin).map_or(&[][..], Vec::as_slice);
        Events {
            trace: self,
            blocks: blocks.iter(),
            records: Vec::new().into_iter(),
        }
    }

    /// The events of all threads by their stamps; those of one thread keep their order.
    ///
    /// # Errors
    ///
    /// As [`Self::events`].
    #[must_use]
    pub fn merged(&self) -> Merged<'_> {
        let mut streams: Vec<_> = self
            .records
            .keys()
            .map(|&origin| (origin, self.events(origin)))
            .collect();
        let mut next = BinaryHeap::new();
        let mut failed = None;
        for (stream, (_, events)) in streams.iter_mut().enumerate() {
            Merged::advance(events, stream, 0, &mut next, &mut failed);
        }
        Merged {
            streams,
            next,
            failed,
        }
    }

    /// Number of records in the file.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        let blocks = self.records.values().flatten();
        blocks
            .map(|block| u64::from(block.head.unpacked) / RECORD_SIZE as u64)
            .sum()
    }

    fn decode(&self, block: Block) -> Result<Vec<Stamped>, TraceError> {
        let reading = Reading {
            path: &self.path,
            file: &self.file,
        };
        let bytes = reading.content(block)?;
        let (records, rest) = bytes.as_chunks::<RECORD_SIZE>();
        let decoded = records
            .iter()
            .map(|bytes| Record::from_bytes(bytes).decode());
        let decoded: Option<Vec<_>> = decoded.collect();
        decoded
            .filter(|_| rest.is_empty())
            .ok_or_else(|| reading.damaged(block.at, "a record that has no meaning"))
    }
}

/// A file while its blocks are read.
struct Reading<'a> {
    path: &'a Path,
    file: &'a File,
}

impl Reading<'_> {
    fn damaged(&self, at: u64, what: &'static str) -> TraceError {
        TraceError::Damaged {
            path: self.path.to_owned(),
            at,
            what,
        }
    }

    fn read(&self, bytes: &mut [u8], at: u64) -> Result<(), TraceError> {
        self.file
            .read_exact_at(bytes, at)
            .map_err(|source| TraceError::Unreadable {
                path: self.path.to_owned(),
                source,
            })
    }

    /// The block at `at`, unless the file of `size` bytes ends before it does.
    fn head(&self, at: u64, size: u64) -> Result<Option<Block>, TraceError> {
        let content = at + BLOCK_HEAD_SIZE as u64;
        if content > size {
            return Ok(None);
        }
        let mut bytes = [0; BLOCK_HEAD_SIZE];
        self.read(&mut bytes, at)?;
        let head = BlockHead::from_bytes(&bytes)
            .ok_or_else(|| self.damaged(at, "a block that has no meaning"))?;
        Ok((content + u64::from(head.packed) <= size).then_some(Block { at, head }))
    }

    fn content(&self, block: Block) -> Result<Vec<u8>, TraceError> {
        let mut packed = vec![0; block.head.packed as usize];
        self.read(&mut packed, block.at + BLOCK_HEAD_SIZE as u64)?;
        if crc32fast::hash(&packed) != block.head.crc {
            return Err(self.damaged(block.at, "its checksum does not match"));
        }
        lz4_flex::block::decompress(&packed, block.head.unpacked as usize)
            .ok()
            .filter(|bytes| bytes.len() == block.head.unpacked as usize)
            .ok_or_else(|| self.damaged(block.at, "it does not unpack"))
    }

    fn json<T: serde::de::DeserializeOwned>(&self, block: Block) -> Result<T, TraceError> {
        serde_json::from_slice(&self.content(block)?)
            .map_err(|_| self.damaged(block.at, "its JSON is not what it should be"))
    }
}

/// The events of one thread; see [`Trace::events`].
pub struct Events<'a> {
    trace: &'a Trace,
    blocks: std::slice::Iter<'a, Block>,
    records: vec::IntoIter<Stamped>,
}

impl Iterator for Events<'_> {
    type Item = Result<Stamped, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(stamped) = self.records.next() {
                return Some(Ok(stamped));
            }
            match self.trace.decode(*self.blocks.next()?) {
                Ok(records) => self.records = records.into_iter(),
                Err(error) => {
                    self.blocks = [].iter();
                    return Some(Err(error));
                }
            }
        }
    }
}

/// The events of all threads; see [`Trace::merged`].
pub struct Merged<'a> {
    streams: Vec<(Origin, Events<'a>)>,
    /// The next event of each stream, by the stamp it is sorted under.
    next: BinaryHeap<Reverse<Next>>,
    failed: Option<TraceError>,
}

/// An event that waits for its turn, sorted by stamp and then by stream.
struct Next {
    at: u64,
    stream: usize,
    stamped: Stamped,
}

impl PartialEq for Next {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.stream) == (other.at, other.stream)
    }
}

impl Eq for Next {}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.stream).cmp(&(other.at, other.stream))
    }
}

impl Merged<'_> {
    /// Takes the next event of a stream, which is sorted no earlier than the one before it.
    fn advance(
        events: &mut Events<'_>,
        stream: usize,
        earliest: u64,
        next: &mut BinaryHeap<Reverse<Next>>,
        failed: &mut Option<TraceError>,
    ) {
        match events.next() {
            Some(Ok(stamped)) => next.push(Reverse(Next {
                at: stamped.at.0.max(earliest),
                stream,
                stamped,
            })),
            Some(Err(error)) => *failed = Some(error),
            None => {}
        }
    }
}

impl Iterator for Merged<'_> {
    type Item = Result<(Origin, Stamped), TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(error) = self.failed.take() {
            self.next.clear();
            return Some(Err(error));
        }
        let Reverse(Next {
            at,
            stream,
            stamped,
        }) = self.next.pop()?;
        let (origin, events) = &mut self.streams[stream];
        Self::advance(events, stream, at, &mut self.next, &mut self.failed);
        Some(Ok((*origin, stamped)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{Event, Tsc};
    use crate::trace::Policy;
    use crate::trace::format::write_block;
    use crate::trace::header::ClockFacts;

    fn file(blocks: &[(Origin, &[Record])]) -> tempfile::NamedTempFile {
        let mut bytes = file_head().to_vec();
        let header = Header {
            run: crate::observe::report::tests::run(2),
            clock: ClockFacts {
                start: 0,
                khz: 1_000_000,
                guest_offsets: Vec::new(),
            },
            policy: Policy::Drop,
            apic: None,
        };
        let header = serde_json::to_vec(&header).unwrap();
        write_block(&mut bytes, Content::Header, Origin::Devices, &header, 0).unwrap();
        for (origin, records) in blocks {
            let records: Vec<u8> = records
                .iter()
                .flat_map(|record| record.to_bytes())
                .collect();
            write_block(&mut bytes, Content::Records, *origin, &records, 3).unwrap();
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        file
    }

    fn ended(at: u64) -> Record {
        Record::of(&Event::Ended {
            vector: 0x40,
            level: false,
            at: Tsc(at),
        })
    }

    #[test]
    fn threads_are_merged_by_time_and_each_keeps_its_order() {
        let [one, two] = [Origin::Vcpu(0), Origin::Vcpu(1)];
        // The second of the first thread is older than the one before it: it waits behind that.
        let file = file(&[
            (one, &[ended(10), ended(5)]),
            (two, &[ended(7), ended(12)]),
            (one, &[ended(20)]),
        ]);
        let trace = Trace::open(file.path()).unwrap();
        assert_eq!((trace.record_count(), trace.lost_records), (5, 3));
        let merged: Vec<_> = trace
            .merged()
            .map(|item| {
                item.map(|(origin, stamped)| (origin, stamped.at.0))
                    .unwrap()
            })
            .collect();
        assert_eq!(
            merged,
            [(two, 7), (one, 10), (one, 5), (two, 12), (one, 20)]
        );
        assert_eq!(trace.events(one).count(), 3);
        assert_eq!(trace.events(Origin::Devices).count(), 0);
    }

    #[test]
    fn records_of_no_vcpu_or_of_no_meaning_are_damage() {
        let stranger = file(&[(Origin::Vcpu(2), &[ended(1)])]);
        assert!(matches!(
            Trace::open(stranger.path()),
            Err(TraceError::Damaged { .. })
        ));
        let meaningless = file(&[(Origin::Vcpu(0), &[ended(1), Record::default()])]);
        let trace = Trace::open(meaningless.path()).unwrap();
        let items: Vec<_> = trace.merged().collect();
        assert!(matches!(
            items.as_slice(),
            [Err(TraceError::Damaged { .. })]
        ));
    }
}
