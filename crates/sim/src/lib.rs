//! Seeded simulation of whole worlds of shards, with crashes and a checker for each invariant.
//!
//! A world runs in one thread and simulated time: shards, the channels between them, a coordinator of epochs, a log on a
//! disk that forgets, a store, functions, sinks, people who send requests, and crashes. Everything follows from a seed: the
//! same seed gives the same run, event by event.
//!
//! Two kinds of life can be in a world. The one of a [`Plan`] is made up by the seed: sources, an operator, functions that
//! fail in all ways; it is there to test the engine, by [`run`]. The other one is anybody's functions, in a [`Host`], to
//! test those.
//!
//! In both some functions are behind endpoints, whose answers take their time, and some are linked into the process: those
//! run on the spot, as in the real shell, and what they do takes the quick way into the core. Which ones follows from
//! the seed.
//!
//! The simulation drives the core only through its public interface, as the real shell does. It never looks inside a
//! shard; what must hold is read off the durable key space, the answers, and the destinations of the sinks.
//!
//! The types to know are [`Plan`] and [`run`], [`Host`], and [`Violation`].
//!
//! ```
//! let report = statera_sim::run(statera_sim::Plan::new(7)).expect("all invariants hold");
//! assert!(report.events > 0);
//! ```
#![warn(missing_docs)]

mod commit;
mod endpoints;
mod hosted;
mod image;
mod life;
mod linked;
mod log;
mod people;
mod random;
mod recovery;
mod round;
mod seeded;
mod settings;
mod shell;
mod trace;
mod violation;
mod world;

use std::fmt;

pub use hosted::{GivenUp, Guests, Host, Hosting, Ran, Waiting};
pub use linked::Linked;
pub use seeded::Plan;
pub use settings::Sabotage;
pub use violation::{Invariant, Violation};

/// What a run that went well was like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// A hash over everything that happened.
    pub trace_hash: u64,
    /// Events.
    pub events: u64,
    /// Crashes.
    pub crashes: u64,
    /// Epochs that became durable.
    pub epochs: u64,
    /// Messages that were planned, from the first request to the last descendant.
    pub messages: usize,
    /// State values read back from the store.
    pub loads: u64,
    /// Dead letters put back or thrown away.
    pub dead_letters: u64,
    /// Calls that were answered.
    pub answers: u64,
    /// Requests that were refused for a while.
    pub refusals: u64,
    /// Invocations.
    pub invocations: u64,
    /// Invocations whose outcome never arrived.
    pub lost: u64,
    /// Of functions that are linked into the process.
    pub linked: Linked,
}

/// A run in which something did not hold.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub violation: Violation,
    /// What happened last.
    pub trace_tail: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}seed {}: {}", self.trace_tail, self.seed, self.violation)
    }
}

/// Runs a world to its end.
///
/// # Errors
/// If an invariant does not hold.
///
/// # Panics
/// If an assertion of the core fails; the seed is printed.
pub fn run(plan: Plan) -> Result<Report, Box<Failed>> {
    seeded::run(plan)
}
