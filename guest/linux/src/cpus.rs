//! The kernel's lists of processors, such as `0-3,8`.

use std::fs;

use anyhow::Context;

/// The processors in one of the lists in /sys/devices/system/cpu: `online`, `present`, `possible`.
pub(crate) fn listed(name: &str) -> anyhow::Result<Vec<usize>> {
    let path = format!("/sys/devices/system/cpu/{name}");
    let list = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    parse(list.trim()).with_context(|| format!("{path} is no list of processors: {list}"))
}

fn parse(list: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_ranges_and_numbers() {
        assert_eq!(parse("0"), Some(vec![0]));
        assert_eq!(parse("0-2,5,7-8"), Some(vec![0, 1, 2, 5, 7, 8]));
        assert_eq!(parse(""), None);
        assert_eq!(parse("0-x"), None);
    }
}
