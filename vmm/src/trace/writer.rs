//! The thread that empties the rings into the file.

use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::{Duration, Instant};

use super::Origin;
use super::format::{Content, file_head, write_block};
use super::header::{End, Header};
use super::mark::{Mark, MarkSender};
use super::record::{RECORD_SIZE, Record};
use super::recorder::{self, Policy, Recorder, Shared, Source};
use crate::observe::report::Run;

/// How long the writer sleeps when there is little to write.
const NAP: Duration = Duration::from_millis(2);
/// Records that are worth a block of their own.
const WORTH_A_BLOCK: usize = 1 << 13;
/// How long fewer records wait: what a killed process loses at most, besides what its rings hold.
const LONGEST_WAIT: Duration = Duration::from_millis(100);
/// Most records of a block: 1 MiB.
const LARGEST_BLOCK: usize = 1 << 15;
/// Most marker lines between two looks at the rings: a guest may write them without end.
const MOST_MARKS: usize = 64;

/// How a run is to be traced.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to.
    pub file: Arc<File>,
    /// What a full ring costs.
    pub policy: Policy,
    /// Bytes of the file beyond which records are dropped.
    pub limit: u64,
    /// What the trace says of its run.
    pub run: Run,
}

/// The parts of a trace that is about to be recorded.
pub struct Tracer {
    /// The vCPUs' ends, in order.
    pub vcpus: Vec<Recorder>,
    /// The devices' end.
    pub devices: Recorder,
    /// Where marker lines go.
    pub marks: MarkSender,
    /// What writes it all.
    pub writer: Writer,
}

impl Tracer {
    /// Makes the rings of `vcpus` vCPUs and their devices.
    #[must_use]
    pub fn new(options: &Options, vcpus: usize) -> Self {
        let shared = Shared::default();
        let sources = vcpus + 1;
        let mut ends = (0..sources).map(|_| recorder::ring(sources, options.policy, &shared));
        let (devices, source) = ends.next().expect("there is at least one ring");
        let mut rings = vec![Ring::new(Origin::Devices, source)];
        let vcpus = ends
            .enumerate()
            .map(|(vcpu, (recorder, source))| {
                rings.push(Ring::new(Origin::Vcpu(vcpu), source));
                recorder
            })
            .collect();
        let (marks, received) = MarkSender::channel();
        Self {
            vcpus,
            devices,
            marks,
            writer: Writer {
                file: Arc::clone(&options.file),
                limit: options.limit,
                rings,
                marks: received,
                shared,
                written: 0,
                records: 0,
            },
        }
    }
}

struct Ring {
    origin: Origin,
    source: Source,
    flushed: Instant,
}

impl Ring {
    fn new(origin: Origin, source: Source) -> Self {
        Self {
            origin,
            source,
            flushed: Instant::now(),
        }
    }
}

/// Empties the rings into the file.
pub struct Writer {
    file: Arc<File>,
    limit: u64,
    rings: Vec<Ring>,
    marks: Receiver<Mark>,
    shared: Shared,
    written: u64,
    records: u64,
}

/// A trace whose run is over, but for its last block.
pub struct Finished {
    file: Arc<File>,
    /// Records in the file.
    pub records: u64,
    /// Records that were dropped.
    pub lost: u64,
    /// What kept the writer from writing on.
    pub failure: Option<io::Error>,
}

impl Writer {
    /// Writes the head of the file.
    ///
    /// # Errors
    ///
    /// Those of writing to the file.
    pub fn begin(&mut self, header: &Header) -> io::Result<()> {
        // What an earlier run wrote is replaced, unless it is a pipe, which has no length.
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.file.as_ref().write_all(&file_head())?;
        self.block(
            Content::Header,
            Origin::Devices,
            &serde_json::to_vec(header)?,
        )
    }

    /// To be set when the VM ends, so that nobody waits for room any more.
    #[must_use]
    pub fn ending(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.shared.ending)
    }

    /// Writes what the rings bring until `stop` is set and they are empty.
    #[must_use]
    pub fn run(mut self, stop: &AtomicBool) -> Finished {
        let failure = self.write_until(stop).err();
        let Self {
            file,
            records,
            shared,
            rings,
            ..
        } = self;
        // What still waits in a ring is lost if it could not be written.
        let left: usize = rings.iter().map(|ring| ring.source.ring.slots()).sum();
        Finished {
            file,
            records,
            lost: shared.lost.load(Ordering::Relaxed) + left as u64,
            failure,
        }
    }

    fn write_until(&mut self, stop: &AtomicBool) -> io::Result<()> {
        loop {
            // Before the rings are looked at: what was put there until then is found.
            let stopping = stop.load(Ordering::Acquire);
            for _ in 0..MOST_MARKS {
                let Ok(mark) = self.marks.try_recv() else {
                    break;
                };
                if self.written >= self.limit {
                    self.lose(1);
                    continue;
                }
                let line = serde_json::to_vec(&mark)?;
                self.block(Content::Mark, Origin::Devices, &line)?;
            }
            let taken = self.empty_rings(stopping)?;
            if taken == 0 {
                if stopping {
                    return Ok(());
                }
                thread::sleep(NAP);
            }
        }
    }

    fn empty_rings(&mut self, all: bool) -> io::Result<usize> {
        let mut taken = 0;
        for index in 0..self.rings.len() {
            let ring = &mut self.rings[index];
            let waiting = ring.source.ring.slots();
            let now = Instant::now();
            let due = all || now.duration_since(ring.flushed) >= LONGEST_WAIT;
            if waiting < WORTH_A_BLOCK && !(due && waiting > 0) {
                continue;
            }
            ring.flushed = now;
            let Ok(chunk) = ring.source.ring.read_chunk(waiting.min(LARGEST_BLOCK)) else {
                continue;
            };
            let count = chunk.len();
            taken += count;
            if self.written >= self.limit {
                chunk.commit_all();
                self.lose(count as u64);
                continue;
            }
            let mut bytes = Vec::with_capacity(count * RECORD_SIZE);
            for record in chunk {
                bytes.extend(Record::to_bytes(record));
            }
            let origin = ring.origin;
            let written = self.block(Content::Records, origin, &bytes);
            written.inspect_err(|_| self.lose(count as u64))?;
            self.records += count as u64;
        }
        Ok(taken)
    }

    fn lose(&self, records: u64) {
        self.shared.lost.fetch_add(records, Ordering::Relaxed);
    }

    fn block(&mut self, content: Content, origin: Origin, bytes: &[u8]) -> io::Result<()> {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        self.written += write_block(&mut self.file.as_ref(), content, origin, bytes, lost)?;
        Ok(())
    }
}

impl Finished {
    /// Writes the last block.
    ///
    /// # Errors
    ///
    /// Those of writing to the file, now or while the VM ran.
    pub fn end(mut self, end: &End) -> io::Result<()> {
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let end = serde_json::to_vec(end)?;
        write_block(
            &mut self.file.as_ref(),
            Content::End,
            Origin::Devices,
            &end,
            self.lost,
        )?;
        Ok(())
    }
}
