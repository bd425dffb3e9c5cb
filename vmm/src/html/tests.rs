use vapic::Posted;
use vapic::spec::message::{DeliveryMode, Destination, InterruptMessage, Trigger};

use super::*;
use crate::observe::report::tests::run;
use crate::observe::report::{ApicKind, Run};
use crate::observe::{Cause, Event, IpiId, Source, Tsc};
use crate::trace::analysis::Limits;
use crate::trace::{Account, Mark, Origin, Record, Trace, file_of};

/// What no page may be larger than.
const LARGEST: usize = 2 << 20;

fn page(run: Run, lines: &[&str], events: &[(Origin, Vec<Event>)]) -> String {
    let mark = |line: &&str| Mark {
        at: 1_000,
        line: Some((*line).to_owned()),
        counters: Vec::new(),
    };
    let marks: Vec<_> = lines.iter().map(mark).collect();
    let records: Vec<(Origin, Vec<Record>)> = events
        .iter()
        .map(|(origin, events)| (*origin, events.iter().map(Record::of).collect()))
        .collect();
    let blocks: Vec<_> = records
        .iter()
        .map(|(origin, records)| (*origin, records.as_slice()))
        .collect();
    let file = file_of(run, &marks, &blocks);
    let trace = Trace::open(file.path()).unwrap();
    let account = Account::of(&trace).unwrap();
    let page = Page {
        report: &account.report(&trace),
        analysis: &Analysis::of(
            &trace,
            Limits {
                slowest: usize::MAX,
            },
        )
        .unwrap(),
        histograms: &Histograms::of(&account, &trace),
        timeline: &Timeline::of(&trace).unwrap(),
    };
    page.to_html()
}

fn exit(returned: u64, ticks: u64) -> Event {
    Event::Exit {
        cause: Cause::ApicIcr,
        returned: Tsc(returned),
        entered: Tsc(returned + ticks),
    }
}

/// An IPI to each of `targets`, by one write that takes a microsecond.
fn sent(at: u64, targets: usize) -> Vec<Event> {
    let id = IpiId::new(Source::Vcpu(0), at);
    let message = InterruptMessage {
        destination: Destination::AllButSender,
        delivery: DeliveryMode::Fixed,
        vector: 0x40,
        trigger: Trigger::Edge,
    };
    let post = |target| Event::Posted {
        id,
        target,
        delivery: DeliveryMode::Fixed,
        vector: 0x40,
        outcome: Posted::New,
    };
    let mut events = vec![Event::Sent { id, message }];
    events.extend((1..=targets).map(post));
    events.push(exit(at, 1_000));
    events
}

fn sections(page: &str) -> usize {
    page.matches("<section ").count()
}

#[test]
fn an_empty_trace_has_a_page_that_says_so() {
    let page = page(run(2), &[], &[]);
    assert_eq!(sections(&page), 10);
    for text in [
        "the trace has no end",
        "No IPI was sent.",
        "The trace has no event.",
        "No vCPU left the guest.",
        "The guest measured no phase.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn one_event_is_shown() {
    let page = page(run(1), &[], &[(Origin::Vcpu(0), vec![exit(5_000, 3_000)])]);
    assert_eq!(sections(&page), 10);
    assert!(page.contains("<caption>Exits by cause, all vCPUs</caption>"));
    assert!(page.contains("<caption>Time of each vCPU by state</caption>"));
}

#[test]
fn a_run_on_the_kernels_apic_says_why_there_are_no_ipis() {
    let kernel = Run {
        apic: ApicKind::Kernel,
        ..run(2)
    };
    let page = page(kernel, &[], &[(Origin::Vcpu(0), vec![exit(5_000, 3_000)])]);
    assert!(page.contains("delivers IPIs where nobody sees them"));
    assert!(page.contains("in the kernel, hence in the guest's time"));
}

#[test]
fn what_a_guest_or_a_trace_says_is_text_and_nothing_else() {
    let lines = [
        "begin hostile way=<script>alert(1)</script>",
        "end cycles=\"'><img/src=x/onerror=alert(2)>",
        "result hostile cycles=<script>alert(3)</script>",
        "fail hostile </style></title><script>alert(4)</script>",
        "fail hostile <svg/onload=alert(5)>",
    ];
    let mut hostile = run(2);
    hostile.scenario = "</title><script>alert(6)</script>".to_owned();
    hostile.kernel = "<script>alert(7)</script>".to_owned();
    hostile.apic_mode = "<script>alert(8)</script>".to_owned();
    hostile.host.cpu_model = "<script>alert(9)</script>".to_owned();
    let page = page(hostile, &lines, &[]);
    for place in 1..=9 {
        assert!(page.contains(&format!("alert({place})")), "{place}");
    }
    for markup in ["<script", "<img", "<svg/", "</style></title>"] {
        assert!(!page.contains(markup), "{markup}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
}

#[test]
fn the_largest_run_has_a_page_of_bounded_size() {
    let value = "x".repeat(80);
    let values: Vec<_> = (0..11).map(|key| format!("key{key}={value}")).collect();
    let line = |scenario: usize| format!("result s{scenario} {}", values.join(" "));
    let lines: Vec<_> = (0..300).map(line).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    let mut events = vec![(Origin::Vcpu(0), Vec::new())];
    for index in 0..400 {
        let targets = 1 + usize::try_from(index).unwrap() % 254;
        events[0].1.extend(sent(index * 500_000, targets));
    }
    for vcpu in 1..255 {
        // No two bins are alike, so that no step is saved.
        let exits = (0..400u64).map(|index| exit(index * 500_000, 1 + index * 977 % 400_000));
        events.push((Origin::Vcpu(vcpu), exits.collect()));
    }
    let page = page(run(255), &lines, &events);
    assert!(page.len() < LARGEST, "{} bytes", page.len());
    assert!(page.contains("0–7") && page.contains("248–254"));
}
