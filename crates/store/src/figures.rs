//! What the store tells of itself to those who watch.

use statera_model::Epoch;

/// How much there is in a [`Store`](crate::Store).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// The last epoch whose changes can be read.
    pub absorbed: Epoch,
    /// The last epoch whose changes are in files.
    pub durable: Epoch,
    /// Changes of keys taken since the store was opened.
    pub changes: u64,
    /// Bytes of memory for changes that are not in files yet.
    pub unflushed_bytes: usize,
    /// Bytes of the log that a start would have to read again.
    pub unflushed_log_bytes: u64,
    /// Tables written to files since the store was opened.
    pub flushes: u64,
    /// Files of the LSM tree.
    pub files: usize,
    /// Bytes they take on disk.
    pub file_bytes: u64,
}
