//! Points in the life of a worker: epochs, and wall-clock time.

use std::fmt;

/// Number of a consistent cut through all shards of a worker. The first cut of an empty worker is epoch 1; 0 means
/// "before the first".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first cut.
    pub const ZERO: Epoch = Epoch(0);

    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Wall-clock time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// This time plus `delay_ms` milliseconds, capped at the end of time.
    #[must_use]
    pub fn after(self, delay_ms: u64) -> Millis {
        Millis(self.0.saturating_add(delay_ms))
    }

    /// Milliseconds from `earlier` to this time; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Millis) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
