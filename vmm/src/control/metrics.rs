//! The counters in Prometheus' text format, as `GET /metrics` gives them.
//!
//! Base units, `_total` for counters, and a series for everything that can happen, zero or not, but
//! for vectors and refusals: those that occurred. The matrix is left out: it grows with the square
//! of the vCPUs.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use vapic::spec::message::DeliveryMode;

use super::About;
use crate::observe::report::{ApicKind, mode_name};
use crate::observe::{Cause, Clock, Count, Counters, Kick, Kind, Observer, Refusal, Snapshot, Tsc};

pub(super) use prometheus_client::encoding::prometheus_text::CONTENT_TYPE;

/// The counters now.
///
/// # Panics
///
/// Never: writing to a string does not fail.
pub(super) fn text(about: &About, observer: &Observer) -> String {
    let mut registry = Registry::with_prefix("vapic");
    registry.register_collector(Box::new(Scrape::take(about, observer)));
    let mut text = String::new();
    prometheus_client::encoding::prometheus_text::encode(&mut text, &registry)
        .expect("a string takes everything");
    text
}

/// The counters at one moment.
#[derive(Debug)]
struct Scrape {
    about: About,
    clock: Clock,
    uptime: u64,
    vcpus: Vec<Vcpu>,
    sum: Snapshot,
    devices: Snapshot,
}

#[derive(Debug)]
struct Vcpu {
    number: String,
    counters: Snapshot,
    /// Ticks.
    asleep: u64,
}

/// Counters by vector.
type OfVector = fn(u8) -> Count;
type Label = (&'static str, &'static str);

impl Scrape {
    fn take(about: &About, observer: &Observer) -> Self {
        let clock = observer.clock();
        let vcpu = |(number, counters): (usize, &std::sync::Arc<Counters>)| Vcpu {
            number: number.to_string(),
            asleep: counters.asleep().ticks(clock.elapsed(Tsc::now())),
            counters: counters.snapshot(),
        };
        let vcpus: Vec<Vcpu> = observer.counters().iter().enumerate().map(vcpu).collect();
        let mut sum = Snapshot::default();
        vcpus.iter().for_each(|vcpu| sum.accumulate(&vcpu.counters));
        Self {
            about: about.clone(),
            clock,
            uptime: clock.elapsed(Tsc::now()),
            vcpus,
            sum,
            devices: observer.device_counters().snapshot(),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds are floats to Prometheus"
    )]
    fn seconds(&self, ticks: u64) -> f64 {
        ticks as f64 / (self.clock.khz() as f64 * 1e3)
    }

    /// For every vCPU a series for each label.
    fn counts<const N: usize>(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        (name, help): (&str, &str),
        series: [(Label, Count); N],
    ) -> fmt::Result {
        let mut family = Family::counter(encoder, name, help, None)?;
        for Vcpu {
            number, counters, ..
        } in &self.vcpus
        {
            for (label, count) in series {
                family.add(&[("vcpu", number), label], counters.get(count))?;
            }
        }
        Ok(())
    }

    /// For every vCPU one series.
    fn count(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        count: Count,
    ) -> fmt::Result {
        let mut family = Family::counter(encoder, name, help, None)?;
        let mut vcpus = self.vcpus.iter();
        vcpus.try_for_each(|vcpu| family.add(&[("vcpu", &vcpu.number)], vcpu.counters.get(count)))
    }

    /// For every vCPU one series in seconds.
    fn time(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        ticks: impl Fn(&Vcpu) -> u64,
    ) -> fmt::Result {
        let mut family = Family::counter(encoder, name, help, Some(&Unit::Seconds))?;
        let mut vcpus = self.vcpus.iter();
        vcpus.try_for_each(|vcpu| {
            let seconds = self.seconds(ticks(vcpu));
            family.add_seconds(&[("vcpu", &vcpu.number)], seconds)
        })
    }

