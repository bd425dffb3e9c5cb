//! What became of deliveries, who sends, and who is interrupted.

use maud::html;

use super::figure::{Section, Table, nothing};
use super::quantity::{count, duration};
use crate::trace::analysis::{Analysis, FateCount, Traffic};

/// Most lines of a table.
const MOST: usize = 32;

pub(super) fn section(analysis: &Analysis) -> Section {
    let body = if analysis.fates.is_empty() {
        nothing("There was no delivery.")
    } else {
        html! {
            div.side-by-side {
                div { h3 { "What became of them" } (fates(analysis)) }
                div { h3 { "Senders" } (senders(&analysis.senders)) }
                div { h3 { "Victims" } (victims(&analysis.victims)) }
            }
        }
    };
    Section {
        id: "deliveries",
        heading: "Deliveries",
        lead: "A delivery is one IPI on its way to one target. Coalesced is what found its equal \
               waiting, in the mailbox (at post) or in the APIC (at accept)."
            .to_owned(),
        body,
    }
}

fn fates(analysis: &Analysis) -> Table {
    let mut fates: Vec<&FateCount> = analysis.fates.iter().collect();
    fates.sort_by_key(|fate| std::cmp::Reverse(fate.count));
    let head = ["became", "kind", "vector", "deliveries"];
    let mut table = Table::new("Deliveries by what became of them", 3, head);
    for fate in fates.iter().take(MOST) {
        let vector = fate.vector.map(|vector| format!("{vector:#04x}"));
        table.row([
            words(fate.fate),
            words(fate.kind),
            vector.unwrap_or_default(),
            count(fate.count),
        ]);
    }
    table.note_rest(MOST, fates.len());
    table
}

fn senders(traffic: &[Traffic]) -> Table {
    let mut table = Table::new(
        "Senders, busiest first",
        1,
        ["sender", "IPIs", "deliveries"],
    );
    for of in traffic.iter().take(MOST) {
        table.row([name(of.vcpu), count(of.ipis), count(of.deliveries)]);
    }
    table.note_rest(MOST, traffic.len());
    table
}

fn victims(traffic: &[Traffic]) -> Table {
    let head = ["target", "sent to it", "injected", "in service"];
    let mut table = Table::new("Victims, most interrupted first", 1, head);
    for of in traffic.iter().take(MOST) {
        table.row([
            name(of.vcpu),
            count(of.ipis),
            count(of.deliveries),
            duration(of.in_service_ns),
        ]);
    }
    table.note_rest(MOST, traffic.len());
    table
}

/// A vCPU, or the devices.
pub(super) fn name(vcpu: Option<usize>) -> String {
    vcpu.map_or_else(|| "devices".to_owned(), |vcpu| format!("vCPU {vcpu}"))
}

/// A key of the JSON report as words.
pub(super) fn words(key: &str) -> String {
    key.replace('_', " ")
}
