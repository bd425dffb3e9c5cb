//! What the figures were measured on, without which they say nothing.

use std::fs;
use std::thread::available_parallelism;

/// The host in one line.
pub(crate) fn describe() -> String {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = text("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown processor", |(_, model)| model);
    let processors = available_parallelism().map_or(0, usize::from);
    let kernel = text("/proc/sys/kernel/osrelease");
    let virtualized = cpuinfo.contains(" hypervisor");
    format!(
        "Host: {model}, {processors} processors, Linux {}{}; load {} before; threads not pinned.",
        kernel.trim(),
        if virtualized {
            ", itself a virtual machine"
        } else {
            ""
        },
        text("/proc/loadavg").split(' ').next().unwrap_or("?"),
    )
}
