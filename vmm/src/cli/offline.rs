//! Options of the commands that work on a trace alone.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::export::Format;

/// Options of `vapic report`.
#[derive(Args, Clone, Debug)]
pub struct ReportArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// Print CSV: a line for each value, with its key in the JSON report.
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Write the report to this file as an HTML page with pictures, which needs nothing but a
    /// browser.
    #[arg(long, value_name = "PATH", conflicts_with_all = ["json", "csv", "report_file"])]
    pub html: Option<PathBuf>,
    /// How many of the slowest IPIs to tell the story of.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub slowest: usize,
    /// Write the report to this file instead of standard output.
    #[arg(long, value_name = "PATH")]
    pub report_file: Option<PathBuf>,
}

/// Options of `vapic export`.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
    /// Into what.
    #[arg(long, value_enum)]
    pub format: ExportFormat,
    /// Write it to this file instead of standard output.
    #[arg(long, value_name = "PATH")]
    pub output: Option<PathBuf>,
}

/// What a trace can be turned into.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExportFormat {
    /// Perfetto's protobuf, for <https://ui.perfetto.dev> and its trace processor.
    Perfetto,
    /// Chrome's JSON, for older viewers.
    Chrome,
    /// A row for each event.
    Csv,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Perfetto => Self::Perfetto,
            ExportFormat::Chrome => Self::Chrome,
            ExportFormat::Csv => Self::Csv,
        }
    }
}

/// Options of `vapic replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The trace.
    #[arg(value_name = "TRACE")]
    pub trace: PathBuf,
}
