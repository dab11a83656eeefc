//! What is drawn from a seed before a world begins, and what is broken on purpose.

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
    /// While one endpoint does not answer, nobody's answers arrive.
    StopWithTheFailing,
}

/// What a world is made of. Everything follows from it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed of everything that is random.
    pub seed: u64,
    /// What is broken.
    pub sabotage: Option<Sabotage>,
    pub(crate) shards: u16,
    pub(crate) key_groups: u16,
    pub(crate) limits: Limits,
    pub(crate) requests: u64,
    pub(crate) sources: usize,
    pub(crate) records: usize,
    /// Instances of each function type.
    pub(crate) ids: u64,
    /// The mean number of events between two crashes; 0 for none.
    pub(crate) crash_one_in: u64,
    pub(crate) crashes_max: u64,
    /// When faults stop.
    pub(crate) calm_at: Millis,
    /// When the flaky endpoint does not answer. If there are none, it loses single connections instead.
    pub(crate) outages: Vec<(Millis, Millis)>,
    /// One message in so many fails until it is repaired; 0 for none.
    pub(crate) failing_one_in: u64,
    /// Whether requests that should be quick are timed.
    pub(crate) timed: bool,
}

impl Plan {
    /// A world with everything in it.
    #[must_use]
    pub fn new(seed: u64) -> Plan {
        let mut random = Random::new(seed ^ 0x5eed);
        let calm_at = BEGIN.after(random.between(1_000, 6_000));
        let mut outage = || {
            let from = BEGIN.after(random.below(5_000));
            (from, from.after(random.between(10, 2_500)))
        };
        let mut outages = vec![outage(), outage()];
        if random.one_in(2) {
            outages.clear();
        }
        let limits = Limits {
            state_bytes: random.between(2_000, 30_000) as usize,
            mailbox_bytes: random.between(3_000, 40_000) as usize,
            mailbox_messages: random.between(3, 60) as usize,
            invocations_in_flight: random.between(1, 40) as usize,
            batch_bytes: random.between(300, 5_000) as usize,
            idempotency_keys: random.between(20, 2_000) as usize,
            idempotency_retention_ms: u64::MAX,
        };
        Plan {
            seed,
            sabotage: None,
            shards: random.between(1, 4) as u16,
            key_groups: if random.one_in(2) { 8 } else { 128 },
            limits,
            requests: random.between(40, 160),
            sources: random.between(1, 3) as usize,
            records: random.between(10, 40) as usize,
            ids: random.between(2, 20),
            crash_one_in: [0, 300, 1_000, 3_000][random.below(4) as usize],
            crashes_max: 8,
            calm_at,
            outages,
            failing_one_in: [0, 8, 30][random.below(3) as usize],
            timed: false,
        }
    }

    /// A world without crashes, in which one endpoint is down all the time and some messages fail: everybody else must be
    /// served as if nothing were wrong.
    #[must_use]
    pub fn with_failing_neighbours(seed: u64) -> Plan {
        let plan = Plan::new(seed);
        Plan {
            limits: Limits {
                idempotency_retention_ms: u64::MAX,
                invocations_in_flight: 8,
                ..Limits::default()
            },
            crash_one_in: 0,
            outages: vec![(BEGIN, plan.calm_at)],
            failing_one_in: 6,
            timed: true,
            ..plan
        }
    }

    /// The same world with something broken.
    #[must_use]
    pub fn broken(self, sabotage: Sabotage) -> Plan {
        Plan { sabotage: Some(sabotage), ..self }
    }
}
