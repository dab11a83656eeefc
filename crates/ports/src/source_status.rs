//! What an ingress tells about its sources, for those who watch.

/// Where a source stands and where it ends, as far as its ingress knows. See [`Engine::report`](crate::Engine::report).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// How much of the source lies before the next record that is to be delivered: the offset of a topic's partition, the
    /// bytes of a file.
    pub position: u64,
    /// Where the source ends, counted as `position`, when its ingress saw its end last; `None` if it doesn't know.
    pub end: Option<u64>,
    /// What is counted.
    pub unit: SourceUnit,
}

/// What the position of a source counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceUnit {
    /// Records, or offsets of records.
    Records,
    /// Bytes.
    Bytes,
    /// Milliseconds since the Unix epoch, at which what comes next came to the source; its end is when that was told.
    Milliseconds,
}

impl SourceStatus {
    /// How far it is from its end; `None` if that is not known.
    #[must_use]
    pub fn lag(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.position))
    }
}
