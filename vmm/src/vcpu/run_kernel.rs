//! The loop of a vCPU whose Local APIC is KVM's own: interrupts, halts and start-up stay in KVM.

use kvm_bindings::KVM_EXIT_MMIO;
use kvm_ioctls::VcpuFd;

use super::Finished;
use super::exit::{Exit, Fatal};
use super::kick::{Place, Presence};
use super::ports::Ports;
use super::signal::Armed;
use crate::chipset::INTR_TARGET;
use crate::kvm::queue_interrupt;
use crate::machine::{Ending, Machine};
use crate::observe::{Ledger, Tsc};

/// A vCPU on the in-kernel Local APIC.
pub struct KernelVcpu {
    ports: Ports,
    ledger: Ledger,
    /// KVM takes an interrupt of the 8259 now.
    ready: bool,
}

impl KernelVcpu {
    /// A vCPU that has not run.
    #[must_use]
    pub fn new(ports: Ports, ledger: Ledger) -> Self {
        Self {
            ports,
            ledger,
            ready: false,
        }
    }

    /// Runs the vCPU on the calling thread until the machine stops.
    #[must_use]
    pub fn run(mut self, index: usize, fd: VcpuFd, machine: &Machine) -> Finished {
        let mut vcpu = Armed::new(fd);
        let presence = machine.seats().take(index);
        if let Err(fatal) = self.run_until_stopped(index, &mut vcpu, presence, machine) {
            let position = super::position(vcpu.fd());
            machine.end(Ending::Failed {
                vcpu: index,
                position,
                fatal,
            });
        }
        let apic = vcpu.fd().get_lapic().ok();
        Finished {
            left: Tsc::now(),
            ledger: self.ledger,
            timer: None,
            apic: apic.map(|state| state.regs.map(i8::cast_unsigned)),
        }
    }

    /// Hands the 8259's interrupt to KVM, whose APIC decides by its LINT0 whether it takes any: it
    /// says so by being ready (arch/x86/kvm/x86.c, `kvm_vcpu_ready_for_interrupt_injection`).
    fn offer_external(&mut self, vcpu: &mut VcpuFd, machine: &Machine) -> Result<(), Fatal> {
        let asked = machine.intr().is_asserted();
        if asked && self.ready {
            let vector = self.ports.acknowledge_pic();
            queue_interrupt(vcpu, vector).map_err(Fatal::Run)?;
            self.ready = false;
        }
        vcpu.get_kvm_run().request_interrupt_window =
            (asked && machine.intr().is_asserted()).into();
        Ok(())
    }

    fn run_until_stopped(
        &mut self,
        index: usize,
        vcpu: &mut Armed,
        presence: &Presence,
        machine: &Machine,
    ) -> Result<(), Fatal> {
        let mut exited = None;
        while !machine.is_stopping() {
            // Before the entry: that the 8259's output falls is a kick.
            if index == INTR_TARGET {
                self.offer_external(vcpu.fd(), machine)?;
            }
            if !presence.enter(Place::Guest) {
                presence.leave();
                continue;
            }
            if let Some((cause, returned)) = exited {
                self.ledger.exit(cause, returned, Tsc::now());
            }
            // KVM keeps CR8 itself here and ignores ours.
            let (state, result) = vcpu.run(0);
            self.ready = state.ready;
            let returned = Tsc::now();
            presence.leave();
            let exit = Exit::decode(result, None);
            exited = Some((exit.cause(), returned));
            match exit {
                Exit::PortIn(port, data) => self.ports.read(port, state.port_width, data),
                Exit::PortOut(port, data) => self.ports.write(port, state.port_width, data),
                Exit::MmioRead(address, data) => self.ports.read_memory(address, data),
                Exit::MmioWrite(address, data) => self.ports.write_memory(address, data),
                Exit::EndOfInterrupt(vector) => {
                    machine.chipset().end_of_interrupt(vector, returned);
                }
                // No page was given to decode by: KVM's APIC answers for its own.
                Exit::PageRead(..) | Exit::PageWrite(..) => {
                    return Err(Fatal::Unexpected(KVM_EXIT_MMIO));
                }
                Exit::MsrRead(exit) => *exit.error = 1,
                Exit::MsrWrite(exit) => *exit.error = 1,
                Exit::Window | Exit::TaskPriority | Exit::Halt | Exit::Kicked => {}
                Exit::Fatal(fatal) => return Err(fatal),
            }
        }
        if let Some((cause, returned)) = exited {
            self.ledger.exit(cause, returned, Tsc::now());
        }
        Ok(())
    }
}
