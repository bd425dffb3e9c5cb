//! The order of things, on the bootstrap processor.

use crate::cmdline::{self, Options};
use crate::ipi::Mode;
use crate::scenario::Run;
use crate::wait::Stuck;
use crate::{apic, console, cpu, health, idt, marker, paging, processors, start, tsc};

/// Exit code of a run in which something failed.
const FAILED: u8 = 1;

/// Exit code when the command line asks for what cannot be done.
const MISUSED: u8 = 2;

/// Everything from the entry to the end of the machine.
pub(crate) fn main(boot_params: usize) -> ! {
    paging::activate();
    idt::fill();
    cpu::set_up(0);

    let options = match cmdline::parse(start::command_line(boot_params)) {
        Ok(options) => options,
        Err(error) => {
            marker::fail("boot", format_args!("{error}"));
            marker::exit(MISUSED);
        }
    };
    tsc::set_khz(options.tsc_khz);
    cpu::set_count(options.cpus);

    let passed = run(&options).is_ok() && !marker::has_failed();
    marker::exit(if passed { 0 } else { FAILED });
}

/// An error has been reported, and ends the run early.
fn run(options: &Options) -> Result<(), Stuck> {
    let report = |stuck: &Stuck| marker::fail("boot", format_args!("{stuck}"));
    apic::enable();
    let started = processors::start().inspect_err(report)?;
    console::say(format_args!(
        "{} processors up in {}",
        options.cpus,
        tsc::Micros(started)
    ));

    for &mode in options.modes {
        if mode == Mode::X2apic {
            if !apic::x2apic_offered() {
                marker::fail("boot", format_args!("CPUID does not offer x2APIC mode"));
                break;
            }
            processors::switch_to_x2apic().inspect_err(report)?;
        }
        options.scenario.run(&Run { mode, options })?;
        health::check(mode);
    }
    Ok(())
}
