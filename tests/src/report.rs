//! The JSON report, as a program reads it.

use serde_json::Value;

/// A report.
#[derive(Debug)]
pub struct Report(Value);

impl Report {
    /// The report in `text`.
    ///
    /// # Panics
    ///
    /// If it is not JSON.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text:?}")))
    }

    /// All of it.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.0
    }

    /// How the run is judged.
    #[must_use]
    pub fn status(&self) -> &str {
        self.0["outcome"]["status"].as_str().unwrap_or_default()
    }

    /// The number at a JSON pointer such as `/lost/total`.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn number(&self, pointer: &str) -> i64 {
        let value = self.0.pointer(pointer).and_then(Value::as_i64);
        value.unwrap_or_else(|| panic!("no number at {pointer} in {}", self.0))
    }

    /// That every delivery is accounted for: in all, by kind and by vCPU.
    ///
    /// # Panics
    ///
    /// If one is not.
    pub fn lost_nothing(&self) {
        let lost = &self.0["lost"];
        assert_eq!(lost["total"], 0, "{lost}");
        let kinds = lost["by_kind"].as_object().expect("an account by kind");
        assert!(kinds.values().all(|account| account["lost"] == 0), "{lost}");
        let vcpus = lost["by_vcpu"].as_array().expect("an account by vCPU");
        assert!(
            !vcpus.is_empty() && vcpus.iter().all(|lost| *lost == 0),
            "{lost}"
        );
    }

    /// The measured phases whose labels have these values.
    ///
    /// # Panics
    ///
    /// If the report has no list of phases.
    #[must_use]
    pub fn phases(&self, labels: &[(&str, &str)]) -> Vec<&Value> {
        let phases = self.0["phases"].as_array().expect("a list of phases");
        let fits = |phase: &&Value| {
            labels
                .iter()
                .all(|(name, value)| phase["labels"][name].as_str() == Some(value))
        };
        phases.iter().filter(fits).collect()
    }
}
