//! The loop of a vCPU whose Local APIC is in user space.
//!
//! One turn: take what arrived, perform INIT and start-up, decide what to hand to KVM, sleep if the
//! guest halted and nothing wakes it, else enter the guest and deal with its exit. A kick that comes
//! at any point makes the next turn happen.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::thread;

use kvm_bindings::kvm_vcpu_events__bindgen_ty_3 as NmiState;
use kvm_ioctls::VcpuFd;
use vapic::spec::base::ApicBase;
use vapic::{Arrivals, GeneralProtection, IA32_TSC_DEADLINE};

use super::Finished;
use super::exit::{Exit, Fatal};
use super::halt_poll::HaltPoll;
use super::inject::{Plan, Readiness};
use super::kick::{Place, Presence};
use super::ports::Ports;
use super::processor::Processor;
use super::reset::{ResetState, mirror_base};
use super::signal::Armed;
use crate::deadline_timer::DeadlineTimer;
use crate::kvm::{Injection, tsc_offset};
use crate::machine::{Ending, Machine};
use crate::observe::{Cause, Tsc};

/// Shortest time for which the timer is armed: shorter ones would only load the event loop, since
/// every exit looks at the time as well.
const SHORTEST_WAIT_NS: u64 = 20_000;

/// How soon to look again where no exit will tell: at a vector that the task priority holds back,
/// on hosts where lowering CR8 does not exit, and at a second NMI until KVM has delivered the first.
const RECHECK_NS: u64 = 200_000;

/// What the loop must know of the host's KVM.
#[derive(Clone, Copy, Debug)]
pub struct HostTraits {
    /// Lowering CR8 exits.
    pub task_priority_exits: bool,
    /// A write of IA32_TSC_DEADLINE exits, and the TSC's offset can be read: the guest has the mode.
    pub tsc_deadline_exits: bool,
    /// How interrupts are handed over.
    pub injection: Injection,
}

/// A vCPU, its user-space APIC, and the state of the loop between them.
pub struct Vcpu {
    processor: Processor,
    ports: Ports,
    reset: ResetState,
    timer: DeadlineTimer,
    halt_poll: HaltPoll,
    host: HostTraits,
    /// KVM takes an interrupt now, and the guest's interrupts are on.
    open: bool,
    /// The guest executed HLT and nothing has woken it.
    halted: bool,
    /// Its interrupts were on when it did.
    halted_with_interrupts: bool,
    /// An NMI may still be pending inside KVM.
    nmi_in_kvm: bool,
}

/// What an exit asks of the loop once its borrow of `kvm_run` is over.
#[derive(Debug)]
enum After {
    Nothing,
    Fault,
    Halt { interrupts_on: bool },
    MirrorBase(ApicBase),
    ArmDeadline(u64),
    End(Fatal),
}

impl Vcpu {
    /// A vCPU that has not run.
    ///
    /// # Errors
    ///
    /// No timer could be had.
    pub fn new(
        processor: Processor,
        ports: Ports,
        reset: ResetState,
        halt_poll: HaltPoll,
        host: HostTraits,
    ) -> io::Result<Self> {
        Ok(Self {
            processor,
            ports,
            reset,
            timer: DeadlineTimer::new(SHORTEST_WAIT_NS)?,
            halt_poll,
            host,
            open: false,
            halted: false,
            halted_with_interrupts: false,
            nmi_in_kvm: false,
        })
    }

    /// Readable once something of the vCPU is due; then it must be kicked.
    #[must_use]
    pub fn timer(&self) -> RawFd {
        self.timer.as_raw_fd()
    }

    /// Runs the vCPU on the calling thread until the machine stops.
    #[must_use]
    pub fn run(mut self, index: usize, fd: VcpuFd, machine: &Machine) -> Finished {
        let mut vcpu = Armed::new(fd);
        self.host.injection.prepare(vcpu.fd());
        let presence = machine.seats().take(index);
        if let Err(fatal) = self.turn_until_stopped(&mut vcpu, presence, machine) {
            let position = super::position(vcpu.fd());
            machine.end(Ending::Failed {
                vcpu: index,
                position,
                fatal,
            });
        }
        let left = Tsc::now();
        Finished {
            left,
            apic: Some(self.processor.page(left)),
            ledger: self.processor.ledger,
            timer: Some(self.timer),
        }
    }

