//! The loop of a vCPU whose Local APIC is KVM's own: interrupts, halts and start-up stay in KVM.

use kvm_ioctls::VcpuFd;

use super::Finished;
use super::exit::{Exit, Fatal};
use super::kick::{Place, Presence};
use super::ports::Ports;
use super::signal::Armed;
use crate::machine::{Ending, Machine};
use crate::observe::{Ledger, Tsc};

/// A vCPU on the in-kernel Local APIC.
pub struct KernelVcpu {
    ports: Ports,
    ledger: Ledger,
}

impl KernelVcpu {
    /// A vCPU that has not run.
    #[must_use]
    pub fn new(ports: Ports, ledger: Ledger) -> Self {
        Self { ports, ledger }
    }

    /// Runs the vCPU on the calling thread until the machine stops.
    #[must_use]
    pub fn run(mut self, index: usize, fd: VcpuFd, machine: &Machine) -> Finished {
        let mut vcpu = Armed::new(fd);
        let presence = machine.take_seat(index);
        if let Err(fatal) = self.run_until_stopped(&mut vcpu, presence, machine) {
            let position = super::position(vcpu.fd());
            machine.end(Ending::Failed {
                vcpu: index,
                position,
                fatal,
            });
        }
        let apic = vcpu.fd().get_lapic().ok();
        Finished {
            ledger: self.ledger,
            timer: None,
            apic: apic.map(|state| state.regs.map(i8::cast_unsigned)),
        }
    }

    fn run_until_stopped(
        &mut self,
        vcpu: &mut Armed,
        presence: &Presence,
        machine: &Machine,
    ) -> Result<(), Fatal> {
        let mut exited = None;
        while !machine.is_stopping() {
            if !presence.enter(Place::Guest) {
                presence.leave();
                continue;
            }
            if let Some((cause, returned)) = exited {
                self.ledger.exit(cause, returned, Tsc::now());
            }
            // KVM keeps CR8 itself here and ignores ours.
            let (_, result) = vcpu.run(0);
            let returned = Tsc::now();
            presence.leave();
            let exit = Exit::decode(result, None);
            exited = Some((exit.cause(), returned));
            match exit {
                Exit::PortIn(port, data) => self.ports.read(port, data),
                Exit::PortOut(port, data) => self.ports.write(port, data),
                Exit::MmioRead(data) | Exit::PageRead(_, data) => data.fill(0xFF),
                Exit::MsrRead(exit) => *exit.error = 1,
                Exit::MsrWrite(exit) => *exit.error = 1,
                Exit::MmioWrite
                | Exit::PageWrite(..)
                | Exit::Window
                | Exit::TaskPriority
                | Exit::Halt
                | Exit::Kicked => {}
                Exit::Fatal(fatal) => return Err(fatal),
            }
        }
        if let Some((cause, returned)) = exited {
            self.ledger.exit(cause, returned, Tsc::now());
        }
        Ok(())
    }
}
