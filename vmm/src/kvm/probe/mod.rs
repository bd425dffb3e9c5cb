//! What this host's KVM does, seen by running a few instructions on it.
//!
//! Capabilities do not tell how KVM treats a VM without an in-kernel irqchip, and hosts differ:
//! hardware virtualisation by Intel or AMD, nested, emulated, or in software. Each question is a
//! guest of a dozen instructions; [`quick`] asks the two whose answers change how a machine is
//! run, [`full`] asks all of them for `vapic probe`, each in a VM of its own.
//!
//! A probe cannot hang us: its guest code is finite, the number of exits it may make is bounded,
//! and a watchdog ends a KVM_RUN that does not return.

mod answer;
mod hlt;
mod host_facts;
mod interrupt;
mod msr;
mod nmi;
mod report;
mod scratch;
mod seen;
mod table;
mod tpr;
mod watchdog;

use std::time::Duration;

use kvm_bindings::CpuId;
use serde::Serialize;

pub use answer::Answer;
pub use hlt::Hlt;
pub use host_facts::HostFacts;
pub use interrupt::{BlockedInterrupt, InterruptWindow, StiHltWindow};
pub use msr::MsrAccess;
pub use nmi::NmiDepth;
pub use report::{Probes, Report, SCHEMA};
pub use tpr::TprExits;

use self::scratch::{Scratch, Stopped};
use super::{CpuidError, Host, HostError, IA32_APIC_BASE, IA32_TSC_DEADLINE, Recipe};

/// How long one probe may take; they take a few milliseconds, on a busy host some tens.
const LIMIT: Duration = Duration::from_secs(2);

/// x2APIC registers as MSRs (SDM Vol. 3A, table 12-6): the first that can be read, and the ICR.
const X2APIC_ID: u32 = 0x802;
const X2APIC_ICR: u32 = 0x830;

/// What a machine must know of its host before it runs. A question that found no answer counts as
/// "no": that is then only slower, or an option the guest does without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Quick {
    /// A write of IA32_TSC_DEADLINE exits: TSC-deadline mode can be offered.
    pub tsc_deadline_exits: bool,
    /// Lowering CR8 exits: a vector held back by TPR alone needs no timer to look again.
    pub tpr_fall_exits: bool,
}

/// Why nothing could be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The host does not tell its CPUID.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Its CPUID is no use.
    #[error(transparent)]
    Cpuid(#[from] CpuidError),
}

/// Asks what every run needs to know, in one short-lived VM.
///
/// # Errors
/// [`ProbeError`]; a probe that fails is an answer.
pub fn quick(host: &Host) -> Result<Quick, ProbeError> {
    let ask = Asker::new(host)?;
    let answer = ask.ask(|scratch| {
        Ok(Quick {
            tsc_deadline_exits: msr::write(scratch, IA32_TSC_DEADLINE)?.exits(),
            tpr_fall_exits: tpr::exits(scratch).is_ok_and(|exits| exits.on_fall),
        })
    });
    Ok(match answer {
        Answer::Answer(quick) => quick,
        Answer::NoAnswer(_) => Quick::default(),
    })
}

/// Asks everything, each question in a VM of its own.
///
/// # Errors
/// As [`quick`].
pub fn full(host: &Host) -> Result<Report, ProbeError> {
    let ask = Asker::new(host)?;
    Ok(Report {
        schema: SCHEMA,
        host: HostFacts::collect(host, ask.tsc_khz()),
        capabilities: host.capabilities().to_vec(),
        probes: Probes {
            x2apic_write: ask.ask(|s| msr::write(s, X2APIC_ICR)),
            x2apic_read: ask.ask(|s| msr::read(s, X2APIC_ID)),
            apic_base_write: ask.ask(|s| msr::write(s, IA32_APIC_BASE)),
            tsc_deadline_write: ask.ask(|s| msr::write(s, IA32_TSC_DEADLINE)),
            tpr_exits: ask.ask(tpr::exits),
            interrupt_window: ask.ask(interrupt::window),
            sti_hlt_window: ask.ask(interrupt::sti_hlt_window),
            blocked_interrupt: ask.ask(interrupt::while_blocked),
            nmi_depth: ask.ask(nmi::depth),
            hlt: ask.ask(hlt::resume),
        },
    })
}

/// Makes a scratch machine for each question and watches over its answering.
struct Asker<'a> {
    host: &'a Host,
    cpuid: CpuId,
}

impl<'a> Asker<'a> {
    fn new(host: &'a Host) -> Result<Self, ProbeError> {
        let recipe = Recipe {
            vcpu_count: 1,
            tsc_deadline: true,
            tsc_khz: 0,
        };
        let cpuid = recipe.cpuid_for(&host.supported_cpuid()?, 0)?;
        Ok(Self { host, cpuid })
    }

    fn ask<T, F>(&self, question: F) -> Answer<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Scratch) -> Result<T, Stopped> + Send + 'static,
    {
        let asked = Scratch::new(self.host, &self.cpuid).and_then(|mut scratch| {
            watchdog::bounded(LIMIT, move |expired| {
                scratch.watch(expired);
                question(&mut scratch)
            })
        });
        Answer::from(asked)
    }

    /// Clock of a guest's TSC, where KVM tells it.
    fn tsc_khz(&self) -> Option<u32> {
        Scratch::new(self.host, &self.cpuid).ok()?.tsc_khz()
    }
}

#[cfg(test)]
mod tests;
