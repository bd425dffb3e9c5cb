//! Parts of the page: sections, pictures with the numbers behind them, and tables.

use maud::{Markup, Render, html};

/// A section that the page's contents lead to.
pub(super) struct Section {
    /// Its anchor.
    pub(super) id: &'static str,
    /// Its heading.
    pub(super) heading: &'static str,
    /// What it shows, and how to read it.
    pub(super) lead: String,
    /// The rest of it.
    pub(super) body: Markup,
}

impl Render for Section {
    fn render(&self) -> Markup {
        html! {
            section id=(self.id) {
                h2 { (self.heading) }
                @if !self.lead.is_empty() { p.lead { (self.lead) } }
                (self.body)
            }
        }
    }
}

/// A picture, and behind it what it shows as a table.
pub(super) fn figure(caption: &str, picture: &Markup, numbers: &Table) -> Markup {
    html! {
        figure {
            figcaption { (caption) }
            (picture)
            details {
                summary { "The numbers" }
                (numbers)
            }
        }
    }
}

/// What the colours of a picture mean; each has a class of the style sheet.
pub(super) fn legend(entries: &[(String, &str)]) -> Markup {
    html! {
        ul.legend {
            @for (class, name) in entries {
                li { span class={ "key " (class) } {} (name) }
            }
        }
    }
}

/// Nothing to show, and why.
pub(super) fn nothing(why: &str) -> Markup {
    html! { p.nothing { (why) } }
}

/// A table that scrolls where it is wider than the page.
pub(super) struct Table {
    caption: String,
    head: Vec<String>,
    /// Columns of words, from the left; the others are numbers.
    words: usize,
    rows: Vec<Vec<Markup>>,
    note: Option<String>,
}

impl Table {
    pub(super) fn new<T: ToString>(
        caption: impl Into<String>,
        words: usize,
        head: impl IntoIterator<Item = T>,
    ) -> Self {
        Self {
            caption: caption.into(),
            head: head.into_iter().map(|cell| cell.to_string()).collect(),
            words,
            rows: Vec::new(),
            note: None,
        }
    }

    pub(super) fn row<T: Render>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().map(|cell| cell.render());
        self.rows.push(cells.collect());
    }

    /// Says that only `shown` of `all` lines are there.
    pub(super) fn note_rest(&mut self, shown: usize, all: usize) {
        if all > shown {
            self.note = Some(format!(
                "The first {shown} of {all}; the JSON report has all."
            ));
        }
    }
}

impl Render for Table {
    fn render(&self) -> Markup {
        let class = |column| (column < self.words).then_some("word");
        html! {
            div.scroll tabindex="0" role="region" aria-label=(self.caption) {
                table {
                    caption { (self.caption) }
                    thead {
                        tr {
                            @for (column, cell) in self.head.iter().enumerate() {
                                th scope="col" class=[class(column)] { (cell) }
                            }
                        }
                    }
                    tbody {
                        @for row in &self.rows {
                            tr {
                                @for (column, cell) in row.iter().enumerate() {
                                    @if column == 0 {
                                        th scope="row" class=[class(column)] { (cell) }
                                    } @else {
                                        td class=[class(column)] { (cell) }
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(note) = &self.note { p.note { (note) } }
        }
    }
}
