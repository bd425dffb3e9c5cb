//! What Linux uses each interrupt vector for, and where it counts it.
//!
//! The maps are files, one for each kernel series, made from that kernel's sources; see
//! `resources/vectors`.

use std::sync::LazyLock;

use serde::Deserialize;

/// The files, from the oldest series on.
const FILES: [&str; 2] = [
    include_str!("../../../resources/vectors/linux-6.1.toml"),
    include_str!("../../../resources/vectors/linux-6.12.toml"),
];

static MAPS: LazyLock<Vec<VectorMap>> = LazyLock::new(|| {
    let parse = |text| VectorMap::parse(text).expect("the tests parse every file");
    FILES.into_iter().map(parse).collect()
});

/// The vectors of one kernel series.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VectorMap {
    /// The series, such as `6.1`.
    kernel: String,
    /// Each with a number of its own.
    #[serde(rename = "vector")]
    vectors: Vec<Vector>,
}

/// One vector.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// Its number.
    pub number: u8,
    /// What the kernel's sources call it, without the suffix `_VECTOR`.
    pub name: String,
    /// The row of /proc/interrupts that counts it, if one does. It may be missing there: then the
    /// count is 0.
    pub row: Option<String>,
}

impl VectorMap {
    /// The map for a kernel release, such as `6.1.0-50-cloud-amd64`: that of its series, else of
    /// the last known one before. `None` if there is none, or if this is no release.
    #[must_use]
    pub fn of_release(release: &str) -> Option<&'static Self> {
        let wanted = series(release)?;
        let not_newer = |map: &&Self| series(&map.kernel).is_some_and(|known| known <= wanted);
        MAPS.iter().rev().find(not_newer)
    }

    /// The kernel series that it is made from.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.kernel
    }

    /// What a vector is used for; `None` for those of devices and those not in use.
    #[must_use]
    pub fn vector(&self, number: u8) -> Option<&Vector> {
        self.vectors.iter().find(|vector| vector.number == number)
    }

    /// The vectors that a row of /proc/interrupts counts.
    pub fn counted_in<'a>(&'a self, row: &'a str) -> impl Iterator<Item = &'a Vector> {
        let counted = move |vector: &&Vector| vector.row.as_deref() == Some(row);
        self.vectors.iter().filter(counted)
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

/// The first two numbers of a release, by which kernels are maintained.
fn series(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(str::parse::<u32>);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn of_release(release: &str) -> Option<&'static str> {
        VectorMap::of_release(release).map(VectorMap::kernel)
    }

    #[test]
    fn a_release_has_the_map_of_its_series_or_the_last_before() {
        assert_eq!(of_release("6.1.0-50-cloud-amd64"), Some("6.1"));
        assert_eq!(of_release("6.2.0"), Some("6.1"));
        assert_eq!(of_release("6.12.117+deb12-cloud-amd64"), Some("6.12"));
        assert_eq!(of_release("7.0-rc1"), Some("6.12"));
        assert_eq!(of_release("5.10.0-9-amd64"), None);
        assert_eq!(of_release("v6.1"), None);
        assert_eq!(of_release("6"), None);
        assert_eq!(of_release(""), None);
    }

    #[test]
    fn every_file_is_a_map_whose_vectors_differ() {
        for map in FILES.map(|text| VectorMap::parse(text).expect("a map")) {
            let numbers: BTreeSet<_> = map.vectors.iter().map(|vector| vector.number).collect();
            let names: BTreeSet<_> = map.vectors.iter().map(|vector| &vector.name).collect();
            assert_eq!(
                (numbers.len(), names.len()),
                (map.vectors.len(), map.vectors.len())
            );
            assert!(series(map.kernel()).is_some(), "{}", map.kernel());
        }
        assert!(MAPS.is_sorted_by_key(|map| series(map.kernel())));
    }

    #[test]
    fn function_calls_have_two_vectors_and_one_row() {
        for map in MAPS.iter() {
            let counted = |row| map.counted_in(row).map(|v| v.number).collect::<Vec<_>>();
            assert_eq!(counted("CAL"), [0xFB, 0xFC]);
            assert_eq!(counted("RES"), [0xFD]);
            assert_eq!(counted("NMI"), [2]);
            assert!(counted("TLB").is_empty());
            assert_eq!(
                map.vector(0xEC).map(|v| v.name.as_str()),
                Some("LOCAL_TIMER")
            );
            assert_eq!(map.vector(0x40), None);
        }
    }

    #[test]
    fn series_differ_where_the_kernels_do() {
        let name = |release, number| {
            let vector = VectorMap::of_release(release)?.vector(number)?;
            Some(vector.name.as_str())
        };
        assert_eq!(name("6.1", 0x20), Some("IRQ_MOVE_CLEANUP"));
        assert_eq!(name("6.12", 0x20), None);
        assert_eq!(name("6.1", 0xEB), None);
        assert_eq!(name("6.12", 0xEB), Some("POSTED_MSI_NOTIFICATION"));
    }
}