    fn machine(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let About {
            version,
            guest,
            apic,
            apic_mode,
            ..
        } = &self.about;
        let apic = match apic {
            ApicKind::Userspace => "userspace",
            ApicKind::Kernel => "kernel",
        };
        let labels: [(&str, &str); 4] = [
            ("version", version),
            ("guest", guest),
            ("apic", apic),
            ("apic_mode", apic_mode),
        ];
        encoder
            .encode_descriptor("vm", "What runs.", None, MetricType::Info)?
            .encode_info(&labels)?;
        let seconds = self.seconds(self.uptime);
        encoder
            .encode_descriptor(
                "uptime",
                "Since the VM was made.",
                Some(&Unit::Seconds),
                MetricType::Gauge,
            )?
            .encode_gauge(&seconds)
    }

    fn exits(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.counts(
            encoder,
            ("exits", "Returns from KVM_RUN, by cause."),
            Cause::ALL.map(|cause| (("cause", cause.name()), Count::Exits(cause))),
        )?;
        let help = "Time outside the guest by cause of the exit, sleep left out.";
        let mut family = Family::counter(encoder, "outside", help, Some(&Unit::Seconds))?;
        for Vcpu {
            number, counters, ..
        } in &self.vcpus
        {
            for cause in Cause::ALL {
                let seconds = self.seconds(counters.get(Count::Outside(cause)));
                family.add_seconds(&[("vcpu", number), ("cause", cause.name())], seconds)?;
            }
        }
        let help = "Times that a halted vCPU's thread slept.";
        self.count(encoder, "parks", help, Count::Parks)?;
        let help = "Time asleep, halted or waiting for a start-up IPI; a sleep under way counts.";
        self.time(encoder, "parked", help, |vcpu| vcpu.asleep)
    }

    fn senders(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let by_mode = |count: fn(DeliveryMode) -> Count| {
            DeliveryMode::ALL.map(|mode| (("mode", mode_name(mode)), count(mode)))
        };
        self.counts(
            encoder,
            (
                "ipis_sent",
                "Writes of the ICR or of SELF IPI that sent something.",
            ),
            by_mode(Count::Sent),
        )?;
        self.counts(
            encoder,
            (
                "posted",
                "Deliveries that were new in their target's mailbox.",
            ),
            by_mode(Count::PostedNew),
        )?;
        self.counts(
            encoder,
            (
                "coalesced_at_post",
                "Deliveries that found an equal one in the mailbox.",
            ),
            by_mode(Count::CoalescedAtPost),
        )?;
        self.counts(
            encoder,
            ("kicks", "How targets were woken."),
            Kick::ALL.map(|kick| (("kick", kick.name()), Count::Kicks(kick))),
        )?;
        let sent = self.devices.sum(DeliveryMode::ALL.map(Count::Sent));
        Family::counter(
            encoder,
            "device_messages",
            "Interrupts that devices sent.",
            None,
        )?
        .add(&[], sent)
    }

    fn targets(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let by_kind =
            |count: fn(Kind) -> Count| Kind::ALL.map(|kind| (("kind", kind.name()), count(kind)));
        self.counts(
            encoder,
            ("accepted", "Deliveries accepted by the APIC."),
            by_kind(Count::Accepted),
        )?;
        self.counts(
            encoder,
            (
                "coalesced_at_accept",
                "Deliveries whose request was set already.",
            ),
            by_kind(Count::CoalescedAtAccept),
        )?;
        self.counts(
            encoder,
            ("injected", "Deliveries handed to the processor."),
            by_kind(Count::Injected),
        )?;
        let mut family = Family::counter(encoder, "refused", "Deliveries not taken.", None)?;
        for Vcpu {
            number, counters, ..
        } in &self.vcpus
        {
            for (kind, refusal) in Kind::ALL
                .into_iter()
                .flat_map(|kind| Refusal::ALL.map(|refusal| (kind, refusal)))
            {
                let refused = counters.get(Count::Refused(kind, refusal));
                if refused != 0 {
                    let labels = [
                        ("vcpu", number.as_str()),
                        ("kind", kind.name()),
                        ("reason", refusal.name()),
                    ];
                    family.add(&labels, refused)?;
                }
            }
        }
        for (name, help, count) in [
            ("ended", "IPIs ended by the guest's EOI.", Count::Ended),
            (
                "abandoned",
                "Vectors in service that a reset of the APIC forgot.",
                Count::Abandoned,
            ),
            (
                "local_injected",
                "Interrupts of local sources handed to the processor.",
                Count::LocalInjected,
            ),
            (
                "local_ended",
                "Interrupts of local sources ended.",
                Count::LocalEnded,
            ),
        ] {
            self.count(encoder, name, help, count)?;
        }
        Ok(())
    }

