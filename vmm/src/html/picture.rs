//! What pictures are made of: a plot area with its axes.

use maud::{Markup, html};

use super::quantity::percent;

/// A plot: its area is as wide as the page lets it, and its axes' labels are beside it.
pub(super) struct Plot {
    /// What a reader who does not see it is told.
    pub(super) label: String,
    /// Height of the area in pixels.
    pub(super) height: u32,
    /// Marks below, from 0 to 1.
    pub(super) below: Vec<(f64, String)>,
    /// What the axis below shows.
    pub(super) below_title: String,
    /// Marks at the left, from 0 to 1.
    pub(super) left: Vec<(f64, String)>,
    /// What is in the area.
    pub(super) content: Markup,
}

impl Plot {
    /// The pixel of a height from 0 to 1 in an area of `height` pixels.
    pub(super) fn pixel(height: u32, place: f64) -> String {
        let pixel = f64::from(height) * (1.0 - place);
        let text = format!("{pixel:.1}");
        text.trim_end_matches(".0").to_owned()
    }

    pub(super) fn draw(&self) -> Markup {
        let Self {
            label,
            height,
            below,
            below_title,
            left,
            content,
        } = self;
        // Marks, their labels, and the title of the axis.
        let whole = height + 38;
        let title_below = height + 33;
        let mark_below = height + 16;
        html! {
            div.plot {
                svg width="100%" height=(whole) role="img" aria-label=(label) {
                    g.grid {
                        @for (place, _) in left {
                            @let y = Self::pixel(*height, *place);
                            line x1="0" x2="100%" y1=(y) y2=(y) {}
                        }
                        @for (place, _) in below {
                            line x1=(percent(*place)) x2=(percent(*place)) y1="0" y2=(height) {}
                        }
                    }
                    (content)
                    line.axis x1="0" x2="100%" y1=(height) y2=(height) {}
                    g.left {
                        @for (place, text) in left {
                            text x="-6" y=(Self::pixel(*height, *place)) dy="4" { (text) }
                        }
                    }
                    g.below {
                        @for (place, text) in below {
                            text x=(percent(*place)) y=(mark_below) { (text) }
                        }
                        text.title x="50%" y=(title_below) { (below_title) }
                    }
                }
            }
        }
    }
}
