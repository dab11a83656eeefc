//! What is drawn from a seed before a world begins.

use statera_core::Limits;
use statera_model::Millis;

use super::functions::{FLAKY, LinkedTypes};
use crate::random::Random;
use crate::settings::{BEGIN, Sabotage, Settings, small_limits};

/// What a world is made of. Everything follows from it.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) settings: Settings,
    pub(crate) requests: u64,
    pub(crate) sources: usize,
    pub(crate) records: usize,
    /// Instances of each function type.
    pub(crate) ids: u64,
    /// When faults stop.
    pub(crate) calm_at: Millis,
    /// When the flaky endpoint does not answer. If there are none, it loses single connections instead.
    pub(crate) outages: Vec<(Millis, Millis)>,
    /// One message in so many fails until it is repaired; 0 for none.
    pub(crate) failing_one_in: u64,
    /// Whether requests that should be quick are timed.
    pub(crate) timed: bool,
    pub(crate) linked: LinkedTypes,
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
        let settings = Settings {
            seed,
            sabotage: None,
            limits: small_limits(&mut random),
            shards: random.between(1, 4) as u16,
            shards_max: 4,
            key_groups: if random.one_in(2) { 8 } else { 128 },
            crash_one_in: [0, 300, 1_000, 3_000][random.below(4) as usize],
            crashes_max: 8,
            busy_one_in: [2, 5, 20][random.below(3) as usize],
        };
        Plan {
            settings,
            requests: random.between(40, 160),
            sources: random.between(1, 3) as usize,
            records: random.between(10, 40) as usize,
            ids: random.between(2, 20),
            calm_at,
            outages,
            failing_one_in: [0, 8, 30][random.below(3) as usize],
            timed: false,
            linked: LinkedTypes::draw(&mut random),
        }
    }

    /// A world whose functions are all linked into the process.
    #[must_use]
    pub fn with_linked_functions(seed: u64) -> Plan {
        Plan { linked: LinkedTypes::ALL, ..Plan::new(seed) }
    }

    /// A world without crashes, in which one endpoint is down all the time and some messages fail: everybody else must be
    /// served as if nothing were wrong.
    #[must_use]
    pub fn with_failing_neighbours(seed: u64) -> Plan {
        let plan = Plan::new(seed);
        let limits = Limits {
            idempotency_retention_ms: u64::MAX,
            invocations_in_flight: 8,
            ..Limits::default()
        };
        Plan {
            settings: Settings { limits, crash_one_in: 0, ..plan.settings },
            outages: vec![(BEGIN, plan.calm_at)],
            failing_one_in: 6,
            timed: true,
            // What runs on the spot can't hang.
            linked: plan.linked.without(FLAKY),
            ..plan
        }
    }

    /// The same world with something broken.
    #[must_use]
    pub fn broken(self, sabotage: Sabotage) -> Plan {
        let settings = Settings { sabotage: Some(sabotage), ..self.settings };
        Plan { settings, ..self }
    }
}
