//! Runs a script in a real machine, on either Local APIC.

use std::mem::offset_of;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use vm_memory::{Bytes, GuestAddress};
use vmm::boot;
use vmm::devices::Console;
use vmm::kvm::{ApicModel, Host, probe, tsc_offset};
use vmm::machine::Ending;
use vmm::memory::GuestMemory;
use vmm::observe::Tsc;
use vmm::vcpu::ApicPage;
use vmm::vm::{Blob, CommandLine, Vm, VmConfig};

use super::deviations::{DEVIATIONS, Deviation, IN_SERVICE};
use super::model::Traits;
use super::operation::{Action, Operation, Outcome};
use super::wire::{self, ADDRESS, Header, MAGIC};

/// Longest run of a script: many times what one takes, and less than its timers that never expire.
const LIMIT: Duration = Duration::from_secs(180);

/// A bound on what one operation can have delivered: one IPI to each of four processors.
const INTERRUPTS_PER_OPERATION: u64 = 8;

/// Longer than a script takes, even on a slow host.
const FUTURE_CYCLES: u64 = 6_000_000_000_000;

const EVIDENCE_PROCESSORS: u8 = 2;

/// KVM_CAP_X86_SMM (linux/kvm.h).
const CAP_X86_SMM: u64 = 117;

const OPERATION: usize = size_of::<wire::Operation>();
const OUTCOME: usize = size_of::<wire::Outcome>();
const HEADER: usize = size_of::<Header>();

/// A host that machines run on.
#[derive(Debug)]
pub struct Bench {
    host: Host,
    tsc_khz: u64,
    tsc_deadline: bool,
    /// Names of the deviations of [`Deviation::some_hosts`] that this host's KVM has.
    present: Vec<&'static str>,
}

/// Whether machines on this host have TSC-deadline mode, by the CPUID they get.
fn offers_tsc_deadline(host: &Host) -> anyhow::Result<bool> {
    Ok(probe::quick(host)?.tsc_deadline_exits && host.capability("VCPU_ATTRIBUTES") > 0)
}

/// What a machine gave for a script.
#[derive(Clone, Debug)]
pub struct Answers {
    /// What came of each operation.
    pub outcomes: Vec<Outcome>,
    /// When each operation was over, in units of 1024 TSC cycles, modulo 2^32.
    pub stamps: Vec<u32>,
    /// The APIC of each processor at the end.
    pub pages: Vec<ApicPage>,
    /// Rate of the guest's TSC.
    pub tsc_khz: u64,
}

impl Bench {
    /// The host of this test.
    ///
    /// # Errors
    ///
    /// It has no KVM that our machines can use.
    pub fn new() -> anyhow::Result<Self> {
        let host = Host::open().context("not run: this test needs /dev/kvm")?;
        let vcpu = host.kvm().create_vm()?.create_vcpu(0)?;
        let tsc_khz = vcpu.get_tsc_khz()?.into();
        let tsc_deadline = offers_tsc_deadline(&host)?;
        let mut bench = Self {
            host,
            tsc_khz,
            tsc_deadline,
            present: Vec::new(),
        };
        for deviation in DEVIATIONS.iter().filter(|deviation| deviation.some_hosts) {
            if bench.shows(deviation)? {
                bench.present.push(deviation.name);
            }
        }
        Ok(bench)
    }

