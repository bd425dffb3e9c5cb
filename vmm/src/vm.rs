//! Builds a VM, runs it to its end, and hands out what was observed.

mod vcpus;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use kvm_ioctls::{VcpuFd, VmFd};
use vapic::Fabric;
use vm_memory::{Bytes, GuestAddress};

use crate::boot::{self, Kernel};
use crate::chipset::{Chipset, Delivery, Facts, Intr, Routes};
use crate::control::Control;
use crate::devices::Console;
use crate::events::EventLoop;
use crate::kvm::{self, ApicModel, Host, Injection, Recipe, probe};
use crate::machine::{Ending, Machine};
use crate::memory::{self, GuestMemory};
use crate::observe::{Clock, Ledger, Observer, Tsc, report};
use crate::seats::Seats;
use crate::sender::Sender;
use crate::trace::{self, ApicFacts, Tracer};
use crate::vcpu::{self, ApicPage, Finished, HostTraits};
use vcpus::{Apics, Loop, VcpuBuilder};

/// Most vCPUs of a VM: xAPIC IDs have 8 bits, of which 0xFF is the broadcast.
pub const MAX_VCPUS: u32 = 255;

/// What to run, and on what.
#[derive(Clone, Debug)]
pub struct VmConfig {
    /// The kernel.
    pub kernel: Kernel,
    /// Its initial ramdisk.
    pub initramfs: Option<boot::Initramfs>,
    /// What the kernel is told.
    pub command_line: CommandLine,
    /// Number of vCPUs, 1 to [`MAX_VCPUS`].
    pub vcpus: u32,
    /// Bytes of memory.
    pub memory: u64,
    /// Whose Local APIC the guest has.
    pub apic: ApicModel,
    /// Where its serial port prints.
    pub console: Console,
    /// Data to find in memory beside the kernel.
    pub blobs: Vec<Blob>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Where and how its events are kept.
    pub trace: Option<trace::Options>,
}

/// What a kernel is told on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// These words, and after them what the guest of this project must know of the machine.
    WithFacts(String),
    /// These words.
    AsGiven(String),
}

impl CommandLine {
    fn text(&self, config: &VmConfig, tsc_khz: u32) -> String {
        match self {
            Self::WithFacts(words) => format!(
                "{words} cpus={} tsc_khz={tsc_khz} memory={}",
                config.vcpus, config.memory
            ),
            Self::AsGiven(words) => words.clone(),
        }
    }
}

/// Bytes for the guest at a fixed place of its memory.
#[derive(Clone, Debug, Default)]
pub struct Blob {
    /// Guest-physical address.
    pub address: u64,
    /// What to put there.
    pub bytes: Vec<u8>,
}

/// A VM ready to run.
pub struct Vm {
    machine: Arc<Machine>,
    observer: Observer,
    threads: Vec<(VcpuFd, Loop)>,
    timers: Vec<RawFd>,
    /// Kept until the threads have ended: KVM maps it, and has no other owner.
    memory: GuestMemory,
    _vm: Arc<VmFd>,
    fabric: Option<Arc<Fabric>>,
    timeout: Option<Duration>,
    tracer: Option<trace::Writer>,
    control: Option<Control>,
}

/// What is left of a run.
pub struct Run {
    /// How it ended.
    pub ending: Ending,
    /// The accounts of all vCPUs.
    pub ledgers: Vec<Ledger>,
    /// The APIC of each vCPU as it was left, unless KVM does not tell.
    pub apics: Vec<Option<ApicPage>>,
    /// When the APIC of each vCPU was as it was left.
    pub left: Vec<Tsc>,
    /// Its trace, but for the end.
    pub trace: Option<trace::Finished>,
    /// What was observed besides.
    pub observer: Observer,
    /// What still waits in each vCPU's mailbox; empty on KVM's own APIC.
    pub waiting: Vec<vapic::Waiting>,
    /// When it was over.
    pub ended: Tsc,
    /// The guest's memory as it was left.
    pub memory: GuestMemory,
}

