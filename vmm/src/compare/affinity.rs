//! On which of the host's processors the runs may take place.

use std::fs;

use serde::{Deserialize, Serialize};

/// Processors as lists, such as `0-3,8`, as Linux writes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affinity {
    /// Those that this program may use; its children inherit it.
    pub allowed_cpus: String,
    /// Those that the host has running.
    pub online_cpus: String,
    /// Whether the program was kept from some of them, by `taskset` or a cpuset.
    pub pinned: bool,
}

impl Affinity {
    /// As found: what `sched_getaffinity` tells is in `/proc/self/status` in words. What cannot be
    /// read is left empty.
    #[must_use]
    pub fn read() -> Self {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        let status = text("/proc/self/status");
        let allowed = status
            .lines()
            .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        Self::new(
            allowed.unwrap_or_default().trim(),
            text("/sys/devices/system/cpu/online").trim(),
            text("/sys/devices/system/cpu/possible").trim(),
        )
    }

    /// A program that is free may use every possible processor, be it online or not.
    fn new(allowed: &str, online: &str, possible: &str) -> Self {
        Self {
            pinned: allowed != possible && allowed != online,
            allowed_cpus: allowed.to_owned(),
            online_cpus: online.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_is_who_may_not_use_all() {
        let pinned = |allowed| Affinity::new(allowed, "0-3", "0-127").pinned;
        assert!(!pinned("0-127") && !pinned("0-3"));
        assert!(pinned("0-1") && pinned("2"));
    }

    #[test]
    fn this_host_tells() {
        let affinity = Affinity::read();
        assert!(!affinity.allowed_cpus.is_empty() && !affinity.online_cpus.is_empty());
    }
}