    fn turn_until_stopped(
        &mut self,
        vcpu: &mut Armed,
        presence: &Presence,
        machine: &Machine,
    ) -> Result<(), Fatal> {
        let mut exited: Option<(Cause, Tsc)> = None;
        while !machine.is_stopping() {
            let now = Tsc::now();
            if self.processor.sample_pins() {
                let init = Arrivals {
                    init: true,
                    ..Arrivals::default()
                };
                self.reset_as_told(vcpu.fd(), &init)?;
            }
            while let Some(arrivals) = self.processor.arrive(now) {
                self.reset_as_told(vcpu.fd(), &arrivals)?;
            }
            if let Some(place) = self.resting_place(vcpu.fd())? {
                self.arm_timer(now);
                let asleep = self.sleep(presence, place, now);
                // Before the first entry there is no exit that the time could be taken from.
                if exited.is_some() {
                    self.processor.ledger.rested(place.into(), now, asleep);
                }
                continue;
            }
            self.halted = false;
            self.inject(vcpu.fd(), now)?;
            self.arm_timer(now);
            if !presence.enter(Place::Guest) {
                self.leave(presence);
                continue;
            }
            if let Some((cause, returned)) = exited {
                self.processor.ledger.exit(cause, returned, Tsc::now());
            }
            let (cause, returned, after) = self.enter(vcpu, presence);
            exited = Some((cause, returned));
            if let Err(fatal) = self.finish(after, vcpu.fd()) {
                self.processor.ledger.exit(cause, returned, Tsc::now());
                return Err(fatal);
            }
        }
        if let Some((cause, returned)) = exited {
            self.processor.ledger.exit(cause, returned, Tsc::now());
        }
        Ok(())
    }

    /// Runs the guest until its next exit and answers it; returns the cause and when it came.
    fn enter(&mut self, vcpu: &mut Armed, presence: &Presence) -> (Cause, Tsc, After) {
        let (state, result) = vcpu.run(self.processor.apic.cr8());
        let returned = Tsc::now();
        self.leave(presence);
        let Self {
            processor, ports, ..
        } = self;
        processor.set_cr8(state.cr8);
        self.open = state.ready && state.interrupts_on;
        let exit = Exit::decode(result, processor.apic.page());
        let cause = exit.cause();
        let after = match exit {
            Exit::PageRead(offset, data) => {
                processor.read_page(offset, data, returned);
                After::Nothing
            }
            Exit::PageWrite(offset, data) => {
                processor.write_page(offset, data, returned);
                After::Nothing
            }
            Exit::MsrRead(exit) => match processor.read_msr(exit, returned) {
                Ok(()) => After::Nothing,
                Err(GeneralProtection) => After::Fault,
            },
            Exit::MsrWrite(exit)
                if exit.index == IA32_TSC_DEADLINE && self.host.tsc_deadline_exits =>
            {
                After::ArmDeadline(exit.data)
            }
            Exit::MsrWrite(exit) => match processor.write_msr(exit, returned) {
                Ok(base) => base.map_or(After::Nothing, After::MirrorBase),
                Err(GeneralProtection) => After::Fault,
            },
            Exit::PortIn(port, data) => {
                ports.read(port, state.port_width, data);
                After::Nothing
            }
            Exit::PortOut(port, data) => {
                ports.write(port, state.port_width, data);
                After::Nothing
            }
            Exit::MmioRead(address, data) => {
                ports.read_memory(address, data);
                After::Nothing
            }
            Exit::MmioWrite(address, data) => {
                ports.write_memory(address, data);
                After::Nothing
            }
            Exit::Window | Exit::TaskPriority | Exit::Kicked | Exit::EndOfInterrupt(_) => {
                After::Nothing
            }
            Exit::Halt => After::Halt {
                interrupts_on: state.interrupts_on,
            },
            Exit::Fatal(fatal) => After::End(fatal),
        };
        (cause, returned, after)
    }

    /// Does what an exit asks for beyond its answer.
    fn finish(&mut self, after: After, vcpu: &VcpuFd) -> Result<(), Fatal> {
        match after {
            After::Nothing => {}
            // The #GP is delivered at the next entry and turns interrupts off: one queued now
            // would arrive in its handler.
            After::Fault => self.open = false,
            After::Halt { interrupts_on } => {
                self.halted = true;
                self.halted_with_interrupts = interrupts_on;
            }
            After::MirrorBase(base) => mirror_base(vcpu, base).map_err(Fatal::Run)?,
            After::ArmDeadline(value) => {
                let offset = tsc_offset(vcpu).map_err(Fatal::Run)?;
                self.processor.write_tsc_deadline(value, offset, Tsc::now());
            }
            After::End(fatal) => return Err(fatal),
        }
        Ok(())
    }

    /// Is back outside the guest, and will look at the mailbox.
    fn leave(&mut self, presence: &Presence) {
        if presence.leave() {
            // The kick may have been the timer's, a little early by our clock.
            self.timer.expired();
        }
    }

    fn reset_as_told(&mut self, vcpu: &mut VcpuFd, arrivals: &Arrivals) -> Result<(), Fatal> {
        if arrivals.init {
            self.reset
                .init(vcpu, self.processor.apic.base())
                .map_err(Fatal::Run)?;
            self.nmi_in_kvm = false;
        }
        if let Some(page) = arrivals.start_page {
            ResetState::start_up(vcpu, page).map_err(Fatal::Run)?;
        }
        if arrivals.init || arrivals.start_page.is_some() {
            self.halted = false;
            // What KVM said of readiness was said of another state.
            self.open = false;
        }
        Ok(())
    }

