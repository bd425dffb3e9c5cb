//! The init of a Linux guest: runs what makes a kernel send IPIs, and counts them from inside.
//!
//! As process 1 it mounts what it reads from, checks that every processor is up, runs each workload
//! of [`workload`] in a process of its own, and powers the machine off. A process for each keeps
//! the measurement clean: its address space has been on no processor but those it uses, so only
//! they are interrupted.
//!
//! Every result is a line of JSON on the console. The VMM is told where a workload begins and ends
//! through its marker page ([`marker`]), so that what it counts from outside and what the kernel
//! counts in /proc/interrupts are about the same time ([`phase`]).
//!
//! The kernel command line may say `vapic.only=munmap,mprotect vapic.sharers=1,3 vapic.pages=1,33
//! vapic.iterations=200 vapic.complaints=fail`; see [`options`].

mod affinity;
mod boot;
mod console;
mod cpus;
mod interrupts;
mod kernel_log;
mod latency;
mod marker;
mod marker_page;
mod mount;
mod options;
mod phase;
mod power;
mod region;
mod sharers;
mod system;
mod watchdog;
mod workload;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if std::process::id() == 1 {
        boot::run()
    } else if let Some(phase) = phase::Phase::from_arguments(&arguments) {
        phase.run()
    } else {
        eprintln!("this is the init of a Linux guest: run `vapic run --linux --kernel vmlinuz`");
        ExitCode::from(2)
    }
}
