//! Why an invocation did not answer, as far as it matters for what happens next.

use std::fmt;
use std::sync::Arc;

/// Why an attempt to invoke a function failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it means for the messages of the batch.
    pub kind: FailureKind,
    /// For people: what happened, lower case, without a full stop.
    pub reason: Arc<str>,
}

/// What a [`Failure`] means for the messages of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// Nobody answered (connection refused or lost, timeout, 502, 503, 504, 429): says more about the endpoint than
    /// about these messages, which are tried again and never given up while the endpoint answers nobody else either.
    Unavailable,
    /// The function answered, but not with a usable reply (500, an undecodable body): tried again within the budget.
    Rejected,
    /// The function answered in a way that the transport is told not to retry: given up at once.
    Fatal,
    /// The request was too large for the endpoint (413): the batch is split at once.
    TooLarge,
}

impl Failure {
    /// A failure of the given kind.
    #[must_use]
    pub fn new(kind: FailureKind, reason: impl Into<Arc<str>>) -> Failure {
        Failure { kind, reason: reason.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}
