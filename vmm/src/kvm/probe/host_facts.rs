//! Which machine was asked.

use std::{fmt, fs, thread};

use serde::Serialize;

use crate::kvm::Host;

/// The machine that was asked.
#[derive(Clone, Debug, Serialize)]
pub struct HostFacts {
    /// Linux release.
    pub kernel: Option<String>,
    /// The processor's name for itself.
    pub processor: Option<String>,
    /// The kernel modules that are or serve KVM.
    pub modules: Vec<String>,
    /// Processors this process may run on.
    pub processors: usize,
    /// Clock of a guest's TSC in kHz.
    pub tsc_khz: Option<u32>,
    /// vCPUs a VM should have at most, and can have at most.
    pub recommended_vcpus: usize,
    /// The latter.
    pub max_vcpus: usize,
}

impl HostFacts {
    pub(super) fn collect(host: &Host, tsc_khz: Option<u32>) -> Self {
        Self {
            kernel: first_line("/proc/sys/kernel/osrelease"),
            processor: processor(),
            modules: modules(),
            processors: thread::available_parallelism().map_or(1, usize::from),
            tsc_khz,
            recommended_vcpus: host.kvm().get_nr_vcpus(),
            max_vcpus: host.max_vcpus(),
        }
    }
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

fn processor() -> Option<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = cpuinfo
        .lines()
        .find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn modules() -> Vec<String> {
    let names = fs::read_dir("/sys/module").into_iter().flatten().flatten();
    let mut names: Vec<_> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name == "kvm" || name.starts_with("kvm_"))
        .collect();
    names.sort();
    names
}

impl fmt::Display for HostFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = || "unknown".to_owned();
        let tsc = self
            .tsc_khz
            .map_or_else(unknown, |khz| format!("{khz} kHz"));
        write!(
            f,
            "Linux {}, {}, {} processors, TSC {tsc}, KVM as {}, up to {} vCPUs ({} recommended)",
            self.kernel.clone().unwrap_or_else(unknown),
            self.processor.clone().unwrap_or_else(unknown),
            self.processors,
            if self.modules.is_empty() {
                unknown()
            } else {
                self.modules.join(" + ")
            },
            self.max_vcpus,
            self.recommended_vcpus,
        )
    }
}