    /// Where the thread must sleep, if the guest cannot go on.
    fn resting_place(&mut self, vcpu: &VcpuFd) -> Result<Option<Place>, Fatal> {
        let apic = &self.processor.apic;
        if apic.is_waiting_for_start_up() {
            return Ok(Some(Place::WaitingForStartUp));
        }
        let asked = apic.deliverable().is_some() || apic.ext_int();
        let interrupted = self.halted_with_interrupts && asked;
        if !self.halted || interrupted {
            return Ok(None);
        }
        Ok((!self.nmi_ends_halt(vcpu)?).then_some(Place::Parked))
    }

    /// Whether an NMI, latched here or held by KVM, reaches the guest: not while the handler of
    /// another runs, which a halt within it does not end.
    fn nmi_ends_halt(&mut self, vcpu: &VcpuFd) -> Result<bool, Fatal> {
        let latched = self.processor.apic.nmis() > 0;
        if !latched && !self.nmi_in_kvm {
            return Ok(false);
        }
        let nmi = self.nmi_state(vcpu)?;
        Ok(nmi.injected != 0 || (latched || nmi.pending != 0) && nmi.masked == 0)
    }

    fn nmi_waits_in_kvm(&mut self, vcpu: &VcpuFd) -> Result<bool, Fatal> {
        if self.nmi_in_kvm {
            self.nmi_state(vcpu)?;
        }
        Ok(self.nmi_in_kvm)
    }

    fn nmi_state(&mut self, vcpu: &VcpuFd) -> Result<NmiState, Fatal> {
        let nmi = vcpu.get_vcpu_events().map_err(Fatal::Run)?.nmi;
        self.nmi_in_kvm = nmi.pending != 0 || nmi.injected != 0;
        Ok(nmi)
    }

    /// Waits at `place` until kicked; returns the ticks since `since`.
    fn sleep(&mut self, presence: &Presence, place: Place, since: Tsc) -> u64 {
        let clock = self.processor.clock();
        self.processor.ledger.falls_asleep(since);
        if self.halt_poll.wait(presence, since, clock) {
            let _ = presence.leave();
        } else {
            presence.sleep(place, thread::park);
        }
        let woken = Tsc::now();
        self.processor.ledger.wakes(woken);
        let asleep = woken.since(since);
        self.halt_poll.learn(clock.nanoseconds(asleep));
        // The timer may have been what woke us, a little early by our clock.
        self.timer.expired();
        asleep
    }

    /// Hands to KVM what waits, as of `turn`.
    fn inject(&mut self, vcpu: &mut VcpuFd, turn: Tsc) -> Result<(), Fatal> {
        // One NMI at a time: hosts differ in how many they keep, and all keep one.
        let nmi = self.processor.apic.nmis() > 0 && !self.nmi_waits_in_kvm(vcpu)?;
        let Processor { apic, ledger, .. } = &mut self.processor;
        let plan = Plan::for_entry(Readiness {
            open: self.open,
            vector: apic.deliverable().is_some(),
            external: apic.ext_int(),
            nmi,
        });
        if plan.nmi && apic.take_nmi() {
            vcpu.nmi().map_err(Fatal::Run)?;
            self.nmi_in_kvm = true;
            // A vector queued in a later turn of the same entry would be delivered before the NMI.
            self.open = false;
            ledger.nmi_injected(Tsc::now(), turn);
        }
        if plan.interrupt
            && let Some(vector) = apic.acknowledge()
        {
            self.host
                .injection
                .queue(vcpu, vector)
                .map_err(Fatal::Run)?;
            self.open = false;
            ledger.injected(vector, Tsc::now(), turn);
        }
        if plan.external {
            let vector = self.ports.acknowledge_pic();
            apic.end_ext_int();
            self.host
                .injection
                .queue(vcpu, vector)
                .map_err(Fatal::Run)?;
            self.open = false;
            ledger.external_injected(vector, turn);
        }
        vcpu.get_kvm_run().request_interrupt_window = plan.window.into();
        Ok(())
    }

    /// Arms the timer for the APIC's deadline, or sooner where something must be looked at again.
    fn arm_timer(&mut self, now: Tsc) {
        let apic = &self.processor.apic;
        let deadline = self.processor.deadline();
        let held = !self.host.task_priority_exits && apic.held_by_task_priority();
        // A halted guest changes neither its task priority nor the blocking of NMIs.
        let look_again = !self.halted && (held || apic.nmis() > 0);
        if deadline.is_none() && !look_again {
            return;
        }
        let time = self.processor.time(now);
        let again = look_again.then_some(time + RECHECK_NS);
        if let Some(deadline) = [deadline, again].into_iter().flatten().min() {
            self.timer.arm(deadline, time);
        }
    }
}
