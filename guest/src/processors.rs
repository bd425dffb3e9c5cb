//! Starting the other processors, and giving them jobs.
//!
//! A processor without a job halts. The bootstrap processor gives it one through memory and wakes
//! it with an IPI; the job runs with interrupts on and tells how far it is through
//! [`Cpu::progress`], where anything but 0 means "ready".

#![expect(
    unsafe_code,
    reason = "a job is a function whose address crosses between processors"
)]

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::apic::{self, Door};
use crate::cpu::{self, Cpu};
use crate::ipi::Message;
use crate::start::{self, TRAMPOLINE_PAGE};
use crate::wait::{self, Stuck};
use crate::{tsc, vector};

/// From INIT to the first SIPI. The 10 ms of the manual are for chips that no KVM presents.
const INIT_TO_STARTUP_US: u64 = 200;

/// From the first SIPI to the second, which only a processor that missed the first one takes.
const STARTUP_TO_STARTUP_US: u64 = 200;

/// Starts all other processors and waits for them; the cycles it took.
pub(crate) fn start() -> Result<u64, Stuck> {
    let begin = tsc::now();
    let others = cpu::others();
    if others.is_empty() {
        return Ok(0);
    }
    start::install_trampoline();
    for (cpu, id) in others.iter().zip(1..) {
        cpu.set_id(id);
    }
    send_each(others.len(), Message::init);
    wait::pause_us(INIT_TO_STARTUP_US);
    send_each(others.len(), |id| Message::startup(id, TRAMPOLINE_PAGE));
    wait::pause_us(STARTUP_TO_STARTUP_US);
    send_each(others.len(), |id| Message::startup(id, TRAMPOLINE_PAGE));
    let up = wait::spin_until(others, "has not started", |cpu| cpu.online.load(Acquire))?;
    Ok(up - begin)
}

fn send_each(others: usize, message: impl Fn(u32) -> Message) {
    let door = Door::own();
    for id in (1..).take(others) {
        door.send(message(id));
    }
}

/// The life of a started processor.
pub(crate) fn serve(id: usize) -> ! {
    cpu::set_up(id);
    apic::enable();
    let cpu = cpu::this();
    cpu.online.store(true, Release);
    loop {
        wait::halt_until(|| !cpu.job.load(Acquire).is_null());
        let address = cpu.job.load(Acquire);
        // SAFETY: `dispatch` is the only one to store an address, of a `fn()`; this processor
        // alone sets it back to null, below.
        let job: fn() = unsafe { core::mem::transmute(address) };
        job();
        cpu.job.store(core::ptr::null_mut(), Release);
    }
}

/// Gives idle processors a job and waits until each is ready, with its wake-up ended.
pub(crate) fn dispatch(cpus: &[Cpu], job: fn()) -> Result<(), Stuck> {
    let door = Door::own();
    for (cpu, id) in cpus.iter().zip(first_id(cpus)..) {
        cpu.set_progress(0);
        cpu.job.store(job as *mut (), Release);
        cpu::increment(&cpu.wakes);
        door.send(Message::to(id, vector::WAKE));
    }
    wait::spin_until(cpus, "does not take its job", |cpu| {
        cpu.progress() != 0 && cpu.ended(vector::WAKE) == cpu.wakes.load(Relaxed)
    })?;
    Ok(())
}

/// Waits until processors are idle again.
pub(crate) fn finished(cpus: &[Cpu]) -> Result<(), Stuck> {
    wait::spin_until(cpus, "does not finish", |cpu| {
        cpu.job.load(Acquire).is_null()
    })?;
    Ok(())
}

/// Takes every processor from xAPIC to x2APIC mode, this one last; for a while both are in use.
pub(crate) fn switch_to_x2apic() -> Result<(), Stuck> {
    let job = || {
        apic::switch_to_x2apic();
        cpu::this().set_progress(1);
    };
    if cpu::this().x2apic.load(Relaxed) {
        return Ok(());
    }
    dispatch(cpu::others(), job)?;
    finished(cpu::others())?;
    apic::switch_to_x2apic();
    Ok(())
}

/// APIC id of the first of some processors.
fn first_id(cpus: &[Cpu]) -> u32 {
    cpus.first()
        .map_or(0, |cpu| u32::try_from(cpu.id()).unwrap_or(u32::MAX))
}
