//! The paragraph at the top.

use super::MOST_LINES;
use crate::observe::Cause;
use crate::observe::report::columns::{microseconds, sum};
use crate::observe::report::{ApicKind, Report, Status};

pub(super) fn summary(report: &Report) -> String {
    let mut lines = vec![verdict(report)];
    lines.extend(
        report
            .outcome
            .reasons
            .iter()
            .map(|reason| format!("  {reason}.")),
    );
    if report.run.partial {
        lines.push(
            "  INCOMPLETE: not all that happened is in the trace, so that the counts below are of \
             what is."
                .to_owned(),
        );
    }
    let failures = report.failures.iter().take(MOST_LINES);
    lines.extend(failures.map(|failure| format!("  {}: {}", failure.scenario, failure.text)));
    if report.failures.len() > MOST_LINES {
        let more = report.failures.len() - MOST_LINES;
        lines.push(format!(
            "  and {more} more failure(s), which the JSON report lists."
        ));
    }
    if report.ipis_observed {
        lines.extend(ipis(report));
    } else {
        lines.push(
            "  KVM's own APIC delivers IPIs without leaving the guest: none of them is seen here. \
             The guest's own timings below can be compared."
                .to_owned(),
        );
    }
    lines.extend(markers(report));
    lines.extend(trace(report));
    lines.push(String::new());
    lines.join("\n")
}

fn verdict(report: &Report) -> String {
    let run = &report.run;
    let status = match report.outcome.status {
        Status::Passed => "PASSED",
        Status::Failed => "FAILED",
        Status::Interrupted => "INTERRUPTED",
        Status::Error => "ERROR",
    };
    let guest = match (run.kernel.as_str(), run.scenario.as_str()) {
        ("", "") => "the guest".to_owned(),
        ("", scenario) => format!("scenario {scenario}"),
        (kernel, "") => kernel.to_owned(),
        (kernel, scenario) => format!("{kernel}, scenario {scenario}"),
    };
    let apic = match run.apic {
        ApicKind::Userspace => "user-space APIC",
        ApicKind::Kernel => "KVM's in-kernel APIC",
    };
    let mode = match run.apic_mode.as_str() {
        "both" => "xAPIC and x2APIC mode".to_owned(),
        "guest" => "the guest's choice of mode".to_owned(),
        mode => format!("{mode} mode"),
    };
    format!(
        "{status}: {guest} on {} vCPU(s) and {} host CPU(s), {apic}, {mode}, {}.",
        run.cpus,
        run.host.cpus,
        sum(run.duration_ns)
    )
}

fn ipis(report: &Report) -> Vec<String> {
    let ipis = &report.totals.ipis;
    let accounts = report.lost.by_kind.iter();
    let waiting: u64 = accounts
        .map(|(_, account)| account.pending + account.waiting)
        .sum();
    let of_ipi = Cause::OF_IPI
        .iter()
        .filter_map(|cause| report.totals.exits.get(cause.name()));
    let (exits, time) = of_ipi.fold((0u64, 0u64), |(exits, time), spread| {
        (exits + spread.count, time.saturating_add(spread.total_ns))
    });
    vec![
        format!(
            "  {} IPIs to {} targets: {} injected, {} coalesced, {} refused, {} waiting at the end, {} {}.",
            ipis.sent,
            ipis.targets,
            ipis.injected,
            ipis.coalesced(),
            ipis.refused,
            waiting,
            report.lost.total,
            if report.run.partial {
                "not found in the trace"
            } else {
                "lost"
            }
        ),
        format!(
            "  {:.2} exits per IPI (ICR, ICR2, SELF IPI, EOI, interrupt window, kick), {} each.",
            report.exits_per_ipi,
            microseconds(time.checked_div(exits).unwrap_or(0))
        ),
    ]
}

/// What the trace has; the account does not depend on it.
fn trace(report: &Report) -> Option<String> {
    let trace = report.run.trace?;
    Some(format!(
        "  Traced in {} records; {} more were dropped{}.",
        trace.records,
        trace.lost_records,
        match trace.lost_records {
            0 => "",
            _ => ", as a ring was full or the file at its limit",
        }
    ))
}

fn markers(report: &Report) -> Option<String> {
    let markers = &report.markers;
    let counts = [
        (markers.unfinished_phases, "phase(s) not finished"),
        (markers.dropped_phases, "phase(s) too many to keep"),
        (markers.dropped_results, "result(s) too many to keep"),
        (markers.dropped_failures, "failure(s) too many to keep"),
        (markers.malformed_lines, "marker line(s) not understood"),
    ];
    let told: Vec<_> = counts
        .iter()
        .filter(|(count, _)| *count != 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    (!told.is_empty()).then(|| format!("  Of the guest's markers: {}.", told.join(", ")))
}
