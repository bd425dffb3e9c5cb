//! Builds a VM, which then runs to its end and leaves what was observed.

mod run;
mod trace;
mod vcpus;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use kvm_ioctls::{VcpuFd, VmFd};
use vapic::Fabric;
use vm_memory::{Bytes, GuestAddress};

use crate::boot::{self, Kernel};
use crate::chipset::{Chipset, Delivery, Facts, Intr, Routes};
use crate::control::Control;
use crate::devices::Console;
use crate::kvm::{self, ApicModel, Host, Injection, Recipe, probe};
use crate::machine::Machine;
use crate::memory::{self, GuestMemory};
use crate::observe::{Clock, Observer, Tsc};
use crate::seats::Seats;
use crate::sender::Sender;
use crate::trace::{Options, Writer};
use crate::vcpu::HostTraits;
pub use run::Run;
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
    pub trace: Option<Options>,
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
    tracer: Option<Writer>,
    control: Option<Control>,
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
            Some(options) => Some(trace::begin(options, config, &observer, apics, &fds)?),
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
}

#[expect(unsafe_code, reason = "KVM is given host memory to map into the guest")]
fn register(vm: &VmFd, memory: &GuestMemory) -> anyhow::Result<()> {
    // SAFETY: `Vm` holds the memory beside the vCPUs, and `Vm::run` lets go of it only after all
    // vCPU threads have been joined.
    Ok(unsafe { memory::register(vm, memory) }?)
}

const NO_TSC: &str = "KVM does not tell the rate of the time-stamp counter";