impl Vm {
    /// Builds the VM.
    ///
    /// # Errors
    ///
    /// What the user gave ([`memory::MemoryError`], [`boot::BootError`]) and what the host refuses;
    /// `main.rs` tells them apart.
    pub fn new(host: &Host, config: &VmConfig) -> anyhow::Result<Self> {
        // 1. Memory.
        let memory = memory::create(config.memory)?;

        // 2. The VM with its irqchip, or without one, before any vCPU.
        let vm = Arc::new(kvm::create_vm(host, config.apic)?);
        register(&vm, &memory)?;

        // 3. The vCPUs, their clock, and what this host's KVM tells us of.
        let fds = (0..config.vcpus)
            .map(|index| {
                vm.create_vcpu(u64::from(index))
                    .context("KVM refuses one more vCPU: give fewer --cpus, or see ulimit -n")
            })
            .collect::<anyhow::Result<Vec<VcpuFd>>>()?;
        let tsc_khz = fds
            .first()
            .map_or(Ok(0), VcpuFd::get_tsc_khz)
            .context(NO_TSC)?;
        let abilities = probe::quick(host)?;
        let traits = HostTraits {
            task_priority_exits: abilities.tpr_fall_exits,
            tsc_deadline_exits: abilities.tsc_deadline_exits
                && host.capability("VCPU_ATTRIBUTES") > 0,
            injection: Injection::best(host),
        };
        let recipe = Recipe {
            vcpu_count: config.vcpus,
            tsc_deadline: traits.tsc_deadline_exits,
            tsc_khz,
        };

        // 4. The kernel, told about the machine.
        let command_line = config.command_line.text(config, tsc_khz);
        let image = boot::Image {
            kernel: &config.kernel,
            initramfs: config.initramfs.as_ref(),
            command_line: command_line.trim_start(),
            vcpus: config.vcpus,
        };
        let entry = boot::load(&memory, &image)?;

        for Blob { address, bytes } in &config.blobs {
            memory
                .write_slice(bytes, GuestAddress(*address))
                .with_context(|| format!("no room for {} bytes at {address:#x}", bytes.len()))?;
        }

        // 5. What the vCPUs share: their threads' seats, the way of interrupts, the devices.
        let observer = Observer::new(
            config.vcpus as usize,
            Clock::new(Tsc::now(), u64::from(tsc_khz)),
        );
        let seats = Arc::new(Seats::new(config.vcpus as usize));
        let supported = host.supported_cpuid()?;
        let apics = Apics::of(&supported, traits);
        let tracer = match &config.trace {
            Some(options) => Some(begin_trace(options, config, &observer, apics, &fds)?),
            None => None,
        };
        let fabric = match config.apic {
            ApicModel::Kernel => None,
            ApicModel::Userspace => Some(apics.fabric(config.vcpus)?),
        };
        let delivery = match &fabric {
            None => Delivery::Kernel {
                vm: Arc::clone(&vm),
                routes: Routes::default(),
            },
            Some(fabric) => Delivery::Userspace {
                sender: Sender::new(Arc::clone(fabric), Arc::clone(&seats), None),
                ledger: Box::new(observer.device_ledger()),
            },
        };
        let intr = Arc::new(Intr::new(Arc::clone(&seats)));
        let chipset = Chipset::new(
            delivery,
            Arc::clone(&intr),
            observer.clock(),
            &Facts {
                vcpus: config.vcpus,
                memory: config.memory,
            },
        )?;
        let machine = Arc::new(Machine::new(
            Arc::clone(&seats),
            config.console,
            chipset,
            intr,
        )?);

        // 6. One vCPU after the other.
        let builder = VcpuBuilder {
            host,
            traits,
            recipe,
            entry,
            supported,
            machine: &machine,
            observer: &observer,
        };
        let (threads, timers) = match &fabric {
            None => (builder.kernel_vcpus(fds)?, Vec::new()),
            Some(fabric) => builder.userspace_vcpus(fds, apics, fabric, &seats)?,
        };
        Ok(Self {
            machine,
            observer,
            threads,
            timers,
            memory,
            _vm: vm,
            fabric,
            timeout: config.timeout,
            tracer,
            control: None,
        })
    }

    /// Serves its counters at `control` while it runs.
    #[must_use]
    pub fn controlled(mut self, control: Option<Control>) -> Self {
        self.control = control;
        self
    }

