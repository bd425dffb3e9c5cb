//! The way of the IPIs: by vCPU, mode, vector and pair; latencies, kicks, losses.

use super::{MOST_IN_MATRIX, MOST_VECTORS};
use crate::observe::report::columns::{Columns, microseconds};
use crate::observe::report::{Ipis, Report, Spread};

pub(super) fn by_vcpu(report: &Report) -> String {
    let mut columns = Columns::new(
        "IPIs by vCPU (sender's side up to coal@post, target's side from accepted on)",
        1,
        [
            "vCPU",
            "sent",
            "targets",
            "posted",
            "coal@post",
            "accepted",
            "coal@acc",
            "refused",
            "injected",
            "ended",
            "local",
            "lost",
        ],
    );
    let row = |name: String, ipis: &Ipis, lost: i64| {
        let counts = [
            ipis.sent,
            ipis.targets,
            ipis.posted,
            ipis.coalesced_at_post,
            ipis.accepted,
            ipis.coalesced_at_accept,
            ipis.refused,
            ipis.injected,
            ipis.ended,
            ipis.local_injected,
        ];
        let counts = counts.iter().map(u64::to_string);
        [name]
            .into_iter()
            .chain(counts)
            .chain([lost.to_string()])
            .collect::<Vec<_>>()
    };
    columns.row(row(
        "all".to_owned(),
        &report.totals.ipis,
        report.lost.total,
    ));
    for vcpu in &report.vcpus {
        columns.row(row(vcpu.vcpu.to_string(), &vcpu.activity.ipis, vcpu.lost));
    }
    columns.note("local: interrupts of the vCPU's own timer and LVT, which are no IPIs.");
    if report.totals.ipis.abandoned != 0 {
        let abandoned = report.totals.ipis.abandoned;
        columns.note(format!(
            "{abandoned} in service when INIT or a disable cleared the APIC."
        ));
    }
    columns.text()
}

pub(super) fn by_mode(report: &Report) -> String {
    let header = ["mode", "sent", "targets", "posted", "coal@post"];
    let mut columns = Columns::new("IPIs sent, by delivery mode", 1, header);
    for (name, mode) in report
        .totals
        .by_mode
        .iter()
        .filter(|(_, mode)| mode.sent != 0)
    {
        let counts = [mode.sent, mode.targets, mode.posted, mode.coalesced_at_post];
        columns.row(
            [name.to_owned()]
                .into_iter()
                .chain(counts.map(|count| count.to_string())),
        );
    }
    columns.text()
}

pub(super) fn by_kind(report: &Report) -> String {
    let header = ["kind", "accepted", "coal@acc", "refused", "injected"];
    let mut columns = Columns::new("IPIs received, by kind", 1, header);
    for (name, kind) in report.totals.by_kind.iter() {
        let refused: u64 = kind.refused.iter().map(|(_, count)| *count).sum();
        let counts = [
            kind.accepted,
            kind.coalesced_at_accept,
            refused,
            kind.injected,
        ];
        if counts == [0; 4] {
            continue;
        }
        columns.row(
            [name.to_owned()]
                .into_iter()
                .chain(counts.map(|count| count.to_string())),
        );
        let reasons = kind.refused.iter().filter(|(_, count)| **count != 0);
        let reasons: Vec<_> = reasons
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        if !reasons.is_empty() {
            columns.note(format!("{name} refused: {}.", reasons.join(", ")));
        }
    }
    columns.text()
}

pub(super) fn by_vector(report: &Report) -> String {
    let header = ["vector", "sent", "injected", "ended", "local"];
    let mut columns = Columns::new("IPIs by vector", 1, header);
    let mut vectors: Vec<_> = report.vectors.iter().collect();
    if vectors.len() > MOST_VECTORS {
        vectors.sort_by_key(|v| std::cmp::Reverse(v.sent + v.injected + v.local_injected));
        vectors.truncate(MOST_VECTORS);
        vectors.sort_by_key(|v| v.vector);
        let all = report.vectors.len();
        columns.note(format!(
            "The busiest {MOST_VECTORS} of {all}; the JSON report has all."
        ));
    }
    for v in vectors {
        let counts = [v.sent, v.injected, v.ended, v.local_injected].map(|count| count.to_string());
        columns.row([format!("{:#04x}", v.vector)].into_iter().chain(counts));
    }
    columns.text()
}

pub(super) fn matrix(report: &Report) -> String {
    if report.totals.ipis.targets == 0 {
        return String::new();
    }
    let vcpus = report.vcpus.len();
    let shown = report.matrix.busiest(MOST_IN_MATRIX);
    let header = ["from\\to".to_owned()]
        .into_iter()
        .chain(shown.iter().map(usize::to_string));
    let mut columns = Columns::new(
        "Deliveries, source x target (coalesced ones included)",
        1,
        header,
    );
    for &source in &shown {
        let counts = shown
            .iter()
            .map(|&target| match report.matrix.deliveries(source, target) {
                0 => ".".to_owned(),
                count => count.to_string(),
            });
        columns.row([source.to_string()].into_iter().chain(counts));
    }
    if vcpus > shown.len() {
        let most = shown.len();
        columns.note(format!(
            "The busiest {most} of {vcpus} vCPUs; the JSON report has all."
        ));
    }
    columns.text()
}

pub(super) fn latencies(report: &Report) -> String {
    let header = ["from sending to", "count", "min", "p50", "p99", "max"];
    let mut columns = Columns::new("Latencies", 1, header);
    let totals = &report.totals;
    let rows: [(&str, &Spread); 3] = [
        ("injection", &totals.send_to_inject),
        ("EOI", &totals.send_to_end),
        ("injection of an NMI", &totals.nmi_send_to_inject),
    ];
    for (name, spread) in rows.into_iter().filter(|(_, spread)| spread.count != 0) {
        let times = [spread.min_ns, spread.p50_ns, spread.p99_ns, spread.max_ns].map(microseconds);
        columns.row(
            [name.to_owned(), spread.count.to_string()]
                .into_iter()
                .chain(times),
        );
    }
    if totals.ipis.unpaired != 0 {
        let unpaired = totals.ipis.unpaired;
        columns.note(format!(
            "{unpaired} injection(s) left out: senders met, and whose it was is not known."
        ));
    }
    columns.text()
}

pub(super) fn kicks(report: &Report) -> String {
    if report.totals.kicks.iter().all(|(_, count)| *count == 0) {
        return String::new();
    }
    let kicks: Vec<_> = report
        .totals
        .kicks
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!("Kicks\n  {}\n", kicks.join(", "))
}

pub(super) fn lost(report: &Report) -> String {
    let header = [
        "kind", "posted", "injected", "coal@acc", "refused", "pending", "waiting", "lost",
    ];
    let mut columns = Columns::new("Lost = posted less all that follows", 1, header);
    for (name, account) in report
        .lost
        .by_kind
        .iter()
        .filter(|(_, a)| a.posted != 0 || a.lost != 0)
    {
        let counts = [
            account.posted,
            account.injected,
            account.coalesced_at_accept,
            account.refused,
            account.pending,
            account.waiting,
        ];
        let counts = counts
            .iter()
            .map(u64::to_string)
            .chain([account.lost.to_string()]);
        columns.row([name.to_owned()].into_iter().chain(counts));
    }
    columns.text()
}
