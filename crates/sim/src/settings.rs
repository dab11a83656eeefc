//! What a world is made of, whoever lives in it.

use statera_core::Limits;
use statera_model::Millis;

use crate::random::Random;

/// When a world begins.
pub(crate) const BEGIN: Millis = Millis(1_000_000);

/// Something that is broken on purpose, to see that the checkers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A message between shards is delivered twice.
    DuplicateBetweenShards,
    /// Messages that outlive a cut are not written.
    LoseMail,
    /// Deletions of consumed mail are not written.
    KeepConsumedMail,
    /// Two messages between two shards change places.
    ReorderBetweenShards,
    /// Shards are told that the store has what it does not have.
    ClaimToBeFlushed,
    /// A function is invoked twice.
    InvokeTwice,
    /// Acknowledgements leave before the epoch is durable.
    AcknowledgeTooEarly,
    /// Egress records leave before the epoch is durable.
    EmitTooEarly,
    /// The outbox is not written.
    LoseOutbox,
    /// One of several state changes of a reply gets lost.
    LoseOneChange,
    /// The shell ignores the deadlines of the shards.
    IgnoreDeadlines,
    /// The store is never flushed.
    NeverFlush,
    /// The log believes that an epoch is durable before it is.
    SkipTheLog,
    /// While one endpoint does not answer, nobody's answers arrive.
    StopWithTheFailing,
}

/// What the engine of a world is like, and how often it crashes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) seed: u64,
    pub(crate) sabotage: Option<Sabotage>,
    /// At the first start.
    pub(crate) shards: u16,
    /// Each later start has between one and this many.
    pub(crate) shards_max: u16,
    pub(crate) key_groups: u16,
    pub(crate) limits: Limits,
    /// The mean number of events between two crashes; 0 for none.
    pub(crate) crash_one_in: u64,
    pub(crate) crashes_max: u64,
    /// One in so many rounds of a shard is put off, or ends, with something left to do.
    pub(crate) busy_one_in: u64,
}

/// Limits so small that worlds reach them.
pub(crate) fn small_limits(random: &mut Random) -> Limits {
    Limits {
        state_bytes: random.between(2_000, 30_000) as usize,
        mailbox_bytes: random.between(3_000, 40_000) as usize,
        mailbox_messages: random.between(3, 60) as usize,
        invocations_in_flight: random.between(1, 40) as usize,
        batch_bytes: random.between(300, 5_000) as usize,
        idempotency_keys: random.between(20, 2_000) as usize,
        idempotency_retention_ms: u64::MAX,
    }
}
