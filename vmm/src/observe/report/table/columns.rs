//! Plain columns under a title.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

/// A table with a title: columns right-aligned but for the first `left`, no borders.
pub(crate) struct Columns {
    title: String,
    table: Table,
    left: usize,
    notes: Vec<String>,
}

impl Columns {
    pub(crate) fn new<T: ToString>(
        title: impl Into<String>,
        left: usize,
        header: impl IntoIterator<Item = T>,
    ) -> Self {
        let mut table = Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(header.into_iter().map(|cell| cell.to_string()));
        Self {
            title: title.into(),
            table,
            left,
            notes: Vec::new(),
        }
    }

    pub(crate) fn row<T: ToString>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.table
            .add_row(cells.into_iter().map(|cell| cell.to_string()));
    }

    /// A line below the table.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// Title, table and notes; nothing at all if there is neither row nor note.
    pub(crate) fn text(mut self) -> String {
        let mut lines = vec![self.title];
        if !self.table.is_empty() {
            for column in self.table.column_iter_mut().skip(self.left) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            lines.extend(self.table.lines().map(|line| line.trim_end().to_owned()));
        } else if self.notes.is_empty() {
            return String::new();
        }
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Nanoseconds in microseconds, as `perf kvm stat` prints them.
pub(super) fn microseconds(nanoseconds: u64) -> String {
    let hundredths = nanoseconds.saturating_add(5) / 10;
    format!("{}.{:02}us", hundredths / 100, hundredths % 100)
}

/// A sum of nanoseconds: in seconds, or in microseconds if it is short.
pub(super) fn sum(nanoseconds: u64) -> String {
    if nanoseconds < 10_000_000 {
        return microseconds(nanoseconds);
    }
    let thousandths = nanoseconds.saturating_add(500_000) / 1_000_000;
    format!("{}.{:03}s", thousandths / 1000, thousandths % 1000)
}

/// A share in per cent; `-` of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share for people")]
pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.2}%", 100.0 * part as f64 / whole as f64),
    }
}

/// A word of the guest's, cut to what a column can hold; it is printable ASCII already.
pub(super) fn cell(text: &str) -> String {
    const WIDEST: usize = 32;
    if text.len() <= WIDEST {
        return text.to_owned();
    }
    text.chars().take(WIDEST - 2).chain("..".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_to_the_digits_shown() {
        assert_eq!(microseconds(0), "0.00us");
        assert_eq!(microseconds(9_814), "9.81us");
        assert_eq!(microseconds(9_815), "9.82us");
        assert_eq!(microseconds(12_345_678), "12345.68us");
        assert_eq!(sum(1_234_567_890), "1.235s");
        assert_eq!(sum(9_999_999), "10000.00us");
        assert_eq!(
            (percent(1, 3), percent(1, 0)),
            ("33.33%".into(), "-".into())
        );
    }

    #[test]
    fn a_long_word_is_cut() {
        assert_eq!(cell("unicast"), "unicast");
        assert_eq!(cell(&"x".repeat(900)).len(), 32);
    }

    #[test]
    fn nothing_to_show_is_no_text() {
        assert_eq!(Columns::new("Title", 1, ["a", "b"]).text(), "");
    }
}
