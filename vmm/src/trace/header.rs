//! What a trace says of its run, at its beginning and at its end.

use serde::{Deserialize, Serialize};
use vapic::{Config, Features};

use super::Policy;
use crate::observe::report::{Ending, Run, Waiting};
use crate::observe::{Clock, Tsc};

/// The facts of a run that are known when it begins.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Header {
    /// What is run, and where; its duration is 0.
    pub run: Run,
    /// What the stamps are.
    pub clock: ClockFacts,
    /// What a full ring costs.
    pub policy: Policy,
    /// What the vCPUs' APICs are made of, if they are ours.
    pub apic: Option<ApicFacts>,
}

/// What stamps are: raw readings of the host's TSC.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ClockFacts {
    /// The stamp of the run's start.
    pub start: u64,
    /// Ticks a millisecond, of the host and of the guest alike: KVM scales the guest's TSC only if
    /// it is asked to, which this program does not.
    pub khz: u64,
    /// For each vCPU what its TSC is ahead of the host's, modulo 2^64: a guest's stamp is the
    /// host's plus this. Empty if this KVM does not tell. A guest can change its own.
    pub guest_offsets: Vec<u64>,
}

/// What an APIC of the VM is made of, besides its ID.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ApicFacts {
    /// Width of physical addresses in bits.
    pub physical_bits: u8,
    /// Its timer has TSC-deadline mode.
    pub tsc_deadline: bool,
    /// EOI broadcasts can be suppressed.
    pub eoi_suppression: bool,
    /// It has an entry for corrected machine checks.
    pub corrected_machine_check: bool,
}

/// How a run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// What ended it.
    pub ending: Ending,
    /// How long it took, from its start.
    pub duration_ns: u64,
    /// What waits in each vCPU's mailbox.
    pub waiting: Vec<Waiting>,
    /// Records in the file.
    pub records: u64,
    /// Records that found their ring full.
    pub lost_records: u64,
    /// When each vCPU's thread left its loop, and the page of its APIC then, in hexadecimal.
    pub pages: Vec<Option<Page>>,
}

/// The registers of an APIC, laid out as by KVM_GET_LAPIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The stamp of the moment.
    pub at: u64,
    /// Its bytes, two digits each.
    pub bytes: String,
}

impl Header {
    /// The same with nothing in its words that a terminal would obey.
    #[must_use]
    pub(super) fn printable(mut self) -> Self {
        let Run {
            version,
            apic_mode,
            scenario,
            kernel,
            host,
            ..
        } = &mut self.run;
        for text in [
            version,
            apic_mode,
            scenario,
            kernel,
            &mut host.cpu_model,
            &mut host.kernel,
        ] {
            printable(text);
        }
        self
    }
}

impl End {
    /// The same with nothing in its words that a terminal would obey.
    #[must_use]
    pub(super) fn printable(mut self) -> Self {
        if let Ending::Error(text) = &mut self.ending {
            printable(text);
        }
        self
    }
}

fn printable(text: &mut String) {
    if text.chars().any(char::is_control) {
        let shown = |c: char| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        };
        *text = text.chars().map(shown).collect();
    }
}

impl ClockFacts {
    /// The clock that turns stamps into time.
    #[must_use]
    pub const fn clock(&self) -> Clock {
        Clock::new(Tsc(self.start), self.khz)
    }
}

impl ApicFacts {
    /// The facts in an APIC's configuration.
    #[must_use]
    pub const fn of(config: &Config) -> Self {
        let Features {
            x2apic: _,
            tsc_deadline,
            eoi_suppression,
            corrected_machine_check,
        } = config.features;
        Self {
            physical_bits: config.physical_bits,
            tsc_deadline,
            eoi_suppression,
            corrected_machine_check,
        }
    }

    /// The configuration of the APIC of vCPU `id`.
    #[must_use]
    pub const fn config(self, id: u32) -> Config {
        Config {
            id,
            bootstrap: id == 0,
            physical_bits: self.physical_bits,
            features: Features {
                // CPUID always offers it.
                x2apic: true,
                tsc_deadline: self.tsc_deadline,
                eoi_suppression: self.eoi_suppression,
                corrected_machine_check: self.corrected_machine_check,
            },
        }
    }
}

impl Page {
    /// A page as it was at a stamp.
    #[must_use]
    pub fn new(at: Tsc, page: &[u8]) -> Self {
        Self {
            at: at.0,
            bytes: page.iter().map(|byte| format!("{byte:02x}")).collect(),
        }
    }
}
