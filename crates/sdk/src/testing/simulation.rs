//! Simulations: the functions of an app in the engine itself, with crashes, seed by seed.

use std::any::Any;
use std::env;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use statera_ports::Embedded;
use statera_sim::{Guests, Host, Hosting};

use super::wait::wait;
use super::world::World;
use crate::app::App;
use crate::function::Functions;
use crate::message::Message;

/// Functions in the engine itself, in simulated time, with crashes.
///
/// The shards, the commit log and the recovery are those of Statera; the disk, the network and the clock are simulated.
/// For each seed the engine crashes at other moments, even in the middle of a write to its log; messages between shards
/// take their time; answers of functions get lost, so that the functions run again. What happens follows from the seed:
/// a seed that fails once fails again.
///
/// ```
/// use statera_sdk::{App, Cell, Context, Result, testing::Simulation};
///
/// const COUNT: Cell<i64> = Cell::new("count");
///
/// fn count(ctx: &mut Context, by: i64) -> Result {
///     let count = ctx.update(COUNT, |count| count + by)?;
///     ctx.egress("demo/counts", count);
///     Ok(())
/// }
///
/// let app = App::new().function("demo/counter", COUNT, count);
/// let report = Simulation::new(app).seeds(0..20).crashes(3).run(|world| {
///     for _ in 0..10 {
///         world.send("demo/counter/a", 1_i64);
///     }
///     world.until_quiet();
///     assert_eq!(world.state("demo/counter/a", COUNT), Some(10));
///     assert_eq!(world.egress("demo/counts").len(), 10);
/// });
/// assert!(report.crashes > 0);
/// ```
///
/// Besides what the script asserts, it is an error
/// * if the engine does not keep what it promises: that each message has its effect once, in order, all or none, that nothing
///   leaves early, nothing that was accepted is lost, and everything comes to an end;
/// * if a message is given up, unless failures are [kept](Simulation::keeping_failures);
/// * if a function does not do the same when it is invoked again with the same state and messages, unless it is
///   [unrepeatable](Simulation::unrepeatable).
///
/// The environment variable `SIM_SEED` chooses a single seed, whatever the test says, and shows more of what happened if it
/// fails; `SIM_SEEDS` chooses the first so many, to search longer.
#[derive(Clone, Debug)]
pub struct Simulation {
    functions: Functions,
    seeds: Range<u64>,
    shards: u16,
    crashes: u64,
    horizon: Duration,
    repeatable: bool,
    keeping_failures: bool,
}

/// What simulations that went well were like, all seeds together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Seeds.
    pub seeds: u64,
    /// Crashes.
    pub crashes: u64,
    /// Invocations of functions, without those that only make sure that a function does the same again.
    pub invocations: u64,
    /// Invocations whose outcome got lost.
    pub lost: u64,
    /// Messages that were sent, also those that a crash has undone.
    pub messages: u64,
    /// Messages that were given up.
    pub dead_letters: u64,
    /// Epochs that became durable.
    pub epochs: u64,
}

impl Simulation {
    /// Takes the functions of an app. If nothing else is said there are a hundred seeds, up to three shards, up to five
    /// crashes for each seed, and a horizon of a day.
    ///
    /// # Panics
    /// If a registration is wrong.
    #[must_use]
    pub fn new(app: App) -> Simulation {
        Simulation {
            functions: app.build().unwrap_or_else(|error| panic!("{error}")),
            seeds: 0..100,
            shards: 3,
            crashes: 5,
            horizon: Duration::from_secs(86_400),
            repeatable: true,
            keeping_failures: false,
        }
    }

    /// The seeds, each of which is a run of its own.
    #[must_use]
    pub fn seeds(mut self, seeds: Range<u64>) -> Simulation {
        self.seeds = seeds;
        self
    }

    /// A single seed: one that failed once and must not again.
    #[must_use]
    pub fn seed(self, seed: u64) -> Simulation {
        self.seeds(seed..seed + 1)
    }

    /// The most shards: each time the engine starts it has between one and this many.
    #[must_use]
    pub fn shards(mut self, shards: u16) -> Simulation {
        self.shards = shards;
        self
    }

