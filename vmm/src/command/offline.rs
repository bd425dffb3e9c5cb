//! The commands that work on a trace alone.

use std::process::ExitCode;

use super::output::Output;
use crate::cli::{ReplayArgs, ReportArgs};
use crate::html::{Histograms, Page, Timeline};
use crate::observe::report::Report;
use crate::trace::analysis::{Analysis, Limits};
use crate::trace::{Account, Replay, Trace};

/// `vapic report`.
///
/// # Errors
///
/// A file that is no trace, or a damaged one.
pub fn report(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let file = args.html.as_ref().or(args.report_file.as_ref());
    let mut output = Output::open(file.cloned())?;
    let trace = Trace::open(&args.trace).inspect_err(|_| output.discard())?;
    let text = report_text(args, &trace).inspect_err(|_| output.discard())?;
    output.write(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The run's report, and what else the trace tells.
#[derive(serde::Serialize)]
struct Told {
    #[serde(flatten)]
    report: Report,
    analysis: Analysis,
}

fn report_text(args: &ReportArgs, trace: &Trace) -> anyhow::Result<String> {
    let account = Account::of(trace)?;
    let report = account.report(trace);
    let limits = Limits {
        slowest: args.slowest,
    };
    let analysis = Analysis::of(trace, limits)?;
    if args.html.is_some() {
        let page = Page {
            report: &report,
            analysis: &analysis,
            histograms: &Histograms::of(&account, trace),
            timeline: &Timeline::of(trace)?,
        };
        return Ok(page.to_html());
    }
    let told = Told { report, analysis };
    Ok(if args.json {
        serde_json::to_string(&told)? + "\n"
    } else if args.csv {
        csv(&serde_json::to_value(&told)?)?
    } else {
        format!("{}\n{}", told.report.to_table(), told.analysis.to_table())
    })
}

/// One line for each number or word: where it is in the JSON report, and its value.
fn csv(told: &serde_json::Value) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["key", "value"])?;
    write_leaves(&mut writer, "", told)?;
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn write_leaves(
    writer: &mut csv::Writer<Vec<u8>>,
    path: &str,
    value: &serde_json::Value,
) -> csv::Result<()> {
    let within = |key: &str| match path {
        "" => key.to_owned(),
        path => format!("{path}.{key}"),
    };
    match value {
        serde_json::Value::Object(fields) => fields
            .iter()
            .try_for_each(|(key, value)| write_leaves(writer, &within(key), value)),
        serde_json::Value::Array(items) => (0..).zip(items).try_for_each(|(index, value)| {
            write_leaves(writer, &within(&format!("{index}")), value)
        }),
        serde_json::Value::String(text) => writer.write_record([path, text]),
        serde_json::Value::Null => writer.write_record([path, ""]),
        value => writer.write_record([path, &value.to_string()]),
    }
}

/// `vapic replay`.
///
/// # Errors
///
/// A file that is no trace, a damaged one, or one that cannot be replayed.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let trace = Trace::open(&args.trace)?;
    let replay = Replay::of(&trace)?;
    Output::Stdout.write(&format!("{replay}\n"))?;
    Ok(ExitCode::from(u8::from(!replay.is_identical())))
}
