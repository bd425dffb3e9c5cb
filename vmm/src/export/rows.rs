//! A row for each event, in the order of time.

use std::io::{self, Write};

use serde::Serialize;
use vapic::spec::message::{DeliveryMode, Trigger};
use vapic::{Acceptance, Arrivals, Posted};

use super::ExportError;
use super::slice::{destination, has_vector};
use crate::observe::{Clock, Door, Event, IpiId, Line, Rest, Source};
use crate::trace::{Origin, Stamped, Trace};

/// A row; columns that an event does not have are empty. `docs/export.md` has their meaning.
#[derive(Default, Serialize)]
struct Row {
    time_ns: u64,
    tsc: u64,
    vcpu: Option<usize>,
    event: &'static str,
    duration_ns: Option<u64>,
    cause: Option<&'static str>,
    ipi: Option<String>,
    source: Option<String>,
    target: Option<usize>,
    delivery: Option<&'static str>,
    vector: Option<u8>,
    trigger: Option<&'static str>,
    destination: Option<String>,
    outcome: Option<&'static str>,
    register: Option<String>,
    write: Option<bool>,
    value: Option<String>,
    fault: Option<bool>,
    detail: Option<String>,
}

/// Writes the events of a trace.
pub(super) fn write(trace: &Trace, out: impl Write) -> Result<(), ExportError> {
    let clock = trace.header.clock.clock();
    let mut rows = csv::Writer::from_writer(out);
    for event in trace.merged() {
        let (origin, stamped) = match event {
            Ok(event) => event,
            Err(error) => {
                rows.flush()?;
                return Err(error.into());
            }
        };
        rows.serialize(row(origin, &stamped, clock))
            .map_err(unwritten)?;
    }
    Ok(rows.flush()?)
}

/// The error of the output, of whatever kind it is.
fn unwritten(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn row(origin: Origin, stamped: &Stamped, clock: Clock) -> Row {
    let mut row = Row {
        time_ns: clock.time(stamped.at),
        tsc: stamped.at.0,
        vcpu: match origin {
            Origin::Vcpu(vcpu) => Some(vcpu),
            Origin::Devices => None,
        },
        event: stamped.event.name(),
        ..Row::default()
    };
    match stamped.event {
        Event::Exit {
            cause,
            returned,
            entered,
        } => {
            row.cause = Some(cause.name());
            row.duration_ns = Some(clock.nanoseconds(entered.since(returned)));
        }
        Event::Rested { rest, ticks, .. } => {
            row.duration_ns = Some(clock.nanoseconds(ticks));
            row.outcome = Some(match rest {
                Rest::Halted => "halted",
                Rest::WaitingForStartUp => "waiting_for_sipi",
            });
        }
        Event::Sent { id, message } => {
            row.of(Some(id));
            row.message(message.delivery, message.vector);
            row.trigger = Some(trigger(message.trigger));
            row.destination = Some(destination(message.destination).into_owned());
        }
        Event::Posted {
            id,
            target,
            delivery,
            vector,
            outcome,
        } => {
            row.of(Some(id));
            row.target = Some(target);
            row.message(delivery, vector);
            row.outcome = Some(match outcome {
                Posted::New => "new",
                Posted::Coalesced => "coalesced",
                Posted::Unsupported => "unsupported",
            });
        }
        Event::Kicked { id, target, kick } => {
            row.of(Some(id));
            row.target = Some(target);
            row.outcome = Some(kick.name());
        }
        Event::Drained {
            vector,
            trigger: sort,
            acceptance,
            id,
            ..
        } => {
            row.of(id);
            row.vector = Some(vector);
            row.trigger = Some(trigger(sort));
            row.outcome = Some(match acceptance {
                Acceptance::Accepted => "accepted",
                Acceptance::Merged => "merged",
                Acceptance::Disabled => "disabled",
                Acceptance::IllegalVector => "illegal_vector",
            });
        }
        Event::Arrived { arrivals, .. } => row.detail = Some(arrived(&arrivals)),
        Event::CarriedOut { line, id } => {
            row.of(id);
            row.delivery = Some(match line {
                Line::Vector(_) => DeliveryMode::Fixed.name(),
                Line::Nmi => DeliveryMode::Nmi.name(),
                Line::Init => DeliveryMode::Init.name(),
                Line::StartUp => DeliveryMode::StartUp.name(),
            });
        }
        Event::Reset => {}
        Event::Injected { vector, id, .. } => {
            row.of(id);
            row.vector = Some(vector);
        }
        Event::NmiInjected { id, .. } => row.of(id),
        Event::ExternalInjected { vector, .. } => row.vector = Some(vector),
        Event::Ended {
            vector, id, level, ..
        } => {
            row.of(id);
            row.vector = Some(vector);
            row.trigger = Some(trigger(if level { Trigger::Level } else { Trigger::Edge }));
        }
        Event::Access { access, .. } => {
            row.register = Some(match access.door {
                Door::Page(offset, width) => format!("page+{offset:#05x}/{width}"),
                Door::Msr(msr) => format!("msr {msr:#x}"),
            });
            row.write = Some(access.write);
            row.value = Some(format!("{:#x}", access.value));
            row.fault = Some(access.fault);
        }
        Event::TaskPriority(class) => row.value = Some(format!("{class:#x}")),
        Event::Lint0(asserted) => {
            row.value = Some(format!("{:#x}", u8::from(asserted)));
        }
    }
    row
}

impl Row {
    fn of(&mut self, id: Option<IpiId>) {
        self.ipi = id.map(|id| format!("{:#x}", id.raw()));
        self.source = id.map(|id| match id.source() {
            Source::Vcpu(vcpu) => vcpu.to_string(),
            Source::Device => "device".to_owned(),
        });
    }

    fn message(&mut self, delivery: DeliveryMode, vector: u8) {
        self.delivery = Some(delivery.name());
        self.vector = has_vector(delivery).then_some(vector);
    }
}

const fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Edge => "edge",
        Trigger::Level => "level",
    }
}

/// What has arrived, as `name=count` for each that has.
fn arrived(arrivals: &Arrivals) -> String {
    let overtaken = arrivals.overtaken;
    let counts = [
        ("nmi", arrivals.nmis),
        ("nmi_merged", arrivals.nmis_merged),
        ("init", arrivals.init.into()),
        ("start_up", arrivals.start_page.is_some().into()),
        ("start_up_discarded", arrivals.start_up_discarded.into()),
        ("smi", arrivals.smi.into()),
        ("ext_int", arrivals.ext_int.into()),
        ("nmi_overtaken", overtaken.nmis),
        ("start_up_overtaken", overtaken.start_ups),
        ("smi_overtaken", overtaken.smis),
        ("ext_int_overtaken", overtaken.ext_ints),
    ];
    let told = counts.iter().filter(|&&(_, count)| count != 0);
    let told: Vec<_> = told
        .map(|(name, count)| format!("{name}={count}"))
        .collect();
    told.join(" ")
}
