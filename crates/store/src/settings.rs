//! The limits of the store.

use std::time::Duration;

/// The limits of the store, all of them. The defaults suit a machine with two cores and little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Memory for changes that are not yet in files, with the indexes over them. From half of it on they are written;
    /// at all of it [`crate::Store::absorb`] waits, so that a slow disk slows the worker instead of filling its memory.
    /// A single epoch may exceed it.
    pub unflushed_bytes: usize,
    /// Bytes of the log that a start must read again at most. From three quarters of it on changes are written; at all
    /// of it [`crate::Store::absorb`] waits. The more, the more often a key may change before it is written once.
    pub replay_bytes: u64,
    /// The longest time for which a change waits to be written. Nothing waits for that but the log, which keeps it so
    /// long.
    pub flush_interval: Duration,
    /// Bytes of blocks of the files kept for reading.
    pub cache_bytes: u64,
    /// Threads which compact the files. With two or more, one of them is always ready for other work, but spins while
    /// the others compact.
    pub background_threads: usize,
}

impl Settings {
    /// Roughly the most memory that a store takes with these settings: what is not yet in files, and the order in which
    /// it is written; the cache; and what compactions and the indexes of the first levels take.
    #[must_use]
    pub fn memory_bytes_max(&self) -> u64 {
        self.unflushed_bytes as u64 / 2 * 3 + self.cache_bytes + COMPACTION_BYTES
    }
}

/// Measured with 10 million values.
const COMPACTION_BYTES: u64 = 64 << 20;

impl Default for Settings {
    fn default() -> Self {
        Settings {
            unflushed_bytes: 64 << 20,
            replay_bytes: 256 << 20,
            flush_interval: Duration::from_secs(30),
            cache_bytes: 32 << 20,
            background_threads: 1,
        }
    }
}
