//! A recorded run as one HTML page that needs nothing else: no network, no script, no font.
//!
//! Pictures are SVG written with the page. Their widths are shares of the page's, and their heights
//! pixels, so that lines and letters keep their size on every screen; colours are the style
//! sheet's, for light and dark. The page's size depends on vCPUs and bins, never on the length of
//! the run. Whatever a guest or a trace says goes through the template's escaping.

mod colours;
mod deliveries;
mod exits;
mod figure;
mod heat_map;
mod histograms;
mod log_bins;
mod phases;
mod picture;
mod quantity;
mod scale;
mod slowest;
mod stages;
mod summary;
mod targets;
mod time_bands;
mod time_bins;
mod timeline;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::observe::report::Report;
use crate::trace::analysis::Analysis;

pub use histograms::Histograms;
pub use timeline::Timeline;

/// What a page is made of.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// The run's report.
    pub report: &'a Report,
    /// Where the time of its IPIs went.
    pub analysis: &'a Analysis,
    /// How their latencies are spread.
    pub histograms: &'a Histograms,
    /// What the vCPUs did over time.
    pub timeline: &'a Timeline,
}

/// Nothing but what is in the page itself may be used by it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

impl Page<'_> {
    /// The page.
    #[must_use]
    pub fn to_html(&self) -> String {
        let Self {
            report,
            analysis,
            histograms,
            timeline,
        } = self;
        let sections = [
            summary::section(report),
            heat_map::section(report),
            targets::section(analysis),
            histograms::section(report, histograms),
            stages::section(analysis),
            time_bands::section(report, timeline),
            exits::section(report),
            deliveries::section(analysis),
            slowest::section(analysis),
            phases::section(report),
        ];
        let title = summary::title(report);
        let page: Markup = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(POLICY);
                    meta name="color-scheme" content="light dark";
                    title { (title) " – vapic" }
                    style { (PreEscaped(include_str!("style.css"))) }
                }
                body {
                    header {
                        h1 { (title) }
                        nav aria-label="Sections" {
                            ul {
                                @for section in &sections {
                                    li { a href={ "#" (section.id) } { (section.heading) } }
                                }
                            }
                        }
                    }
                    main { @for section in &sections { (section) } }
                    footer { "Made by vapic " (report.run.version) " from a trace." }
                }
            }
        };
        page.into_string()
    }
}

#[cfg(test)]
mod tests;
