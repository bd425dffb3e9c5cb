//! Which rows are shown: a regular expression on the names of vCPUs and causes.

use regex::{Regex, RegexBuilder};

use super::rates::label;

/// Largest compiled expression, in bytes.
const LARGEST: usize = 1 << 20;

/// A filter of rows, or none.
///
/// A vCPU's name is `vcpu` and its number; a cause has the names of both reports. A panel of whose
/// rows none matches is shown whole: an expression is meant for vCPUs or for causes.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter(Option<Regex>);

impl Filter {
    /// The filter that `text` describes; an empty one lets everything through.
    ///
    /// # Errors
    ///
    /// What is wrong with the expression, in one line.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let built = RegexBuilder::new(text)
            .case_insensitive(true)
            .size_limit(LARGEST)
            .build();
        built.map(|regex| Self(Some(regex))).map_err(|error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            last.trim_start_matches("error: ").to_owned()
        })
    }

    /// The expression.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.as_ref().map(Regex::as_str)
    }

    /// The vCPUs below `vcpus` that are shown, and whether that is a selection.
    pub(super) fn vcpus(&self, vcpus: usize) -> (Vec<bool>, bool) {
        self.select((0..vcpus).map(|vcpu| vec![format!("vcpu{vcpu}")]))
    }

    /// The causes that are shown, and whether that is a selection.
    pub(super) fn causes<'a>(&self, causes: impl Iterator<Item = &'a str>) -> (Vec<bool>, bool) {
        self.select(causes.map(|cause| vec![cause.to_owned(), label(cause).to_owned()]))
    }

    fn select(&self, names: impl Iterator<Item = Vec<String>>) -> (Vec<bool>, bool) {
        let Self(Some(regex)) = self else {
            return (names.map(|_| true).collect(), false);
        };
        let matches: Vec<bool> = names
            .map(|names| names.iter().any(|name| regex.is_match(name)))
            .collect();
        if matches.contains(&true) {
            (matches, true)
        } else {
            (vec![true; matches.len()], false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_meant_for_vcpus_or_for_causes() {
        let filter = Filter::new("vcpu[13]").unwrap();
        assert_eq!(filter.vcpus(4), (vec![false, true, false, true], true));
        let causes = ["apic_icr", "apic_eoi", "hlt"];
        let all = (vec![true; 3], false);
        assert_eq!(filter.causes(causes.into_iter()), all);
        let filter = Filter::new("APIC EOI|hlt").unwrap();
        let some = (vec![false, true, true], true);
        assert_eq!(filter.causes(causes.into_iter()), some);
        assert_eq!(filter.vcpus(2), (vec![true; 2], false));
    }

    #[test]
    fn nothing_is_no_filter_and_nonsense_is_explained() {
        assert_eq!(Filter::new("").unwrap().text(), None);
        let error = Filter::new("a(").unwrap_err();
        assert!(error.contains("unclosed group"), "{error}");
        assert_eq!(error.lines().count(), 1);
        assert!(Filter::new(r"\w{999}{999}").is_err());
    }
}
