//! What the three parties of a connection (the stream, the task that drives it, and who uses it) know together.

use std::cell::Cell;

use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Bytes read so far, after decryption.
    pub(crate) received: Cell<u64>,
    /// When the server last took some of a request. Kept only where there is a read timeout.
    pub(crate) written: Cell<Option<Instant>>,
    /// Whether it has delivered a response before. Only then can a close be the end of keep-alive.
    pub(crate) answered: Cell<bool>,
    /// Whether it was used since its driver last looked.
    pub(crate) used: Cell<bool>,
    /// Whether it is to be closed instead of reused.
    pub(crate) over: Cell<bool>,
}
