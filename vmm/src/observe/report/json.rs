//! The report as JSON: one object on one line.

use super::Report;

impl Report {
    /// The report as JSON, ending in a newline.
    ///
    /// # Panics
    ///
    /// Never: every map has string keys and no number is infinite.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).expect("the report has string keys only");
        json.push('\n');
        json
    }
}
