//! A trace as a file to be read: nothing in it is trusted.

use std::collections::BTreeMap;
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
use super::merged::Merged;
use super::record::{RECORD_SIZE, Record, Stamped};
use crate::vm::MAX_VCPUS;

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// It is no trace.
    #[error("{0:?} is no trace: give a file that `vapic run --trace` has written")]
    NoTrace(PathBuf),
    /// It has nothing in it.
    #[error("{0:?} is empty: its run ended before the machine was built; record it again")]
    Empty(PathBuf),
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
        let metadata = file.metadata().map_err(unreadable)?;
        let size = metadata.len();
        let no_trace = || TraceError::NoTrace(path.to_owned());
        if metadata.is_file() && size == 0 {
            return Err(TraceError::Empty(path.to_owned()));
        }
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
                Content::Header => header = Some(reading.json::<Header>(block)?.printable()),
                Content::Records => records.entry(head.origin).or_default().push(block),
                Content::Mark => marks.push(reading.json(block)?),
                Content::End => end = Some(reading.json::<End>(block)?.printable()),
            }
            at += BLOCK_HEAD_SIZE as u64 + u64::from(head.packed);
        }
        let header: Header = header.ok_or_else(no_trace)?;
        let vcpus = header.run.cpus;
        if vcpus > MAX_VCPUS as usize {
            return Err(reading.damaged(FILE_HEAD_SIZE as u64, "more vCPUs than a machine has"));
        }
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
        Merged::new(self)
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
        // What a file system gives for what a host that crashed had not written yet.
        if bytes == [0; BLOCK_HEAD_SIZE] {
            return Ok(None);
        }
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

#[cfg(test)]
pub(super) mod tests;
