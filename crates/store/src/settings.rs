//! The limits of the store.

use std::time::Duration;

/// The limits of the store, all of them. The defaults suit a machine with two cores and little memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of deltas that wait to be written or are being written. Beyond it [`crate::Store::absorb`] waits, so that
    /// a slow disk slows the worker instead of filling its memory.
    pub unflushed_bytes: usize,
    /// Bytes of deltas in one batch. As soon as so many wait, they are written. A batch in the making takes up to
    /// four times as much memory.
    pub flush_bytes: usize,
    /// The longest time for which a delta waits to be written.
    pub flush_interval: Duration,
    /// Once so many bytes of deltas were written since the last sync, the store makes itself durable.
    pub sync_bytes: u64,
    /// The longest time for which something written waits to be made durable. What is not durable here keeps its place
    /// in the log.
    pub sync_interval: Duration,
    /// Bytes of decompressed blocks kept for reading.
    pub cache_bytes: u64,
    /// Bytes of state changes which the LSM tree gathers in memory before it writes a table; for the working set it is
    /// half as much. With what is being written to tables the tree holds up to three times as much. Counts for
    /// stores created from now on.
    pub memtable_bytes: u64,
    /// Threads which write and compact tables. With two or more, one of them is always ready to write tables, but
    /// spins while the others compact.
    pub background_threads: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            unflushed_bytes: 64 << 20,
            flush_bytes: 16 << 20,
            flush_interval: Duration::from_secs(2),
            sync_bytes: 64 << 20,
            sync_interval: Duration::from_secs(30),
            cache_bytes: 32 << 20,
            memtable_bytes: 16 << 20,
            background_threads: 1,
        }
    }
}
