//! What is counted for each function type: plain integers beside the type's other state, which is at hand wherever
//! something is to be counted.

use statera_model::FailureKind;

/// What a shard has counted for a function type since its start, and how it stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FunctionFigures {
    /// Messages that came into mailboxes. Those that a start found there are not counted again.
    pub received: u64,
    /// Messages sent to addresses of the same shard, answers to calls included.
    pub out_local: u64,
    /// Messages sent to addresses of other shards, answers to calls included.
    pub out_remote: u64,
    /// Delayed messages sent. Where they go is not counted when they are due.
    pub out_delayed: u64,
    /// Egress records.
    pub out_egress: u64,
    /// Attempts to have a function process some messages.
    pub invocations: u64,
    /// Attempts that failed.
    pub failures: Failures,
    /// Failed attempts that were, or will be, followed by another one for the same messages or a part of them.
    pub retries: u64,
    /// Messages given up.
    pub dead_letters: u64,
    /// Messages in mailboxes, those that are being processed included.
    pub backlog: u64,
    /// What they take in memory, in bytes.
    pub backlog_bytes: u64,
    /// Invocations in flight.
    pub in_flight: u64,
    /// Addresses that wait for their turn.
    pub queued: u64,
    /// Addresses whose last attempt failed, and that wait for the next.
    pub backing_off: u64,
    /// Addresses that take no messages until they are resumed.
    pub paused: u64,
    /// Shards in which nobody answers for this type: single invocations probe, the others wait.
    pub outages: u64,
}

/// Attempts that failed, by what that means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// Nobody answered.
    pub unavailable: u64,
    /// The function answered, but not with a usable reply.
    pub rejected: u64,
    /// The function refused for good.
    pub fatal: u64,
    /// The request was too large.
    pub too_large: u64,
}

impl FunctionFigures {
    /// Adds those of another shard, or of another type.
    pub fn add(&mut self, other: &FunctionFigures) {
        self.received += other.received;
        self.out_local += other.out_local;
        self.out_remote += other.out_remote;
        self.out_delayed += other.out_delayed;
        self.out_egress += other.out_egress;
        self.invocations += other.invocations;
        self.failures.unavailable += other.failures.unavailable;
        self.failures.rejected += other.failures.rejected;
        self.failures.fatal += other.failures.fatal;
        self.failures.too_large += other.failures.too_large;
        self.retries += other.retries;
        self.dead_letters += other.dead_letters;
        self.backlog += other.backlog;
        self.backlog_bytes += other.backlog_bytes;
        self.in_flight += other.in_flight;
        self.queued += other.queued;
        self.backing_off += other.backing_off;
        self.paused += other.paused;
        self.outages += other.outages;
    }

    /// Whether there is anything to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == FunctionFigures::default()
    }
}

impl Failures {
    /// Of all kinds.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.unavailable + self.rejected + self.fatal + self.too_large
    }

    pub(crate) fn count(&mut self, kind: FailureKind) {
        *match kind {
            FailureKind::Unavailable => &mut self.unavailable,
            FailureKind::Rejected => &mut self.rejected,
            FailureKind::Fatal => &mut self.fatal,
            FailureKind::TooLarge => &mut self.too_large,
        } += 1;
    }
}

/// What a function type counts as it goes. What else [`FunctionFigures`] tell is known anyway.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Messages that came into mailboxes, those restored included.
    pub(crate) entered: u64,
    /// Messages that left mailboxes.
    pub(crate) left: u64,
    pub(crate) restored: u64,
    pub(crate) out_local: u64,
    pub(crate) out_remote: u64,
    pub(crate) out_delayed: u64,
    pub(crate) out_egress: u64,
    pub(crate) invocations: u64,
    pub(crate) failures: Failures,
    pub(crate) retries: u64,
    pub(crate) dead_letters: u64,
    pub(crate) backing_off: u64,
    pub(crate) paused: u64,
}