    /// Runs the VM until it ends, on one thread for each vCPU and this one for events.
    ///
    /// # Errors
    ///
    /// What the host refuses: threads, epoll, signals.
    pub fn run(self) -> anyhow::Result<Run> {
        let Self {
            machine,
            observer,
            threads,
            timers,
            fabric,
            memory,
            timeout,
            tracer,
            control,
            _vm,
        } = self;
        vcpu::install_kick_signal().context("cannot install the signal handler")?;
        let mut events =
            EventLoop::new(&machine, timers, timeout).context("cannot set up the event loop")?;
        let stop_tracing = AtomicBool::new(false);
        let (finished, trace) = thread::scope(|scope| {
            let ending = tracer.as_ref().map(trace::Writer::ending);
            let tracer = tracer.map(|writer| scope.spawn(|| writer.run(&stop_tracing)));
            let mut running = Vec::new();
            for (index, (fd, body)) in threads.into_iter().enumerate() {
                let thread_machine = Arc::clone(&machine);
                let spawned = thread::Builder::new()
                    .name(format!("vcpu{index}"))
                    .spawn_scoped(scope, move || {
                        let _guard = EndOnPanic(&thread_machine);
                        match body {
                            Loop::Userspace(vcpu) => vcpu.run(index, fd, &thread_machine),
                            Loop::Kernel(vcpu) => vcpu.run(index, fd, &thread_machine),
                        }
                    });
                match spawned {
                    Ok(thread) => running.push(thread),
                    Err(error) => {
                        machine.end(Ending::Host(format!(
                            "cannot start a vCPU thread: {error}; give fewer --cpus"
                        )));
                        break;
                    }
                }
            }
            let control = control
                .as_ref()
                .map(|control| control.serve(scope, &observer));
            if let Some(Err(error)) = &control {
                let text = format!("cannot serve the control socket: {error}");
                machine.end(Ending::Host(text));
            }
            if let Err(error) = events.run() {
                machine.end(Ending::Host(format!("the event loop failed: {error}")));
            }
            if let Some(ending) = ending {
                ending.store(true, Ordering::Relaxed);
            }
            let finished: Vec<Finished> = running
                .into_iter()
                // A thread that panicked has said so itself, and ended the machine.
                .filter_map(|thread| thread.join().ok())
                .collect();
            stop_tracing.store(true, Ordering::Release);
            let trace = tracer.and_then(|thread| {
                let joined = thread.join();
                if joined.is_err() {
                    machine.end(Ending::Host("the trace's thread panicked".to_owned()));
                }
                joined.ok()
            });
            if let Some(Ok(serving)) = control {
                serving.end();
            }
            (finished, trace)
        });
        let ended = Tsc::now();
        let waiting = fabric.map_or_else(Vec::new, |fabric| {
            fabric
                .mailboxes()
                .iter()
                .map(vapic::Mailbox::waiting)
                .collect()
        });
        let ending = machine
            .ending()
            .context("the event loop ended before the machine")?;
        // The timers close after the event loop has let go of them.
        drop(events);
        let (mut ledgers, mut apics, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for vcpu in finished {
            ledgers.push(vcpu.ledger);
            apics.push(vcpu.apic);
            left.push(vcpu.left);
        }
        Ok(Run {
            ending,
            ledgers,
            apics,
            left,
            trace,
            observer,
            waiting,
            ended,
            memory,
        })
    }
}

/// Makes the rings and writes what is known of the run.
fn begin_trace(
    options: &trace::Options,
    config: &VmConfig,
    observer: &Observer,
    apics: Apics,
    fds: &[VcpuFd],
) -> anyhow::Result<trace::Writer> {
    let clock = observer.clock();
    let offsets: Result<_, _> = fds.iter().map(kvm::tsc_offset).collect();
    let header = trace::Header {
        run: report::Run {
            tsc_khz: clock.khz(),
            ..options.run.clone()
        },
        clock: trace::ClockFacts {
            start: clock.start().0,
            khz: clock.khz(),
            guest_offsets: offsets.unwrap_or_default(),
        },
        policy: options.policy,
        apic: (config.apic == ApicModel::Userspace).then(|| ApicFacts::of(&apics.config(0))),
    };
    let Tracer {
        vcpus,
        devices,
        marks,
        mut writer,
    } = Tracer::new(options, fds.len());
    writer.begin(&header).context("cannot write the trace")?;
    observer.record_to(vcpus, devices, marks);
    Ok(writer)
}

#[expect(unsafe_code, reason = "KVM is given host memory to map into the guest")]
fn register(vm: &VmFd, memory: &GuestMemory) -> anyhow::Result<()> {
    // SAFETY: `Vm` holds the memory beside the vCPUs, and `Vm::run` lets go of it only after all
    // vCPU threads have been joined.
    Ok(unsafe { memory::register(vm, memory) }?)
}

/// Ends the machine if the vCPU's thread panics: the others would wait for it for ever.
struct EndOnPanic<'a>(&'a Machine);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0
                .end(Ending::Host("a vCPU thread panicked".to_owned()));
        }
    }
}

const NO_TSC: &str = "KVM does not tell the rate of the time-stamp counter";