    fn latencies(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Vectors injected whose sending is known.";
        self.count(encoder, "injections_dated", help, Count::InjectionsDated)?;
        let help = "From sending to injection, summed over vapic_injections_dated_total.";
        self.time(encoder, "send_to_inject", help, |vcpu| {
            vcpu.counters.get(Count::AgeAtInjection)
        })?;
        let help = "Vectors ended whose sending is known.";
        self.count(encoder, "ends_dated", help, Count::EndsDated)?;
        let help = "From sending to the EOI, summed over vapic_ends_dated_total.";
        self.time(encoder, "send_to_end", help, |vcpu| {
            vcpu.counters.get(Count::AgeAtEnd)
        })
    }

    fn vectors(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let families: [(&str, &str, OfVector); 3] = [
            ("vector_sent", "IPIs sent, by vector.", Count::SentVector),
            (
                "vector_injected",
                "IPIs injected, by vector.",
                Count::InjectedVector,
            ),
            ("vector_ended", "IPIs ended, by vector.", Count::EndedVector),
        ];
        for (name, help, of) in families {
            let mut family = Family::counter(encoder, name, help, None)?;
            for vector in 0..=u8::MAX {
                let count = self.sum.get(of(vector));
                if count != 0 {
                    family.add(&[("vector", &vector.to_string())], count)?;
                }
            }
        }
        Ok(())
    }
}

impl Collector for Scrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.machine(&mut encoder)?;
        self.exits(&mut encoder)?;
        self.senders(&mut encoder)?;
        self.targets(&mut encoder)?;
        self.latencies(&mut encoder)?;
        self.vectors(&mut encoder)
    }
}

/// A metric whose series differ by labels.
struct Family<'a>(MetricEncoder<'a>);

impl<'a> Family<'a> {
    fn counter(
        encoder: &'a mut DescriptorEncoder<'_>,
        name: &'a str,
        help: &str,
        unit: Option<&'a Unit>,
    ) -> Result<Self, fmt::Error> {
        let encoder = encoder.encode_descriptor(name, help, unit, MetricType::Counter)?;
        Ok(Self(encoder))
    }

    fn add(&mut self, labels: &[(&str, &str)], value: u64) -> fmt::Result {
        let mut series = self.0.encode_family(&labels)?;
        series.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }

    fn add_seconds(&mut self, labels: &[(&str, &str)], value: f64) -> fmt::Result {
        let mut series = self.0.encode_family(&labels)?;
        series.encode_counter::<NoLabelSet, _, u64>(&value, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_units_and_labels() {
        let observer = Observer::new(2, Clock::new(Tsc::now(), 2_000_000));
        let counters = &observer.counters()[1];
        counters.add(Count::Exits(Cause::ApicIcr), 5);
        counters.add(Count::Outside(Cause::ApicIcr), 1_000_000_000);
        counters.add(Count::Refused(Kind::Vector, Refusal::Disabled), 2);
        counters.add(Count::SentVector(0x40), 9);
        let mut about = About::of_test();
        about.guest = "a \"quoted\"\nname".to_owned();
        let text = text(&about, &observer);
        for line in [
            "# HELP vapic_exits_total Returns from KVM_RUN, by cause.",
            "# TYPE vapic_exits_total counter",
            "vapic_exits_total{vcpu=\"1\",cause=\"apic_icr\"} 5",
            "vapic_exits_total{vcpu=\"0\",cause=\"apic_icr\"} 0",
            "vapic_outside_seconds_total{vcpu=\"1\",cause=\"apic_icr\"} 0.5",
            "vapic_refused_total{vcpu=\"1\",kind=\"vector\",reason=\"disabled\"} 2",
            "vapic_vector_sent_total{vector=\"64\"} 9",
            "vapic_device_messages_total 0",
            "# TYPE vapic_uptime_seconds gauge",
            "# TYPE vapic_parked_seconds_total counter",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
        let vm = text.lines().find(|line| line.starts_with("vapic_vm_info{"));
        assert!(
            vm.unwrap().contains(r#"guest="a \"quoted\"\nname""#),
            "{vm:?}"
        );
    }
}