    /// Whether a deviation is there on this host.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn shows(&self, deviation: &Deviation) -> anyhow::Result<bool> {
        let [ours, kernel] = self.last_answers(deviation)?;
        Ok(ours != kernel)
    }

    /// What our APIC and KVM's answer to the last operation of a deviation's evidence.
    ///
    /// # Errors
    ///
    /// As [`Self::run`].
    pub fn last_answers(&self, deviation: &Deviation) -> anyhow::Result<[Outcome; 2]> {
        let script = (deviation.evidence)();
        let last = |apic| -> anyhow::Result<Outcome> {
            let mut answers = self.run(&script, EVIDENCE_PROCESSORS, apic)?;
            answers.outcomes.pop().context("evidence has operations")
        };
        Ok([last(ApicModel::Userspace)?, last(ApicModel::Kernel)?])
    }

    /// What the model must know of this host.
    ///
    /// # Errors
    ///
    /// KVM does not tell its CPUID.
    pub fn traits(&self) -> anyhow::Result<Traits> {
        let cpuid = self.host.supported_cpuid()?;
        let sizes = cpuid
            .as_slice()
            .iter()
            .find(|leaf| leaf.function == 0x8000_0008);
        Ok(Traits {
            physical_bits: sizes.map_or(36, |leaf| leaf.eax.to_le_bytes()[0]),
            tsc_deadline: self.tsc_deadline,
            future_tsc: self.future_tsc()?,
            keeps_in_service: !self.present.contains(&IN_SERVICE),
            smm: self.host.kvm().check_extension_raw(CAP_X86_SMM) > 0,
        })
    }

    /// Not later than KVM can count in ns: it multiplies the distance by 10^6 (start_sw_tscdeadline).
    fn future_tsc(&self) -> anyhow::Result<u64> {
        let vcpu = self.host.kvm().create_vm()?.create_vcpu(0)?;
        let offset = tsc_offset(&vcpu).unwrap_or(0);
        Ok(Tsc::now().0.wrapping_add(offset) + FUTURE_CYCLES)
    }

    /// Runs a script.
    ///
    /// # Errors
    ///
    /// The host refuses the machine, or the machine did not come to the script's end.
    pub fn run(
        &self,
        script: &[Operation],
        processors: u8,
        apic: ApicModel,
    ) -> anyhow::Result<Answers> {
        let place = Place::of(script.len());
        let config = VmConfig {
            trace: None,
            kernel: boot::Kernel::Embedded,
            initramfs: None,
            command_line: CommandLine::WithFacts("scenario=script mode=xapic".into()),
            vcpus: processors.into(),
            memory: wire::END,
            apic,
            console: Console::Nowhere,
            blobs: vec![Blob {
                address: ADDRESS,
                bytes: self.image(script, place)?,
            }],
            timeout: None,
        };
        let vm = Vm::new(&self.host, &config)?;
        let (sender, receiver) = mpsc::channel();
        // A machine that hangs is left behind: it cannot be ended from outside.
        // The receiver may have given up waiting.
        thread::spawn(move || drop(sender.send(vm.run())));
        let run = receiver.recv_timeout(LIMIT).with_context(|| {
            let limit = LIMIT.as_secs();
            format!("the machine on {apic:?} hangs, or its host is too busy: not done in {limit} s")
        })??;
        if run.ending == Ending::Interrupted {
            return Err(Interrupted.into());
        }
        ensure!(run.ending == Ending::Guest(0), "it ended: {:?}", run.ending);
        let mut answers = Answers::found(&run.memory, script, place, self.tsc_khz)?;
        let pages: Option<Vec<ApicPage>> = run.apics.into_iter().collect();
        answers.pages = pages.context("KVM_GET_LAPIC failed")?;
        Ok(answers)
    }

    fn image(&self, script: &[Operation], place: Place) -> anyhow::Result<Vec<u8>> {
        ensure!(place.end <= wire::END, "the script is too long");
        let header = [MAGIC, place.count, place.outcomes, place.log, 0, 0];
        let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
        for operation in script {
            let wire::Operation {
                value,
                register,
                processor,
                kind,
                width,
                reserved,
            } = operation.encode(self.tsc_khz);
            image.extend(value.to_le_bytes());
            image.extend(register.to_le_bytes());
            image.extend([processor, kind, width, reserved]);
        }
        Ok(image)
    }
}

/// Somebody ended the machine by a signal.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;

/// Where the parts of a script lie.
#[derive(Clone, Copy, Debug)]
struct Place {
    count: u64,
    outcomes: u64,
    log: u64,
    end: u64,
}

impl Place {
    fn of(count: usize) -> Self {
        let count = count as u64;
        let outcomes = ADDRESS + HEADER as u64 + count * OPERATION as u64;
        let log = outcomes + count * OUTCOME as u64;
        Self {
            count,
            outcomes,
            log,
            end: log + (count + 1) * INTERRUPTS_PER_OPERATION,
        }
    }
}

impl Answers {
    /// When operation `index` was over.
    pub(super) fn stamp(&self, index: usize) -> u32 {
        self.stamps.get(index).copied().unwrap_or(0)
    }

    /// When the operation before it was.
    pub(super) fn before(&self, index: usize) -> u32 {
        self.stamp(index.saturating_sub(1))
    }

    /// What so many units of a stamp are in ns.
    pub(super) fn nanoseconds(&self, units: u32) -> u64 {
        u64::from(units) * 1024 * 1_000_000 / self.tsc_khz
    }

    fn found(
        memory: &GuestMemory,
        script: &[Operation],
        place: Place,
        tsc_khz: u64,
    ) -> anyhow::Result<Self> {
        let count = script.len();
        let word = |offset: usize| -> anyhow::Result<u64> {
            Ok(memory.read_obj(GuestAddress(ADDRESS + offset as u64))?)
        };
        if word(offset_of!(Header, finished))? != MAGIC {
            bail!("the guest did not finish the script");
        }
        let logged = word(offset_of!(Header, logged))?;
        ensure!(place.log + logged <= place.end, "more interrupts than sent");
        let mut log = vec![0; usize::try_from(logged)?];
        memory.read_slice(&mut log, GuestAddress(place.log))?;
        let mut bytes = vec![0; count * OUTCOME];
        memory.read_slice(&mut bytes, GuestAddress(place.outcomes))?;

        let mut answers = Self {
            outcomes: Vec::with_capacity(count),
            stamps: Vec::with_capacity(count),
            pages: Vec::new(),
            tsc_khz,
        };
        let mut log = log.into_iter();
        for (operation, bytes) in script.iter().zip(bytes.as_chunks::<OUTCOME>().0) {
            let [
                v0,
                v1,
                v2,
                v3,
                v4,
                v5,
                v6,
                v7,
                s0,
                s1,
                s2,
                s3,
                n0,
                n1,
                nmis,
                fault,
            ] = *bytes;
            let interrupts = usize::from(u16::from_le_bytes([n0, n1]));
            answers.stamps.push(u32::from_le_bytes([s0, s1, s2, s3]));
            answers.outcomes.push(Outcome {
                value: u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]),
                fault,
                nmis: if operation.action == Action::Exit {
                    nmis
                } else {
                    0
                },
                interrupts: log.by_ref().take(interrupts).collect(),
            });
        }
        let stray: Vec<u8> = log.collect();
        ensure!(
            stray.is_empty(),
            "interrupts with interrupts off: {stray:02x?}"
        );
        Ok(answers)
    }
}
