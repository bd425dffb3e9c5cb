//! What was run, how it ended, and its few numbers.

use maud::{Markup, html};

use super::figure::Section;
use super::quantity::{count, cut, duration};
use crate::observe::report::{ApicKind, Report, Run, Status};

/// Longest sentence that is not ours.
const LONGEST: usize = 300;
/// Most failures that are shown.
const MOST_FAILURES: usize = 16;

/// The page's title.
pub(super) fn title(report: &Report) -> String {
    let run = &report.run;
    let what = match (run.scenario.as_str(), run.kernel.as_str()) {
        ("", "") => "A run".to_owned(),
        ("", kernel) => cut(kernel, LONGEST),
        (scenario, _) => cut(scenario, LONGEST),
    };
    match run.cpus {
        1 => format!("{what} on 1 vCPU"),
        cpus => format!("{what} on {cpus} vCPUs"),
    }
}

pub(super) fn section(report: &Report) -> Section {
    Section {
        id: "summary",
        heading: "Summary",
        lead: String::new(),
        body: html! {
            (verdict(report))
            (figures(report))
            (facts(&report.run))
        },
    }
}

fn verdict(report: &Report) -> Markup {
    let (class, word) = match report.outcome.status {
        Status::Passed => ("passed", "Passed"),
        Status::Failed => ("failed", "Failed"),
        Status::Interrupted => ("interrupted", "Interrupted"),
        Status::Error => ("failed", "Error"),
    };
    html! {
        p.verdict {
            strong class={ "status " (class) } { (word) }
            " in " (duration(report.run.duration_ns))
        }
        @if !report.outcome.reasons.is_empty() {
            ul.reasons {
                @for reason in &report.outcome.reasons { li { (cut(reason, LONGEST)) } }
            }
        }
        @if report.failures.len() > 1 {
            details {
                summary { "What the guest reported" }
                ul {
                    @for failure in report.failures.iter().take(MOST_FAILURES) {
                        li { (cut(&failure.scenario, LONGEST)) ": " (cut(&failure.text, LONGEST)) }
                    }
                }
            }
        }
    }
}

fn figures(report: &Report) -> Markup {
    let ipis = &report.totals.ipis;
    let lost_records = report.run.trace.map_or(0, |trace| trace.lost_records);
    let records = report.run.trace.map_or(0, |trace| trace.records);
    let figure = |class: Option<&str>, name: &str, value: &str, more: &str| {
        html! {
            div class=[class] {
                dt { (name) }
                dd { span.value { (value) } @if !more.is_empty() { span.more { (more) } } }
            }
        }
    };
    let bad = |is: bool| is.then_some("bad");
    html! {
        dl.figures {
            @if report.ipis_observed {
                (figure(None, "IPIs", &count(ipis.sent), &format!("to {} targets", count(ipis.targets))))
                (figure(None, "Injected", &count(ipis.injected), &format!("{} coalesced, {} refused",
                    count(ipis.coalesced()), count(ipis.refused))))
                (figure(bad(report.lost.total != 0), "Lost", &report.lost.total.to_string(), "deliveries"))
                (figure(None, "Exits per IPI", &format!("{:.2}", report.exits_per_ipi), ""))
                (figure(None, "To injection", &duration(report.totals.send_to_inject.p50_ns),
                    &format!("median; p99 {}", duration(report.totals.send_to_inject.p99_ns))))
            } @else {
                (figure(None, "IPIs", "unseen", "KVM's own APIC delivers them"))
            }
            (figure(None, "Exits", &count(report.totals.exit_count),
                &format!("{} outside the guest", duration(report.totals.outside_ns))))
            (figure(bad(lost_records != 0), "Lost records", &count(lost_records),
                &format!("of {}", count(records.saturating_add(lost_records)))))
        }
    }
}

fn facts(run: &Run) -> Markup {
    let apic = match run.apic {
        ApicKind::Userspace => "in user space",
        ApicKind::Kernel => "KVM's own",
    };
    let host = &run.host;
    let facts = [
        (
            "APIC",
            match run.apic_mode.as_str() {
                "both" => format!("{apic}, xAPIC and x2APIC mode"),
                "guest" => format!("{apic}, the guest's choice of mode"),
                mode => format!("{apic}, {} mode", cut(mode, LONGEST)),
            },
        ),
        (
            "Machine",
            format!("{} vCPUs, {} MiB", run.cpus, run.memory_bytes >> 20),
        ),
        (
            "Host",
            format!(
                "{}, {} processors{}",
                cut(&host.cpu_model, LONGEST),
                host.cpus,
                if host.virtualized {
                    ", itself a virtual machine"
                } else {
                    ""
                }
            ),
        ),
        ("Host kernel", cut(&host.kernel, LONGEST)),
        (
            "Guest kernel",
            match run.kernel.as_str() {
                "" => "the one inside vapic".to_owned(),
                kernel => cut(kernel, LONGEST),
            },
        ),
    ];
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}
