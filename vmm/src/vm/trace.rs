//! Begins the trace of a VM, before anything happens in it.

use anyhow::Context;
use kvm_ioctls::VcpuFd;

use super::VmConfig;
use super::vcpus::Apics;
use crate::kvm::{ApicModel, tsc_offset};
use crate::observe::Observer;
use crate::observe::report::Run;
use crate::trace::{ApicFacts, ClockFacts, Header, Options, Tracer, Writer};

/// Makes the rings and writes what is known of the run.
pub(super) fn begin(
    options: &Options,
    config: &VmConfig,
    observer: &Observer,
    apics: Apics,
    fds: &[VcpuFd],
) -> anyhow::Result<Writer> {
    let clock = observer.clock();
    let offsets: Result<_, _> = fds.iter().map(tsc_offset).collect();
    let header = Header {
        run: Run {
            tsc_khz: clock.khz(),
            ..options.run.clone()
        },
        clock: ClockFacts {
            start: clock.start().0,
            khz: clock.khz(),
            guest_offsets: offsets.unwrap_or_default(),
        },
        policy: options.policy,
        apic: (config.apic == ApicModel::Userspace).then(|| ApicFacts::of(&apics.config(0))),
    };
    let Tracer {
        vcpus,
        devices,
        marks,
        mut writer,
    } = Tracer::new(options, fds.len());
    writer.begin(&header).context("cannot write the trace")?;
    observer.record_to(vcpus, devices, marks);
    Ok(writer)
}