    /// The most crashes in one run. How soon they come, and so how many there are before all is done, depends on the
    /// seed.
    #[must_use]
    pub fn crashes(mut self, crashes: u64) -> Simulation {
        self.crashes = crashes;
        self
    }

    /// How long [`World::until_quiet`] waits for delayed messages.
    #[must_use]
    pub fn horizon(mut self, horizon: Duration) -> Simulation {
        self.horizon = horizon;
        self
    }

    /// Functions may fail for good: [`World::failures`] has what lies in the dead letters then. Without this it is an error.
    #[must_use]
    pub fn keeping_failures(mut self) -> Simulation {
        self.keeping_failures = true;
        self
    }

    /// Functions need not do the same when they are invoked again with the same state and messages, such as those that read
    /// a clock or draw random numbers. A seed that fails may not fail again then.
    #[must_use]
    pub fn unrepeatable(mut self) -> Simulation {
        self.repeatable = false;
        self
    }

    /// Runs a script for each seed, in a world of its own. What the script uses besides the world should be new each time.
    ///
    /// # Panics
    /// If the script does, or something is wrong: with the seed, how to run it again, and what happened last.
    #[track_caller]
    pub fn run(self, mut script: impl FnMut(&mut World)) -> Report {
        let (seeds, depth) = match (number("SIM_SEED"), number("SIM_SEEDS")) {
            (Some(seed), _) => (seed..seed + 1, Depth::Everything),
            (None, Some(count)) => (0..count, Depth::Story),
            (None, None) => (self.seeds.clone(), Depth::Story),
        };
        let mut report = Report::default();
        for seed in seeds {
            if let Err(failed) = self.run_seed(seed, depth, &mut script, &mut report) {
                panic!("{failed}");
            }
        }
        report
    }

    fn run_seed(
        &self,
        seed: u64,
        depth: Depth,
        script: &mut dyn FnMut(&mut World),
        report: &mut Report,
    ) -> Result<(), String> {
        let again = how_to_run_again(seed);
        let host = Host::new(self.hosting(seed), self.guests());
        let host = host.map_err(|violation| format!("seed {seed}: {violation}\n{again}"))?;
        let mut world = World::new(host, self.functions.clone(), seed, self.horizon);
        let ran = panic::catch_unwind(AssertUnwindSafe(|| {
            script(&mut world);
            world.finish()
        }));
        let figures = ran.map_err(|panic| {
            let (story, what) = (world.story(depth), text(&*panic));
            format!("the last events, by milliseconds:\n{story}\nseed {seed}: {what}\n{again}")
        })?;
        report.seeds += 1;
        report.crashes += figures.crashes;
        report.invocations += figures.invocations;
        report.lost += figures.lost;
        report.messages += figures.messages as u64;
        report.dead_letters += figures.dead_letters;
        report.epochs += figures.epochs;
        Ok(())
    }

    fn hosting(&self, seed: u64) -> Hosting {
        Hosting {
            seed,
            shards_max: self.shards,
            crashes_max: self.crashes,
            repeatable: self.repeatable,
            dead_letters: self.keeping_failures,
            sabotage: None,
        }
    }

    fn guests(&self) -> Guests {
        let functions = self.functions.iter();
        Guests {
            functions: functions
                .map(|function| Arc::new(function.clone()) as Arc<dyn Embedded>)
                .collect(),
            show: |value| Message::from(value.clone()).to_string(),
            wait: |running| wait(running),
        }
    }
}

/// How much of what happened is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// What people and functions can tell.
    Story,
    /// Also what happens inside the engine.
    Everything,
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("`{name}` is a number, not `{text}`")))
}

/// Tests run in threads that have their names, unless there is only one.
fn how_to_run_again(seed: u64) -> String {
    let package = env::var("CARGO_PKG_NAME").map(|name| format!(" -p {name}")).unwrap_or_default();
    let thread = thread::current();
    let test = thread.name().filter(|name| *name != "main").unwrap_or_default();
    let command = format!("SIM_SEED={seed} cargo test{package} {test}");
    format!("hint: `{}` runs this seed alone", command.trim_end())
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic")
}
