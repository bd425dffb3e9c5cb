//! What this machine is: the first line of the report.

use std::fs;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cpus;
use crate::kernel_log::Message;

/// Most complaints printed; a kernel that repeats itself says nothing new.
const MOST_COMPLAINTS: usize = 40;

/// The machine as its kernel sees it.
#[derive(Debug, Serialize)]
pub(crate) struct System {
    release: String,
    command_line: String,
    /// Since the kernel started, in seconds.
    uptime: f64,
    cpus: Cpus,
    x2apic: X2apic,
    clocksource: String,
    /// Lines of the kernel's log; see [`complaints`].
    pub(crate) complaints: Vec<String>,
}

/// How many processors.
#[derive(Debug, Serialize)]
struct Cpus {
    /// That could ever be added.
    possible: usize,
    /// That are there.
    present: usize,
    /// That run.
    online: usize,
}

/// The mode of the Local APICs.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct X2apic {
    /// Whether the kernel sees the feature. It hides it on `nox2apic`.
    offered: bool,
    /// Whether it is used, by what the log says.
    on: bool,
    /// What the kernel calls its way of addressing, if it has chosen another than its first.
    routing: Option<String>,
}

impl System {
    /// Asks the kernel; `log` is what it has said so far.
    pub(crate) fn ask(command_line: &str, log: &[Message]) -> Result<Self> {
        let count = |list| cpus::listed(list).map(|cpus| cpus.len());
        let uptime = read("/proc/uptime")?;
        let seconds = uptime.split(' ').next().and_then(|text| text.parse().ok());
        let processor = read("/proc/cpuinfo")?;
        Ok(Self {
            release: read("/proc/sys/kernel/osrelease")?,
            command_line: command_line.to_owned(),
            uptime: seconds.context("/proc/uptime is no number")?,
            cpus: Cpus {
                possible: count("possible")?,
                present: count("present")?,
                online: count("online")?,
            },
            x2apic: X2apic::of(&processor, log),
            clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?,
            complaints: complaints(log),
        })
    }

    /// What the VMM is told: which vectors this kernel has depends on its release.
    pub(crate) fn for_marker(&self) -> String {
        let Self {
            release,
            uptime,
            cpus: Cpus { online, .. },
            x2apic: X2apic { on, .. },
            complaints,
            ..
        } = self;
        let (x2apic, complaints) = (u8::from(*on), complaints.len());
        format!(
            "release={release} online={online} x2apic={x2apic} boot_seconds={uptime} \
             complaints={complaints}"
        )
    }

    /// What is wrong with it, if anything.
    pub(crate) fn fault(&self) -> Option<String> {
        let Cpus {
            online, present, ..
        } = self.cpus;
        (online != present).then(|| format!("{online} of {present} processors are online"))
    }
}

impl X2apic {
    fn of(processor: &str, log: &[Message]) -> Self {
        let mut flags = processor.lines().filter(|line| line.starts_with("flags"));
        let routing = log.iter().rev().find_map(|message| {
            let (_, name) = message.text.split_once("Switched APIC routing to")?;
            Some(name.trim_matches([':', ' ', '.']).to_owned())
        });
        let said = |text: &str| log.iter().any(|message| message.text.contains(text));
        Self {
            offered: flags.any(|line| line.split_whitespace().any(|flag| flag == "x2apic")),
            on: said("x2apic enabled") || routing.as_ref().is_some_and(|n| n.contains("x2apic")),
            routing,
        }
    }
}

/// The complaints among these messages, the first of them if there are very many.
pub(crate) fn complaints(log: &[Message]) -> Vec<String> {
    let complaints = log.iter().filter(|message| message.complains());
    complaints
        .take(MOST_COMPLAINTS)
        .map(|message| message.text.clone())
        .collect()
}

fn read(path: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x2apic(flags: &str, log: &[&str]) -> X2apic {
        let record = |text: &&str| Message::parse(format!("6,1,0,-;{text}").as_bytes());
        let log: Vec<_> = log.iter().filter_map(record).collect();
        X2apic::of(
            &format!("model name\t: x2apic\nflags\t\t: fpu {flags} sse\n"),
            &log,
        )
    }

    #[test]
    fn the_log_tells_whether_x2apic_is_on() {
        let physical = x2apic("x2apic", &["Switched APIC routing to physical x2apic."]);
        assert_eq!(physical.routing.as_deref(), Some("physical x2apic"));
        assert!(physical.on && physical.offered);
        let newer = x2apic(
            "x2apic",
            &["APIC: Switched APIC routing to: cluster x2apic"],
        );
        assert_eq!(newer.routing.as_deref(), Some("cluster x2apic"));
        let flat = x2apic("", &["Switched APIC routing to physical flat."]);
        assert!(!flat.on && !flat.offered);
        assert!(x2apic("x2apic", &["x2apic enabled"]).on);
    }
}
