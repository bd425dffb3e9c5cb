//! Makes the vCPUs of a VM, with the Local APIC of either kind.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::thread;

use anyhow::Context;
use kvm_bindings::CpuId;
use kvm_ioctls::VcpuFd;
use vapic::{Config, Fabric, Features, LocalApic};

use crate::boot::Entry;
use crate::kvm::{self, Host, Recipe};
use crate::machine::Machine;
use crate::observe::Observer;
use crate::seats::Seats;
use crate::sender::Sender;
use crate::vcpu::{HaltPoll, HostTraits, KernelVcpu, Ports, Processor, ResetState, Vcpu};

/// The loop of a vCPU, before its thread starts.
pub(super) enum Loop {
    Userspace(Box<Vcpu>),
    Kernel(Box<KernelVcpu>),
}

/// What every vCPU of a VM is made with.
pub(super) struct VcpuBuilder<'a> {
    pub(super) host: &'a Host,
    pub(super) traits: HostTraits,
    pub(super) recipe: Recipe,
    pub(super) entry: Entry,
    pub(super) supported: CpuId,
    pub(super) machine: &'a Arc<Machine>,
    pub(super) observer: &'a Observer,
}

pub(super) type UserspaceVcpus = (Vec<(VcpuFd, Loop)>, Vec<RawFd>);

/// How the user-space APICs of a VM are made.
#[derive(Clone, Copy)]
pub(super) struct Apics {
    physical_bits: u8,
    features: Features,
}

impl Apics {
    pub(super) fn of(supported: &CpuId, traits: HostTraits) -> Self {
        Self {
            physical_bits: leaf(supported, 0x8000_0008).map_or(36, |eax| eax.to_le_bytes()[0]),
            features: Features {
                tsc_deadline: traits.tsc_deadline_exits,
                ..Features::default()
            },
        }
    }

    pub(super) const fn config(self, id: u32) -> Config {
        let Self {
            physical_bits,
            features,
        } = self;
        Config {
            id,
            bootstrap: id == 0,
            physical_bits,
            features,
        }
    }

    pub(super) fn fabric(self, vcpus: u32) -> anyhow::Result<Arc<Fabric>> {
        let identity = |id| LocalApic::new(self.config(id)).identity();
        Ok(Fabric::new((0..vcpus).map(identity))?)
    }
}

impl VcpuBuilder<'_> {
    /// Gives a new vCPU its CPUID, and to the first one the kernel's entry state.
    fn prepare(&self, index: u32, fd: &VcpuFd) -> anyhow::Result<CpuId> {
        kvm::prepare_vcpu(self.host, fd)?;
        let cpuid = self.recipe.cpuid_for(&self.supported, index)?;
        fd.set_cpuid2(&cpuid)
            .context("KVM refuses the CPUID table")?;
        Ok(cpuid)
    }

    fn enter_kernel(&self, index: u32, fd: &VcpuFd) -> anyhow::Result<()> {
        if index == 0 {
            self.entry
                .apply(fd)
                .context("KVM refuses the entry state")?;
        }
        Ok(())
    }

    fn ports(&self) -> Ports {
        Ports::new(Arc::clone(self.machine), self.observer.marker_port())
    }

    pub(super) fn kernel_vcpus(&self, fds: Vec<VcpuFd>) -> anyhow::Result<Vec<(VcpuFd, Loop)>> {
        (0..)
            .zip(fds)
            .map(|(index, fd)| {
                self.prepare(index, &fd)?;
                self.enter_kernel(index, &fd)?;
                let vcpu = KernelVcpu::new(self.ports(), self.observer.ledger(index as usize));
                Ok((fd, Loop::Kernel(Box::new(vcpu))))
            })
            .collect()
    }

    pub(super) fn userspace_vcpus(
        &self,
        fds: Vec<VcpuFd>,
        apics: Apics,
        fabric: &Arc<Fabric>,
        seats: &Arc<Seats>,
    ) -> anyhow::Result<UserspaceVcpus> {
        let host_cpus = thread::available_parallelism().map_or(1, usize::from);
        let halt_poll = HaltPoll::new(fds.len(), host_cpus);
        let mut vcpus = Vec::new();
        let mut timers = Vec::new();
        for (index, fd) in (0..).zip(fds) {
            let cpuid = self.prepare(index, &fd)?;
            let reset = ResetState::of_new(&fd, leaf(&cpuid, 1).unwrap_or(0))
                .context("KVM refuses to tell the reset state")?;
            self.enter_kernel(index, &fd)?;
            let processor = Processor::new(
                index as usize,
                apics.config(index),
                Sender::new(Arc::clone(fabric), Arc::clone(seats), Some(index as usize)),
                Arc::clone(self.machine),
                self.observer.ledger(index as usize),
                self.observer.clock(),
            );
            let vcpu = Vcpu::new(processor, self.ports(), reset, halt_poll, self.traits)
                .context("cannot create a timer")?;
            timers.push(vcpu.timer());
            vcpus.push((fd, Loop::Userspace(Box::new(vcpu))));
        }
        Ok((vcpus, timers))
    }
}

/// EAX of a CPUID leaf.
fn leaf(cpuid: &CpuId, function: u32) -> Option<u32> {
    cpuid
        .as_slice()
        .iter()
        .find(|entry| entry.function == function)
        .map(|entry| entry.eax)
}
