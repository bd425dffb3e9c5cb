//! Exits by cause: all vCPUs, then each.

use std::cmp::Reverse;

use crate::observe::Cause;
use crate::observe::report::columns::{Columns, microseconds, percent, sum};
use crate::observe::report::{Activity, Report, Spread, VcpuReport};

pub(super) fn totals(report: &Report) -> String {
    by_cause(
        format!("Exits, all {} vCPUs", report.vcpus.len()),
        &report.totals,
    )
}

pub(super) fn of_vcpu(vcpu: &VcpuReport) -> String {
    by_cause(format!("Exits, vCPU {}", vcpu.vcpu), &vcpu.activity)
}

fn by_cause(title: String, activity: &Activity) -> String {
    let mut columns = Columns::new(
        title,
        1,
        [
            "VM-EXIT", "Samples", "Samples%", "Time%", "Min Time", "Max Time", "Avg Time", "p50",
            "p99",
        ],
    );
    let mut rows: Vec<(&str, &Spread)> = Cause::ALL
        .iter()
        .filter_map(|cause| Some((cause.label(), activity.exits.get(cause.name())?)))
        .filter(|(_, spread)| spread.count != 0)
        .collect();
    rows.sort_by_key(|(_, spread)| Reverse(spread.count));
    for (label, spread) in &rows {
        columns.row([
            (*label).to_owned(),
            spread.count.to_string(),
            percent(spread.count, activity.exit_count),
            percent(spread.total_ns, activity.outside_ns),
            microseconds(spread.min_ns),
            microseconds(spread.max_ns),
            microseconds(spread.mean_ns),
            microseconds(spread.p50_ns),
            microseconds(spread.p99_ns),
        ]);
    }
    columns.note(format!(
        "Total Samples: {}, total time outside the guest: {}.",
        activity.exit_count,
        sum(activity.outside_ns)
    ));
    let parked = &activity.parked;
    if parked.count != 0 {
        columns.note(format!(
            "Asleep besides: {} times, {} (avg {}).",
            parked.count,
            sum(parked.total_ns),
            microseconds(parked.mean_ns)
        ));
    }
    columns.text()
}

/// The causes that have a column of their own when there are many vCPUs.
const COLUMNS: [Cause; 6] = [
    Cause::ApicIcr,
    Cause::ApicIcr2,
    Cause::ApicEoi,
    Cause::Kick,
    Cause::Hlt,
    Cause::Window,
];

pub(super) fn line_each(report: &Report) -> String {
    let header = ["vCPU"].into_iter().chain(COLUMNS.map(Cause::label));
    let header = header.chain(["other", "exits", "Avg Time", "outside", "asleep"]);
    let mut columns = Columns::new("Exits, each vCPU", 1, header);
    for VcpuReport { vcpu, activity, .. } in &report.vcpus {
        let samples = |cause: Cause| {
            activity
                .exits
                .get(cause.name())
                .map_or(0, |known| known.count)
        };
        let shown = COLUMNS.map(samples);
        let other = activity.exit_count - shown.iter().sum::<u64>().min(activity.exit_count);
        let mut row = vec![vcpu.to_string()];
        row.extend(shown.iter().map(u64::to_string));
        row.extend([
            other.to_string(),
            activity.exit_count.to_string(),
            microseconds(
                activity
                    .outside_ns
                    .checked_div(activity.exit_count)
                    .unwrap_or(0),
            ),
            sum(activity.outside_ns),
            sum(activity.parked.total_ns),
        ]);
        columns.row(row);
    }
    columns.text()
}
