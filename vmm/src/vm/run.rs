//! Runs a VM to its end: its threads, and what is left of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::Context;

use super::Vm;
use super::vcpus::Loop;
use crate::events::EventLoop;
use crate::machine::{Ending, Machine};
use crate::memory::GuestMemory;
use crate::observe::{Ledger, Observer, Tsc};
use crate::trace;
use crate::vcpu::{self, ApicPage, Finished};

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
