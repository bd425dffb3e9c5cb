//! The commands that work on a trace alone.

use std::io::{self, ErrorKind, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;

use super::InputError;
use super::output::{Output, OutputFile};
use crate::cli::{ExportArgs, ReplayArgs, ReportArgs};
use crate::export::{self, ExportError};
use crate::html::{Histograms, Page, Timeline};
use crate::observe::report::Report;
use crate::progress;
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
    if output.is(&args.trace) {
        return Err(InputError::ReportOntoTrace(args.trace.clone()).into());
    }
    let progress = progress::spinner("the trace is read");
    let text = report_text(args, &trace).inspect_err(|_| output.discard())?;
    progress.finish_and_clear();
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

/// `vapic export`.
///
/// # Errors
///
/// A file that is no trace, or a damaged one; what comes before the damage is written all the same.
pub fn export(args: &ExportArgs) -> anyhow::Result<ExitCode> {
    if args.output.is_none() && io::stdout().is_terminal() {
        return Err(InputError::ExportToTerminal.into());
    }
    let trace = Trace::open(&args.trace)?;
    let format = args.format.into();
    let progress = progress::spinner("the trace is exported");
    let result = match &args.output {
        None => export::export(&trace, format, io::stdout().lock()),
        Some(path) => {
            let unusable = |source| InputError::ExportFile {
                path: path.clone(),
                source,
            };
            let output = OutputFile::open(path.clone()).map_err(|(_, source)| unusable(source))?;
            if output.is(&args.trace).map_err(unusable)? {
                return Err(InputError::ExportOntoTrace(path.clone()).into());
            }
            export::export(&trace, format, output.emptied().map_err(unusable)?)
        }
    };
    progress.finish_and_clear();
    match result {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A reader that has seen enough, such as `head`, is no error.
        Err(ExportError::Write(error)) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        Err(ExportError::Write(error)) => Err(error).context("cannot write the export"),
        Err(ExportError::Trace(error)) => Err(error.into()),
    }
}

/// `vapic replay`.
///
/// # Errors
///
/// A file that is no trace, a damaged one, or one that cannot be replayed.
pub fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let trace = Trace::open(&args.trace)?;
    let progress = progress::spinner("the trace is replayed");
    let replay = Replay::of(&trace)?;
    progress.finish_and_clear();
    Output::Stdout.write(&format!("{replay}\n"))?;
    Ok(ExitCode::from(u8::from(!replay.is_identical())))
}
