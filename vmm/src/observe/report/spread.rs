//! How durations are spread, in nanoseconds, and lists that serialise as maps.

use serde::{Serialize, Serializer};

use crate::observe::{Clock, Latency};

/// The spread of a duration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spread {
    /// Number of durations.
    pub count: u64,
    /// Their sum.
    pub total_ns: u64,
    /// The shortest; 0 if there is none.
    pub min_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// The mean.
    pub mean_ns: u64,
    /// The median, to 1 per cent.
    pub p50_ns: u64,
    /// The 99th percentile, to 1 per cent.
    pub p99_ns: u64,
}

impl Spread {
    /// The spread of all that `latencies` recorded.
    pub fn new<'a>(latencies: impl Iterator<Item = &'a Latency>, clock: &Clock) -> Self {
        let mut all = Latency::new();
        latencies.for_each(|latency| all.accumulate(latency));
        Self {
            count: all.count(),
            total_ns: clock.nanoseconds(all.sum()),
            min_ns: clock.nanoseconds(all.min()),
            max_ns: clock.nanoseconds(all.max()),
            mean_ns: clock.nanoseconds(all.mean()),
            p50_ns: clock.nanoseconds(all.quantile(0.5)),
            p99_ns: clock.nanoseconds(all.quantile(0.99)),
        }
    }
}

/// Values by name, in a fixed order; a map in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named<T>(Vec<(&'static str, T)>);

impl<T> Named<T> {
    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }

    /// Names and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &T)> {
        self.0.iter().map(|(name, value)| (*name, value))
    }
}

impl<T> FromIterator<(&'static str, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (&'static str, T)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}
